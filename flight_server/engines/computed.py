"""The ability to have columns that are computed of others, and functions that these may call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.model import Author, TableRef


@dataclass(frozen=True)
class Computed:
    """What a change of a computed column has done: a commit, rows computed, errors in cells.

    `after` is the row behind which there are more of the `rows_total`, None where all are done.
    """

    snapshot: int
    rows: int = 0
    errors: int = 0
    rows_total: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class ComputedColumn:
    """A column to be made: `expression` is text, or a tree of JSON, over the columns `readable`.

    `stored` is None where the engine says whether its values are kept. Rows in which it fails
    end it, unless `on_error` is `ignore`: their cells then hold the error. Without `is_computed`
    the cells of the rows that are there are null, until they are computed anew.
    """

    name: str
    expression: str | Mapping[str, Any]
    readable: Sequence[str]
    stored: bool | None = None
    comment: str = ""
    on_error: str = "abort"
    is_computed: bool = True


@dataclass(frozen=True)
class Recompute:
    """Which cells of a column are computed anew: of all rows, or of some.

    `where` is a predicate of SQL; `limit` is the most rows, behind the row `after`; `cascade` is
    whether what is computed of them is, too.
    """

    column: str
    where: str | None = None
    errors_only: bool = False
    cascade: bool = True
    limit: int | None = None
    after: int | None = None


@runtime_checkable
class SupportsFunctions(Protocol):
    """There are functions that expressions of computed columns may call."""

    def functions(self) -> list[Mapping[str, Any]]:
        """Every function by name, with its signatures, and what keeps it from being called."""


@runtime_checkable
class SupportsComputedColumns(Protocol):
    """Columns can be computed of others by an expression."""

    def computed_columns(self, table: TableRef) -> list[Mapping[str, Any]]:
        """Each with its expression, its type, and how many of its cells hold an error."""

    def cell_errors(self, table: TableRef, column: str, limit: int) -> list[Mapping[str, Any]]:
        """The cells that hold errors, with the keys of their rows. InvalidRequest."""

    def add_computed_column(
        self,
        table: TableRef,
        column: ComputedColumn,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Computed:
        """Computes it for all rows. AlreadyExists; InvalidRequest (column_not_found)."""

    def change_computed_column(
        self,
        table: TableRef,
        column: str,
        to: str | None,
        expression: str | Mapping[str, Any] | None,
        readable: Sequence[str],
        author: Author,
    ) -> Computed:
        """Another name, another expression of the same type, or both. Errors as of adding one."""

    def drop_computed_column(self, table: TableRef, column: str, author: Author) -> Computed:
        """InvalidRequest where there is none, or where another one is computed of it."""

    def recompute(
        self,
        table: TableRef,
        request: Recompute,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Computed:
        """Computes cells anew, in one commit. InvalidRequest."""
