"""Transactions that write, and the log of what they committed.

DuckLake keeps the log; here is what makes a commit ours: its author and reason, its new files on
disk before it is acknowledged, and the order of commits. Commits of one process are serialised
by a lock: DuckLake's own optimistic retries let eight writers commit no faster than one, and made
some wait for seconds.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import duckdb

from flight_server.engines.cancellation import NEVER, POLL_SECONDS, Cancellation
from flight_server.engines.lake.catalog import changed_since, rewritten_since, table_id
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.instance import CATALOG, METADATA, Instance, literal
from flight_server.engines.lake.local_rows import LocalRows
from flight_server.engines.lake.pins import Pins
from flight_server.engines.lake.statistics import put_back
from flight_server.errors import Conflict, NotFound
from flight_server.model import HIDDEN_PREFIX, Author, TableRef, TableSpec
from flight_server.telemetry import span

# Reasons of commits that are nobody's doing.
HOUSEKEEPING = "housekeeping"
SETTING_UP = "set up the lake"
_READS = ("SELECT ", "FROM ")
_OWN_CHANGES = tuple(f"{verb} {CATALOG}.{HIDDEN_PREFIX}." for verb in ("UPDATE", "DELETE FROM"))
# What is noted of tables of whose files rows are taken.
_REMOVES = {"updated", "deleted"}


@dataclass(frozen=True)
class Base:
    """What a transaction began on: a snapshot, and the tables that the lake had then."""

    snapshot: int
    tables: Mapping[tuple[str, str], tuple[TableRef, TableSpec]]


class WriteTransaction:
    """One DuckDB transaction on its way to becoming a commit.

    `base` is None where it holds the commit lock, or where what it reads is checked at the end:
    then it goes by the newest state of the lake. `notes` go into the commit's extra info. Actions
    in `before_commit` run under the commit lock and are told the snapshot that is being made;
    those in `after_commit` run once it is durable.
    """

    def __init__(
        self, log: CommitLog, author: Author, connection: duckdb.DuckDBPyConnection | None = None
    ) -> None:
        self.log = log
        self.author = author
        self.connection = connection or log.instance.connection()
        self.notes: dict[str, Any] = {}
        self.before_commit: list[Callable[[int], object]] = []
        self.after_commit: list[Callable[[int], object]] = []
        # Tables as this transaction has made them, None where it dropped them.
        self.pending: dict[tuple[str, str], tuple[TableRef, TableSpec] | None] = {}
        # The same of namespaces.
        self.pending_namespaces: dict[str, str | None] = {}
        self.base: Base | None = None
        # The snapshot at which its client read in it before it was let go, where it was.
        self.since: int | None = None
        # How many statements have written something so far.
        self.writes = 0
        # What is held until the transaction ends, such as the claim of an ingest token.
        self.held = ExitStack()
        # The claims it holds, and under which name a table that it renamed has receipts of old;
        # none has one that it dropped, or made under the name of one that it renamed.
        self.claims: dict[tuple[str, str, str, str], Any] = {}
        self.origins: dict[tuple[str, str], tuple[str, str] | None] = {}
        # The names of tables whose columns DuckLake has changed in it, in lower case.
        self.reshaped: set[tuple[str, str]] = set()
        self.local_rows = LocalRows()
        self._touched: list[TableRef] = []
        # Whether it has deleted or changed rows of the server's own tables.
        self._changes_own = False
        self.is_open = False
        self.began = time.time()
        self.restart()

    def restart(self) -> None:
        """Begins, on the lake as it is now; what was begun before and wrote nothing is ended."""
        assert not self.writes, "what was written would be lost"
        with translated("The transaction"):
            if self.is_open:
                self.connection.execute("ROLLBACK")
            self.connection.execute("BEGIN TRANSACTION")
            self.is_open = True

    def made(self, table: TableRef) -> bool:
        """Whether this transaction itself has made or changed the table."""
        return (table.namespace.lower(), table.name.lower()) in self.pending

    def run(
        self, sql: str, parameters: Any = (), cancellation: Cancellation = NEVER
    ) -> list[tuple[Any, ...]]:
        """The rows of one statement's answer."""
        interrupting = cancellation.interrupting(self.connection.interrupt)
        with span("lake.statement"), translated(), interrupting:
            rows = self.connection.execute(sql, parameters).fetchall()
        self.writes += not sql.startswith(_READS)
        self._changes_own |= sql.startswith(_OWN_CHANGES)
        return rows

    @property
    def is_aborted(self) -> bool:
        """Whether DuckDB takes no more statements because one failed while it ran."""
        try:
            self.connection.execute("SELECT 1").fetchall()
        except duckdb.Error:
            return True
        return False

    def count(self, sql: str, parameters: Any = (), cancellation: Cancellation = NEVER) -> int:
        """The one number that a statement answers with: rows written, or a count."""
        return int(self.run(sql, parameters, cancellation)[0][0])

    def count_rows(self, rows: int) -> None:
        """Adds to the number of rows that the log tells of."""
        self.notes["rows"] = self.notes.get("rows", 0) + rows

    def note(self, table: TableRef, *kinds: str) -> None:
        """Lets the log say of a table what DuckLake's own log does not: that rows were updated."""
        try:
            number = table_id(self.log.instance, table, self.log.snapshot)
        except NotFound:
            # It is made in this transaction, which is all there is to say.
            return
        noted = self.notes.setdefault("tables", {}).setdefault(str(number), [])
        noted.extend(kind for kind in kinds if kind not in noted)
        self._touched.append(table)

    def refuse_changes(self, table: TableRef, done: str) -> None:
        """Makes the commit a Conflict where another one changes the table's rows meanwhile.

        For what was found to hold of all its rows, such as that none has a key. Whoever holds the
        commit lock needs no such promise.
        """
        base, original = self.base, self.original(table)
        if base is None or original is None:
            return

        def check(_: int) -> None:
            if changed_since(self.log.instance, original, base.snapshot):
                raise Conflict(
                    f"Another commit changed '{table}' while it was being {done}. "
                    "Nothing was written; try again."
                )

        self.before_commit.append(check)

    def original(self, table: TableRef) -> TableRef | None:
        """What the table was called as this began, whatever was made of it; None if it was not."""
        name = (table.namespace.lower(), table.name.lower())
        origin = self.origins.get(name, name)
        found = self.base.tables.get(origin) if self.base is not None and origin else None
        return None if found is None else found[0]

    def check_since(self) -> None:
        """Conflict where rows it changes were changed after its client had read them."""
        for table in self._touched if self.since is not None else ():
            assert self.since is not None, "there was a moment before"
            if changed_since(self.log.instance, table, self.since):
                raise Conflict(
                    f"Another commit changed '{table}' after this transaction had read, while "
                    "nobody used it. Nothing was written; roll it back and try again."
                )

    def check_files(self) -> None:
        """Conflict where files were merged of which it has deleted or changed rows."""
        if self.base is None or not self.writes:
            return
        noted: Mapping[str, list[str]] = self.notes.get("tables", {})
        changed = {number for number, kinds in noted.items() if _REMOVES & set(kinds)}
        if not changed and not self._changes_own:
            return
        for number, namespace in rewritten_since(self.log.instance, self.base.snapshot).items():
            if number in changed or (self._changes_own and namespace == HIDDEN_PREFIX):
                raise Conflict(
                    f"Housekeeping has merged files meanwhile that this transaction{self.named} "
                    "has changed rows of. Nothing was written; try again."
                )

    @property
    def named(self) -> str:
        """The tables that a conflict may be about, as a part of a sentence."""
        names = sorted({f"'{table}'" for table in self._touched})
        return f" to {', '.join(names)}" if names else ""

    def commit(self) -> int:
        """The snapshot that was made, or the newest one where nothing was written. Conflict."""
        assert self.is_open, "the transaction has ended"
        try:
            self.local_rows.unite_all(self)
            if self.log.instance.flushes:
                with translated("The commit"), span("lake.flush"):
                    self.log.instance.flusher.flush_since(self.began)
            return self.log.commit(self)
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        """Nothing of it has happened; a second time does nothing."""
        if self.is_open:
            self.close()

    def close(self) -> None:
        """Ends the connection, and with it what was not committed; lets go of what was held."""
        try:
            self.disconnect()
        finally:
            self.held.close()

    def disconnect(self) -> None:
        """Ends the connection; what is held stays so."""
        self.is_open = False
        # Closing a connection in the middle of a result or an aborted transaction rolls it back.
        self.connection.close()


