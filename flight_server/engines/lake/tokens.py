"""Exactly-once: which ingest tokens were committed, and what was sent under them.

A receipt is a row of `_pixelflight.ingest`, written in the transaction of the rows it speaks of.
All receipts are indexed in memory. A token is claimed by one ingest at a time; whoever comes
second waits and then finds the receipts of the first.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from flight_server.arrow_layouts import positions
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.registry import SCHEMA, own_rows
from flight_server.errors import Conflict, ErrorCode
from flight_server.model import Commit, IngestMode, TableRef, quoted

TOKEN_LENGTH_MAX = 512
# How long a put waits for another one under its token.
CLAIM_SECONDS_MAX = 30.0
_STEP_SECONDS = 0.1
_NUMBER = "_pixelflight_number"
NUMBER_BYTES = 8
# Small batches are hashed together: a statement takes longer to begin than to hash a thousand rows.
WAITING_BYTES_MAX = 2**20
Key = tuple[str, str, str, str]
_COLUMNS = (
    "principal, namespace, name, token, snapshot, row_count, rows_inserted, rows_updated, "
    "stream_offset, digest"
)


@dataclass(frozen=True)
class Receipt:
    """One commit under a token: its record, and the digest of all rows up to its offset."""

    commit: Commit
    digest: str


class Digest:
    """A digest of rows in their order that depends neither on their batches nor their encoding.

    The sum of DuckDB's hashes of the rows with their numbers: millions of rows a second.
    Sent rows are compared under one release of the server, so the hash need not be eternal; it
    guards against mistakes, not against forgery. Where the client names the content, the name
    and the number of rows stand for it.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema: pa.Schema,
        mode: IngestMode,
        content: str | None = None,
    ) -> None:
        self._connection = connection
        self._content = content
        # Laid out as a table of this schema is kept: DuckDB hashes what it can store.
        self._inbound = Inbound(schema, schema)
        self._rows = 0
        self._sum = 0
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        names = ", ".join(quoted(name) for name in (*schema.names, _NUMBER))
        self._sql = f"SELECT CAST(sum(CAST(hash({names}) AS HUGEINT)) AS VARCHAR) FROM sent"
        columns = "\n".join(f"{field.name}\t{field.type}" for field in schema)
        sent = f"{mode}\n{columns}"
        self._columns = hashlib.sha256(sent.encode()).hexdigest()[:8]

    def update(self, batch: pa.RecordBatch) -> None:
        """Adds the rows of a batch."""
        self._rows += batch.num_rows
        if self._content is not None or not batch.num_rows:
            return
        self._waiting.append(batch)
        self._waiting_bytes += batch.nbytes + NUMBER_BYTES * batch.num_rows
        if self._waiting_bytes >= WAITING_BYTES_MAX:
            self._add_waiting()

    def _add_waiting(self) -> None:
        if not self._waiting:
            return
        kept = pa.Table.from_batches([self._inbound.convert(batch) for batch in self._waiting])
        first = self._rows - kept.num_rows
        kept = kept.append_column(_NUMBER, pc.add(positions(kept.num_rows), first))
        self._waiting, self._waiting_bytes = [], 0
        with translated("The digest of the rows"):
            self._connection.register("sent", kept)
            row = self._connection.execute(self._sql).fetchone()
            self._connection.unregister("sent")
        assert row is not None
        self._sum = (self._sum + int(row[0])) % 2**64

    def pass_over(self, rows: int) -> None:
        """Counts rows of a content that is named."""
        assert self._content is not None, "rows that nobody names are hashed"
        self._rows += rows

    def __str__(self) -> str:
        self._add_waiting()
        what = f"{self._sum:016x}" if self._content is None else f"={self._content}"
        return f"{self._columns}:{self._rows}:{what}"


