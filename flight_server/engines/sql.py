"""What an engine may be able to do with SQL that has been checked and rewritten.

A part of the abilities of `base`, in a file of their own for their length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.stream import Batches
from flight_server.model import Author, Commit, SqlRequest, TableRef, TableVersion

if TYPE_CHECKING:
    from flight_server.engines.base import TemporaryTables


@dataclass(frozen=True, eq=False)
class ForeignScan:
    """A table of another engine that SQL reads by a name.

    `schema` holds the columns that may be read, and `open` gives the rows of those that are named,
    in their order, as of one version, whenever it is called; whoever reads them closes them.
    """

    name: str
    schema: pa.Schema
    open: Callable[[tuple[str, ...], Cancellation], Batches]


@runtime_checkable
class SupportsSql(Protocol):
    """The engine runs SQL that has been checked and rewritten."""

    def run_sql(self, request: SqlRequest, cancellation: Cancellation = NEVER) -> Batches:
        """One SELECT. Tables are named in full; `request.version` is what they are read at."""

    def sql_schema(self, request: SqlRequest) -> pa.Schema:
        """The Arrow schema of the answer, without running the statement."""

    def explain_sql(
        self, request: SqlRequest, analyze: bool = False, cancellation: Cancellation = NEVER
    ) -> str:
        """DuckDB's plan as text."""

    def parameter_types(self, parameters: Sequence[Any] | Mapping[str, Any]) -> Mapping[str, str]:
        """The SQL types of parameters that would be bound without theirs, as nulls are, by name."""

    def temporary_source(
        self, tables: TemporaryTables, table: TableRef, cancellation: Cancellation = NEVER
    ) -> TableRef:
        """What a session's temporary table is called in SQL that this runs next. NotFound."""

    def scan_sql(self, name: str, schema: pa.Schema) -> str:
        """The SELECT by which SQL reads a `ForeignScan`, with values as it sees them in columns."""

    def sql_columns(self, table: TableVersion) -> Mapping[str, str]:
        """The columns that SQL sees otherwise than they are kept, and the expressions for them.

        Temporary tables are kept in the same way. Most tables have none.
        """


@runtime_checkable
class SupportsSqlWrites(Protocol):
    """Rows can be written by SQL that has been checked and rewritten.

    Values are cast to the columns' types as SQL assigns them. A null where there must be none is
    InvalidRequest (invalid_data), and so is a value that does not fit.
    """

    def insert_rows(
        self,
        table: TableRef,
        columns: Sequence[str],
        request: SqlRequest,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Inserts the rows of a SELECT, its columns by position; the others get their defaults.

        Without columns, one row of defaults is inserted, whatever the SELECT says.
        """

    def update_rows(
        self,
        table: TableRef,
        columns: Sequence[str],
        request: SqlRequest,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Sets columns of some rows: the SELECT gives the row's id, then each column's value.

        `filter` is a predicate that the rows must meet besides. A row that the SELECT gives twice
        is set once, by one of the two.
        """

    def delete_rows(
        self,
        table: TableRef,
        request: SqlRequest,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows whose ids the SELECT gives, as far as they meet the filter."""

    def merge_rows(
        self,
        table: TableRef,
        request: SqlRequest,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Runs one checked MERGE INTO the table, named in full in `request.sql`.

        Its values are assigned as `sql_assignments` says.
        """

    def sql_assignments(self, table: TableVersion) -> Mapping[str, str]:
        """How a MERGE must assign to those columns for which DuckDB's own cast is not enough.

        Expressions with NUL, which no SQL holds, wherever the value stands.
        """
