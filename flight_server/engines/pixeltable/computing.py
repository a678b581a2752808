"""The part of the engine that has functions and computed columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.computed import Computed, ComputedColumn, Recompute
from flight_server.engines.pixeltable.asking import Asking
from flight_server.model import Author, TableRef


class Computing(Asking):
    """Columns that Pixeltable computes. Each change is one of its transactions."""

    def functions(self) -> list[Mapping[str, Any]]:
        """What expressions may call, and what they could."""
        return list(self._asked("functions")["functions"])

    def computed_columns(self, table: TableRef) -> list[Mapping[str, Any]]:
        """Those of a table, with how many of their cells hold errors."""
        return list(self._of(table, "computed_columns")["columns"])

    def cell_errors(self, table: TableRef, column: str, limit: int) -> list[Mapping[str, Any]]:
        """What went wrong in cells of a column, with the keys of their rows."""
        return list(self._of(table, "cell_errors", column=column, limit=limit)["errors"])

    def add_computed_column(
        self,
        table: TableRef,
        column: ComputedColumn,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Computed:
        """ALREADY_EXISTS; COLUMN_NOT_FOUND; INVALID_SQL."""
        asked = {**asdict(column), "column": column.name}
        del asked["name"]
        return Computed(**self._of(table, "add_computed_column", cancellation, **asked))

    def change_computed_column(
        self,
        table: TableRef,
        column: str,
        to: str | None,
        expression: str | Mapping[str, Any] | None,
        readable: Sequence[str],
        author: Author,
    ) -> Computed:
        """As of adding one; UNSUPPORTED where the type would be another."""
        asked: dict[str, Any] = {"column": column, "to": to, "expression": expression}
        told = self._of(table, "change_computed_column", readable=list(readable), **asked)
        return Computed(**told)

    def drop_computed_column(self, table: TableRef, column: str, author: Author) -> Computed:
        """COLUMN_NOT_FOUND."""
        return Computed(**self._of(table, "drop_computed_column", column=column))

    def recompute(
        self,
        table: TableRef,
        request: Recompute,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Computed:
        """COLUMN_NOT_FOUND; INVALID_SQL; UNSUPPORTED of columns that are not kept."""
        return Computed(**self._of(table, "recompute", cancellation, **asdict(request)))
