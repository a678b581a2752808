"""What there is at one snapshot: immutable tables in an immutable state.

A write makes a new state that shares what it did not touch with the old one, so old versions,
rollback and restore need no code of their own. Knows nothing of SQL or of who is writing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, NotFound, did_you_mean
from flight_server.model import Author, Commit, TableRef, TableSpec

TableKey = tuple[str, str]
# Who put it, into which table (by id), under which token.
ClaimKey = tuple[str, int, str]


def table_key(table: TableRef) -> TableKey:
    """What a table is found by, whatever the case its name is written in."""
    return table.namespace.casefold(), table.name.casefold()


@dataclass(frozen=True)
class TableState:
    """A table at one moment.

    `id` and `column_ids` survive renaming. `row_ids` and `stamps` have one number a row: the first
    survives updates, the second is new whenever the row is written.
    """

    id: int
    ref: TableRef
    spec: TableSpec
    created_at: dt.datetime
    column_ids: tuple[int, ...]
    rows: pa.Table
    row_ids: pa.ChunkedArray
    stamps: pa.ChunkedArray

    def column(self, name: str) -> pa.Field:
        """The field of this name. COLUMN_NOT_FOUND."""
        return self.spec.schema.field(self.position(name))

    def position(self, name: str) -> int:
        """Where the column of this name stands. COLUMN_NOT_FOUND."""
        return column_position(self.spec.schema, name)

    def with_rows(
        self, rows: pa.Table, row_ids: pa.ChunkedArray, stamps: pa.ChunkedArray
    ) -> TableState:
        """The same table with other rows."""
        return replace(self, rows=rows, row_ids=row_ids, stamps=stamps)


def column_position(schema: pa.Schema, name: str) -> int:
    """Where the schema has a column of this name, in any case. COLUMN_NOT_FOUND."""
    names = [known.casefold() for known in schema.names]
    if name.casefold() not in names:
        near = did_you_mean(name, schema.names)
        raise InvalidRequest(f"There is no column '{name}'.{near}", code=ErrorCode.COLUMN_NOT_FOUND)
    return names.index(name.casefold())


def numbers(values: range) -> pa.ChunkedArray:
    """The range as an int64 column."""
    return pa.chunked_array([pa.array(values, pa.int64())], pa.int64())


@dataclass(frozen=True)
class Claim:
    """What was written under one ingest token so far."""

    mode: str
    content: pa.Table
    complete: bool
    commit: Commit


@dataclass(frozen=True)
class State:
    """All namespaces, tables and claims at one snapshot."""

    namespaces: Mapping[str, str] = field(default_factory=lambda: {"main": "main"})
    tables: Mapping[TableKey, TableState] = field(default_factory=dict)
    claims: Mapping[ClaimKey, Claim] = field(default_factory=dict)

    def find(self, table: TableRef) -> TableState | None:
        """The table of this name, if there is one."""
        return self.tables.get(table_key(table))

    def find_id(self, table_id: int) -> TableState | None:
        """The table of this id, if there is one."""
        return next((table for table in self.tables.values() if table.id == table_id), None)

    def tables_in(self, namespace: str) -> list[TableRef]:
        """The tables of a namespace, sorted. NAMESPACE_NOT_FOUND."""
        folded = self.namespace(namespace).casefold()
        return sorted(table.ref for (where, _), table in self.tables.items() if where == folded)

    def table(self, table: TableRef) -> TableState:
        """The table of this name. TABLE_NOT_FOUND."""
        found = self.find(table)
        if found is None:
            near = did_you_mean(table.name, [known.ref.name for known in self.tables.values()])
            raise NotFound(f"There is no table '{table}'.{near}", code=ErrorCode.TABLE_NOT_FOUND)
        return found

    def namespace(self, name: str) -> str:
        """The namespace's name in its true case. NAMESPACE_NOT_FOUND."""
        if name.casefold() not in self.namespaces:
            near = did_you_mean(name, self.namespaces.values())
            raise NotFound(
                f"There is no namespace '{name}'.{near}", code=ErrorCode.NAMESPACE_NOT_FOUND
            )
        return self.namespaces[name.casefold()]


@dataclass(frozen=True)
class Snapshot:
    """One state in the log, and the commit that made it: per table id, what kinds of change."""

    id: int
    state: State
    committed_at: dt.datetime
    author: Author
    kinds: Mapping[int, tuple[str, ...]]