class Claim:
    """The right to use a token now, with the receipts it has already."""

    def __init__(self, tokens: Tokens, key: Key) -> None:
        self._tokens = tokens
        self._token = key[3]
        # What it will be found under; None once its table is dropped.
        self.key: Key | None = key
        self.receipts = tokens.receipts(key)

    @property
    def offset(self) -> int:
        """How many rows of the stream are safe already."""
        return self.receipts[-1].commit.offset if self.receipts else 0

    def check(self, rows: int, digest: Digest) -> None:
        """Conflict (token_conflict) where the rows so far are not those of a receipt."""
        for receipt in self.receipts:
            if receipt.commit.offset == rows and receipt.digest != str(digest):
                raise self.conflict()

    def conflict(self) -> Conflict:
        """The token was used for other content."""
        commit = self.receipts[-1].commit
        where = "this transaction" if commit.snapshot < 0 else f"commit {commit.snapshot}"
        return Conflict(
            f"The ingest token '{self._token}' was used for other content, in {where} "
            f"with {commit.offset} rows. Use a new token for new rows.",
            code=ErrorCode.TOKEN_CONFLICT,
        )

    def record(self, transaction: WriteTransaction, commit: Commit, digest: str) -> None:
        """Lets the transaction write a receipt; `commit` as it will be, but for its snapshot."""

        def write(snapshot: int) -> None:
            if self.key is not None:
                transaction.run(
                    f"INSERT INTO {SCHEMA}.ingest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    _row(self.key, snapshot, commit, digest),
                )

        def add(snapshot: int) -> None:
            if self.key is not None:
                self._tokens.add(self.key, _receipt(snapshot, commit, digest))

        transaction.before_commit.append(write)
        transaction.after_commit.append(add)