class CommitLog:
    """The order of commits, and the newest snapshot."""

    def __init__(self, instance: Instance, pins: Pins) -> None:
        self.instance = instance
        self.pins = pins
        self.lock = threading.RLock()
        # Held while a new snapshot and what goes with it become visible together.
        self.publishing = threading.Lock()
        # Called once old snapshots have expired.
        self.on_expiry: list[Callable[[], object]] = []
        # Called at each commit, and the last snapshots that those who follow them have dealt with.
        self.on_commit: list[Callable[[], object]] = []
        self.positions: list[Callable[[], int]] = []
        self._reader = instance.connection()
        self.snapshot = self._newest()
        # How many commits were made since the lake was opened.
        self.commits = 0

    @contextmanager
    def transaction(
        self,
        author: Author,
        exclusive: bool = True,
        connection: duckdb.DuckDBPyConnection | None = None,
        cancellation: Cancellation = NEVER,
    ) -> Iterator[WriteTransaction]:
        """Commits at the end of the block unless that was done; rolls back on an error.

        An exclusive one holds the commit lock from its beginning, so that it meets no conflict.
        `connection` is one that holds staged rows; it is closed with the transaction. While it is
        open, nothing that it reads or has written so far is tidied away.
        """
        turn = self.turn(cancellation) if exclusive else nullcontext()
        with turn, self.pins.stream(self.snapshot):
            transaction = WriteTransaction(self, author, connection)
            try:
                yield transaction
                if transaction.is_open:
                    transaction.commit()
            finally:
                transaction.rollback()

    @contextmanager
    def turn(self, cancellation: Cancellation = NEVER) -> Iterator[None]:
        """The commit lock while the block runs. Raises why the request ends while it waits."""
        while not self.lock.acquire(timeout=POLL_SECONDS):
            cancellation.check()
        try:
            yield
        finally:
            self.lock.release()

    def commit(self, transaction: WriteTransaction) -> int:
        """Commits under the lock; see `WriteTransaction.commit`."""
        connection = transaction.connection
        with self.lock:
            before = self.snapshot
            transaction.check_since()
            transaction.check_files()
            if self.instance.owes_statistics:
                put_back(self.instance)
            for action in transaction.before_commit:
                action(before + 1)
            with translated(f"The commit{transaction.named}"), span("lake.commit"):
                connection.execute(_message(transaction))
                connection.execute("COMMIT")
            # Whoever waits for a token that it holds must find what it has done under it.
            with transaction.held:
                transaction.disconnect()
                snapshot = self._newest()
                with self.publishing:
                    self.snapshot = snapshot
                    for action in transaction.after_commit:
                        action(snapshot)
            for wake in self.on_commit:
                wake()
            self.commits += snapshot != before
            self.instance.forget_stale(snapshot)
            # A transaction that in the end changed nothing makes none.
            assert snapshot in (before, before + 1), "somebody else wrote to the lake"
            return snapshot

    def refresh(self) -> None:
        """Looks the newest snapshot up again, after commits that went around this log."""
        with self.lock:
            self.snapshot = self._newest()

    def close(self) -> None:
        """Closes the connection that reads the log."""
        self._reader.close()

    def _newest(self) -> int:
        row = self._reader.execute(
            f"SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot"
        ).fetchone()
        assert row is not None
        return int(row[0])


def _message(transaction: WriteTransaction) -> str:
    author = transaction.author
    notes = {**noted(author), **transaction.notes}
    return (
        f"CALL {CATALOG}.set_commit_message({literal(author.principal)}, "
        f"{literal(author.reason)}, extra_info => {literal(json.dumps(notes))})"
    )


def noted(author: Author) -> dict[str, Any]:
    """What a commit's extra info says of its author, beside the name and the reason."""
    told = {
        "principal_id": author.principal_id,
        "workspace": author.workspace,
        "door": author.door,
        "peer": author.peer,
        "resource": author.resource,
        "details": dict(author.details),
    }
    return {"request_id": author.request_id} | {
        name: value for name, value in told.items() if value
    }
