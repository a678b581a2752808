"""Clients of the mixed load: a process of several, each with connections of its own.

Each writes to a journal, on standard output, what it is about to do and what it was told: the
journal is all that is known of it once it has been killed. Which errors a client may meet depends
on what is done to it, and everything else that happens is written down as a failure.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import adbc_driver_manager
import pyarrow as pa
from adbc_driver_flightsql import DatabaseOptions, dbapi
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2

SCHEMA, ROWS, COUNTERS = "load", "load.rows", "load.counters"
INSERT = f"INSERT INTO {ROWS} VALUES (?, ?, ?, ?)"
OWN = f"SELECT count(*), count(DISTINCT part) FROM {ROWS} WHERE client = ? AND number = ?"
# Rows come at once, and there is no end to them that anybody would wait for.
FLOOD = "SELECT range AS n FROM range(2000000000)"
# The first row of this comes after hours.
ENDLESS = "SELECT sum(a.range * b.range % 7) AS n FROM range(10000000) a, range(10000000) b"
STREAM_ROWS = 200_000
CONFLICT = "CONFLICT"
# What becomes of calls whose wire was cut, and of transactions that were open on it.
LOST = ("UNAVAILABLE", "CANCELLED", "TRANSACTION_NOT_FOUND", "IO", "STATEMENT_NOT_FOUND")
_printing = threading.Lock()


class Reconnect(Exception):
    """The connections are of no use any more."""


class Client:
    """One client: it does one thing after another until its time is up."""

    def __init__(self, address: Path, key: str, number: int, broken: bool) -> None:
        self.number = number
        self._address = address
        self._key = key
        self._broken = broken
        self._chance = random.Random(number)
        self._sequence = 0
        self._acknowledged: list[tuple[int, int]] = []
        self._opened: list[Any] = []

    def run(self, over: Path) -> None:
        """Works until `over` exists, and connects anew wherever a connection was lost."""
        while not over.exists():
            try:
                with self._connections() as (auto, manual):
                    while not over.exists():
                        self._step(auto, manual)
            except dbapi.Warning:
                # The driver only warns of a connection that it could not begin a transaction on.
                say(**{"event": "lost"} if self._broken else {"failure": "no transaction begins"})
            except dbapi.Error as error:
                self._met(error, "connecting")
                time.sleep(0.1)
            except Reconnect:
                continue

    def _step(self, auto: Any, manual: Any) -> None:
        works: list[tuple[Callable[[Any], None], Any, int]] = [
            (self.insert, auto, 3),
            (self.ingest, auto, 2),
            (self.commit, manual, 3),
            (self.roll_back, manual, 2),
            (self.read_own, auto, 6),
            (self.read_much, auto, 2),
            (self.cancel_stream, auto, 1),
            (self.cancel_work, auto, 1),
            (self.leave, None, 1),
        ]
        work, connection, _ = self._chance.choices(works, [weight for *_, weight in works])[0]
        try:
            work(connection)
        except dbapi.Error as error:
            self._met(error, work.__name__)
            # The driver has no way on from a commit that failed.
            raise Reconnect from error

    def insert(self, auto: Any) -> None:
        """A few rows of parameters, in one commit."""
        count = self._chance.randint(1, 5)
        number = self._begin("insert", count)
        with self._outcome(number, count), auto.cursor() as cursor:
            cursor.executemany(INSERT, self._rows(number, 0, count))

    def ingest(self, auto: Any) -> None:
        """Many rows as Arrow, in one commit."""
        count = self._chance.randint(100, 3000)
        number = self._begin("ingest", count)
        with self._outcome(number, count):
            self._ingest(auto, number, 0, count)

    def commit(self, manual: Any) -> None:
        """Rows of two kinds and a counter, together or not at all."""
        count = self._chance.randint(10, 300)
        number = self._begin("commit", count)
        with self._outcome(number, count):
            self._write(manual, number, count)
            manual.commit()

    def roll_back(self, manual: Any) -> None:
        """The same, and nothing of it shall ever have been."""
        count = self._chance.randint(10, 300)
        number = self._begin("roll_back", 0)
        self._write(manual, number, count)
        manual.rollback()
        say(client=self.number, number=number, event="gone")

    def leave(self, _: None) -> None:
        """A client that goes away with a transaction open and a stream half read."""
        number = self._begin("leave", 0)
        with self._connected(autocommit=False) as leaving, leaving.cursor() as cursor:
            self._write(leaving, number, self._chance.randint(10, 20))
            cursor.execute(FLOOD)
            next(iter(cursor.fetch_record_batch()))
        say(client=self.number, number=number, event="gone")

    def read_own(self, auto: Any) -> None:
        """One prepared statement, run for several writes that were acknowledged."""
        known = self._acknowledged[-200:]
        with auto.cursor() as cursor:
            for number, count in self._chance.sample(known, min(3, len(known))):
                cursor.execute(OWN, (self.number, number))
                found = cursor.fetchone()
                if found != (count, count):
                    say(failure=f"{self.number}/{number}: {found} rows were read, not {count}")
        say(event="read")

    def read_much(self, auto: Any) -> None:
        """A stream to its end, and an aggregate over what everybody writes."""
        with auto.cursor() as cursor:
            cursor.execute(f"SELECT range AS n, 'text ' || range AS t FROM range({STREAM_ROWS})")
            rows = sum(batch.num_rows for batch in cursor.fetch_record_batch())
            if rows != STREAM_ROWS:
                say(failure=f"a stream had {rows} rows")
            cursor.execute(f"SELECT client, count(*) AS n FROM {ROWS} GROUP BY client")
            cursor.fetchall()
        say(event="stream")

    def cancel_stream(self, auto: Any) -> None:
        """A stream that is cancelled in its middle."""
        with auto.cursor() as cursor:
            cursor.execute(FLOOD)
            reader = iter(cursor.fetch_record_batch())
            next(reader)
            cursor.adbc_cancel()
            with contextlib.suppress(StopIteration):
                self._drain(reader)
        say(event="cancel")

    def cancel_work(self, auto: Any) -> None:
        """A query that is cancelled before it has a first row."""
        with auto.cursor() as cursor:
            done = threading.Event()
            nagging = threading.Thread(target=_nag, args=(cursor, done))
            nagging.start()
            try:
                cursor.execute(ENDLESS)
                cursor.fetchall()
                say(failure="an endless query ended")
            except dbapi.Error as error:
                if "cancel" not in str(error).lower():
                    raise
            finally:
                done.set()
                nagging.join()
        say(event="cancel")

    def _drain(self, reader: Iterator[Any]) -> None:
        """Reads on to the cancellation, which may come as an Arrow error."""
        try:
            for _ in reader:
                pass
        except (dbapi.Error, pa.ArrowException, OSError) as error:
            if "cancel" not in str(error).lower():
                raise

    def _write(self, manual: Any, number: int, count: int) -> None:
        """Rows by a statement and by an ingest; a counter of them; what is written is seen."""
        few = min(3, count)
        with manual.cursor() as cursor:
            cursor.executemany(INSERT, self._rows(number, 0, few))
            self._ingest(manual, number, few, count - few)
            if self._chance.random() < 0.3:
                cursor.execute(f"UPDATE {COUNTERS} SET value = value + 1 WHERE client = 0")
            cursor.execute(OWN, (self.number, number))
            if (found := cursor.fetchone()) != (count, count):
                say(failure=f"a transaction saw {found} of its own {count} rows")

    def _ingest(self, connection: Any, number: int, first: int, count: int) -> None:
        columns = zip(*self._rows(number, first, count), strict=True)
        client, numbers, parts, texts = (list(column) for column in columns)
        table = pa.table(
            {
                "client": pa.array(client, pa.int64()),
                "number": pa.array(numbers, pa.int64()),
                "part": pa.array(parts, pa.int64()),
                "text": pa.array(texts, pa.string()),
            }
        )
        with connection.cursor() as cursor:
            found = cursor.adbc_ingest("rows", table, mode="append", db_schema_name=SCHEMA)
        if found != count:
            say(failure=f"an ingest of {count} rows was acknowledged as {found}")

    def _rows(self, number: int, first: int, count: int) -> list[tuple[int, int, int, str]]:
        return [
            (self.number, number, part, text_of(self.number, number, part))
            for part in range(first, first + count)
        ]

    def _begin(self, kind: str, count: int) -> int:
        """The number of a write that is about to begin: from now on it may have happened."""
        self._sequence += 1
        say(client=self.number, number=self._sequence, event="begin", kind=kind, rows=count)
        return self._sequence

    @contextlib.contextmanager
    def _outcome(self, number: int, count: int) -> Iterator[None]:
        try:
            yield
        except dbapi.Error as error:
            # A conflict says that nothing has happened; of what was lost nobody can tell.
            if reason_of(error) == CONFLICT:
                say(client=self.number, number=number, event="gone")
            raise
        say(client=self.number, number=number, event="acknowledged")
        self._acknowledged.append((number, count))

    def _met(self, error: dbapi.Error, where: str) -> None:
        """Writes an error down as one that was to be expected, or as a failure."""
        reason = reason_of(error)
        if reason == CONFLICT:
            say(event="conflict")
        elif self._broken and (reason in LOST or "already closed" in str(error)):
            say(event="lost")
        else:
            say(failure=f"client {self.number}, {where}: {type(error).__name__} {reason}: {error}")

    @contextlib.contextmanager
    def _connections(self) -> Iterator[tuple[Any, Any]]:
        with self._connected(autocommit=True) as auto, self._connected(autocommit=False) as manual:
            yield auto, manual

    @contextlib.contextmanager
    def _connected(self, autocommit: bool) -> Iterator[Any]:
        key = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {self._key}"}
        url = self._address.read_text("utf-8")
        connection = dbapi.connect(url, db_kwargs=key, autocommit=autocommit)
        try:
            yield connection
        finally:
            # One that is lost cannot say goodbye.
            with contextlib.suppress(dbapi.Error):
                connection.close()


def reason_of(error: dbapi.Error) -> str:
    """The server's code of an error, else the driver's."""
    info, packed = error_details_pb2.ErrorInfo(), any_pb2.Any()
    for _, detail in error.details or ():
        # Of a connection that broke, the driver has details of its own.
        with contextlib.suppress(DecodeError):
            packed.ParseFromString(detail)
            if packed.Unpack(info):
                return str(info.reason)
    return str(adbc_driver_manager.AdbcStatusCode(error.status_code).name)


def text_of(client: int, number: int, part: int) -> str:
    """What stands in a row."""
    return f"{client}/{number}/{part}"


def say(**event: Any) -> None:
    """A line of the journal."""
    with _printing:
        print(json.dumps(event), flush=True)


def _nag(cursor: Any, done: threading.Event) -> None:
    """Cancels until it has worked: a cancel that comes before the work has nothing to cancel."""
    while not done.wait(0.05):
        with contextlib.suppress(dbapi.Error):
            cursor.adbc_cancel()


def main(address: str, key: str, first: str, count: str, over: str, broken: str) -> None:
    """Runs `count` clients, numbered from `first`, until there is a file `over`."""
    warnings.simplefilter("error", dbapi.Warning)
    numbers = range(int(first), int(first) + int(count))
    clients = [Client(Path(address), key, number, broken == "broken") for number in numbers]
    threads = [threading.Thread(target=_run, args=(client, Path(over))) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(event="end")


def _run(client: Client, over: Path) -> None:
    try:
        client.run(over)
    except BaseException:
        say(failure=traceback.format_exc())


if __name__ == "__main__":
    main(*sys.argv[1:])