class Tokens:
    """The index of all receipts."""

    def __init__(self, log: CommitLog) -> None:
        self._lock = threading.Lock()
        self._claims: dict[Key, tuple[threading.Lock, int]] = {}
        self._receipts: dict[Key, list[Receipt]] = {}
        self._load(own_rows(log.instance, "ingest", _COLUMNS, "ORDER BY snapshot"))

    @contextmanager
    def claim(
        self, principal: str, table: TableRef, token: str, cancellation: Cancellation = NEVER
    ) -> Iterator[Claim]:
        """The token for this block alone; others wait. Conflict where that takes long."""
        key = (principal, *_name(table), token)
        with self._lock:
            mine, waiting = self._claims.get(key, (threading.Lock(), 0))
            self._claims[key] = (mine, waiting + 1)
        try:
            _acquire(mine, token, cancellation)
            try:
                yield Claim(self, key)
            finally:
                mine.release()
        finally:
            with self._lock:
                mine, waiting = self._claims[key]
                if waiting == 1:
                    del self._claims[key]
                else:
                    self._claims[key] = (mine, waiting - 1)

    def claim_within(
        self,
        transaction: WriteTransaction,
        table: TableRef,
        token: str,
        cancellation: Cancellation,
    ) -> Claim:
        """The token until the transaction ends, with what was done under it in there."""
        principal = transaction.author.principal
        key = (principal, *_name(table), token)
        if key not in transaction.claims:
            claiming = self.claim(principal, table, token, cancellation)
            claim = transaction.held.enter_context(claiming)
            origin = transaction.origins.get(_name(table), _name(table))
            claim.receipts = self.receipts((principal, *origin, token)) if origin else []
            transaction.claims[key] = claim
        claimed: Claim = transaction.claims[key]
        return claimed

    def receipts(self, key: Key) -> list[Receipt]:
        """The receipts of a token in the order of their commits."""
        with self._lock:
            return list(self._receipts.get(key, ()))

    def add(self, key: Key, receipt: Receipt) -> None:
        """Remembers a receipt that has been committed."""
        with self._lock:
            self._receipts.setdefault(key, []).append(receipt)

    def rename(self, transaction: WriteTransaction, table: TableRef, to: TableRef) -> None:
        """Lets the receipts of a table follow it to its new name."""
        old, new = _name(table), _name(to)
        for key in [key for key in transaction.claims if key[1:3] == old]:
            claim = transaction.claims.pop(key)
            claim.key = (key[0], *new, key[3])
            transaction.claims[claim.key] = claim
        if self._takes_over(transaction, old):
            transaction.run(
                f"UPDATE {SCHEMA}.ingest SET name = ? WHERE namespace = ? AND name = ?",
                [new[1], *old],
            )
        transaction.after_commit.append(lambda _: self._move(old, new))
        transaction.origins[new] = transaction.origins.get(old, old)
        transaction.origins[old] = None

    def forget(self, transaction: WriteTransaction, table: TableRef) -> None:
        """Drops the receipts of a table that is dropped: a new one of its name starts afresh."""
        old = _name(table)
        for key in [key for key in transaction.claims if key[1:3] == old]:
            transaction.claims.pop(key).key = None
        if self._takes_over(transaction, old):
            transaction.run(f"DELETE FROM {SCHEMA}.ingest WHERE namespace = ? AND name = ?", old)
        transaction.after_commit.append(lambda _: self._move(old, None))
        transaction.origins[old] = None

    def _takes_over(self, transaction: WriteTransaction, name: tuple[str, str]) -> bool:
        """Whether a table has receipts of old; Conflict at the commit if others come meanwhile."""
        origin = transaction.origins.get(name, name)
        if origin is None:
            return False
        count = self._count(origin)

        def check(_: int) -> None:
            if self._count(origin) != count:
                raise Conflict(
                    f"Rows were put into '{'.'.join(origin)}' in the meantime. Nothing was "
                    f"written; try again."
                )

        transaction.before_commit.append(check)
        return count > 0

    def _count(self, name: tuple[str, str]) -> int:
        with self._lock:
            return sum(len(kept) for key, kept in self._receipts.items() if key[1:3] == name)

    def _move(self, old: tuple[str, str], new: tuple[str, str] | None) -> None:
        with self._lock:
            for key in [key for key in self._receipts if key[1:3] == old]:
                receipts = self._receipts.pop(key)
                if new is not None:
                    self._receipts[key[0], *new, key[3]] = receipts

    def recall(self, transaction: WriteTransaction, table: TableRef, version: int) -> None:
        """Brings back the receipts that a table had at a version: it is undropped."""
        where = "WHERE namespace = ? AND name = ?"
        name = [table.namespace.lower(), table.name.lower()]
        past = f"FROM {SCHEMA}.ingest AT (VERSION => {version}) {where}"
        rows = transaction.run(f"SELECT {_COLUMNS} {past} ORDER BY snapshot", name)
        transaction.run(f"INSERT INTO {SCHEMA}.ingest {past}", name)
        transaction.after_commit.append(lambda _: self._load(rows))

    def _load(self, rows: list[tuple[Any, ...]]) -> None:
        for principal, namespace, name, token, snapshot, *numbers, digest in rows:
            count, inserted, updated, offset = numbers
            commit = Commit(snapshot, count, inserted, updated, offset=offset)
            self.add((principal, namespace, name, token), Receipt(commit, digest))


def _name(table: TableRef) -> tuple[str, str]:
    return table.namespace.lower(), table.name.lower()


def _acquire(lock: threading.Lock, token: str, cancellation: Cancellation) -> None:
    """Waits for whoever has the token: a put that runs, or a transaction that is open."""
    until = time.monotonic() + CLAIM_SECONDS_MAX
    while not lock.acquire(timeout=_STEP_SECONDS):
        cancellation.check()
        if time.monotonic() > until:
            raise Conflict(
                f"Another put under the ingest token '{token}' is still running, or its "
                f"transaction is open. Try again once it has ended."
            )


def _receipt(snapshot: int, commit: Commit, digest: str) -> Receipt:
    return Receipt(
        Commit(
            snapshot,
            commit.rows,
            commit.rows_inserted,
            commit.rows_updated,
            offset=commit.offset,
        ),
        digest,
    )


def _row(key: Key, snapshot: int, commit: Commit, digest: str) -> list[Any]:
    return [
        *key,
        snapshot,
        commit.rows,
        commit.rows_inserted,
        commit.rows_updated,
        commit.offset,
        digest,
        dt.datetime.now(dt.UTC),
    ]
