"""Which temporary tables a session has, and the transactions that write to them.

They are plain DuckDB tables in a database of memory that the instance attaches under a hidden
name, a schema for each session. What DuckDB does not keep, the Arrow schema that was sent above
all, is remembered here.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from flight_server.engines.lake.checks import check_rows, rules_of
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.instance import TEMPORARY
from flight_server.engines.lake.tables import checked_spec
from flight_server.errors import AlreadyExists, ErrorCode, NotFound, did_you_mean
from flight_server.model import (
    DEFAULT_NAMESPACE,
    TEMPORARY_CATALOG,
    Author,
    TableRef,
    TableSpec,
    TableVersion,
    quoted,
)

# Nobody reads who wrote to a table that no log tells of.
_NOBODY = Author("")


@dataclass(frozen=True, order=True)
class InnerRef(TableRef):
    """A temporary table as DuckDB knows it; in messages it has the name that clients use."""

    session: str = ""

    @property
    def sql(self) -> str:
        """The name within the hidden database."""
        return ".".join(quoted(part) for part in (TEMPORARY, self.session, self.name))


@dataclass(frozen=True)
class Kept:
    """What is known of a table beside its rows."""

    table: TableRef
    spec: TableSpec
    created_at: dt.datetime
    changed_at: dt.datetime


class _Write(WriteTransaction):
    """A transaction that writes to temporary tables: no log tells of it."""

    def note(self, table: TableRef, *kinds: str) -> None:
        """Nobody reads a history of temporary tables."""

    def commit(self) -> int:
        """Makes it so; there is no snapshot of it. Conflict."""
        try:
            with translated("The write"):
                self.connection.execute("COMMIT")
        finally:
            self.close()
        return -1


class TemporaryRegistry:
    """The tables of one session."""

    def __init__(self, log: CommitLog, session: str) -> None:
        self.log = log
        self.session = session
        self._schema = f"{TEMPORARY}.{quoted(session)}"
        self._lock = threading.Lock()
        self._known: dict[str, Kept] = {}
        # Names that tables being made will have.
        self._taken: set[str] = set()
        self._is_closed = False
        self.run(f"CREATE SCHEMA {self._schema}")

    def tables(self) -> list[TableRef]:
        """All tables, sorted."""
        with self._lock:
            return sorted(kept.table for kept in self._known.values())

    def knows(self, table: TableRef) -> bool:
        """Whether there is a table of this name, whatever its case."""
        with self._lock:
            return table.name.lower() in self._known

    def find(self, table: TableRef) -> Kept:
        """NotFound (table_not_found)."""
        with self._lock:
            kept = self._known.get(table.name.lower())
            known = [one.table.name for one in self._known.values()]
        if kept is None or table.namespace.lower() != DEFAULT_NAMESPACE:
            raise NotFound(
                f"There is no temporary table '{table.name}'.{did_you_mean(table.name, known)}",
                code=ErrorCode.TABLE_NOT_FOUND,
            )
        return kept

    def inner(self, table: TableRef) -> TableVersion:
        """The table, under the name that SQL knows. NotFound (table_not_found)."""
        kept = self.find(table)
        return self._inner(kept.table, kept.spec)

    @contextmanager
    def making(self, table: TableRef, spec: TableSpec) -> Iterator[TableVersion]:
        """The name is taken while the table is made in the block, and known after it.

        AlreadyExists; InvalidRequest (unsupported_type); NotFound (namespace_not_found).
        """
        check_namespace(table.namespace)
        spec, name = checked_spec(spec), table.name.lower()
        table = temporary(table.name)
        with self._lock:
            self._check_free(table)
            self._taken.add(name)
        try:
            yield self._inner(table, spec)
            now = dt.datetime.now(dt.UTC)
            with self._lock:
                self._known[name] = Kept(table, spec, now, now)
        finally:
            with self._lock:
                self._taken.discard(name)

    @contextmanager
    def writing(self, found: TableVersion) -> Iterator[WriteTransaction]:
        """A transaction that is committed at the end of the block, and rolled back on an error."""
        # What it reads of the lake is not tidied away meanwhile.
        with self.log.pins.stream(self.log.snapshot):
            transaction = _Write(self.log, _NOBODY)
            try:
                yield transaction
                check_rows(transaction, found, rules_of(found.spec))
                transaction.commit()
            finally:
                transaction.rollback()
        name = found.table.name.lower()
        with self._lock:
            if name in self._known:
                now = dt.datetime.now(dt.UTC)
                self._known[name] = replace(self._known[name], changed_at=now)

    def rename(self, table: TableRef, name: str) -> None:
        """NotFound; AlreadyExists."""
        found, to = self.inner(table), temporary(name)
        old, new = found.table.name.lower(), name.lower()
        with self._lock:
            if new != old:
                self._check_free(to)
            self.run(f"ALTER TABLE {found.table.sql} RENAME TO {quoted(name)}")
            self._known[new] = replace(self._known.pop(old), table=to)

    def drop(self, table: TableRef) -> None:
        """NotFound."""
        found = self.inner(table)
        with self._lock:
            self.run(f"DROP TABLE {found.table.sql}")
            del self._known[found.table.name.lower()]

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small statement."""
        with translated():
            return self.log.instance.rows(sql)

    def close(self) -> None:
        """Drops them all; a second time does nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._known.clear()
        self.run(f"DROP SCHEMA {self._schema} CASCADE")

    def _inner(self, table: TableRef, spec: TableSpec) -> TableVersion:
        inner = InnerRef(table.catalog, table.namespace, table.name, self.session)
        return TableVersion(inner, spec, -1)

    def _check_free(self, table: TableRef) -> None:
        if self._is_closed:
            raise NotFound("The session of this temporary table has ended.")
        name = table.name.lower()
        if name in self._taken or name in self._known:
            raise AlreadyExists(f"The temporary table '{table.name}' exists already.")


def temporary(name: str) -> TableRef:
    """A temporary table as clients name it."""
    return TableRef(TEMPORARY_CATALOG, DEFAULT_NAMESPACE, name)


def check_namespace(name: str) -> None:
    """NotFound (namespace_not_found) unless it is the one there is."""
    if name.lower() != DEFAULT_NAMESPACE:
        raise NotFound(
            f"There is no namespace '{name}' of temporary tables: theirs is '{DEFAULT_NAMESPACE}'.",
            code=ErrorCode.NAMESPACE_NOT_FOUND,
        )
