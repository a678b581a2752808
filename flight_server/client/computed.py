"""Functions and computed columns: what the client does with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flight_server.client.providers import ProviderCalls


class ComputedCalls(ProviderCalls):
    """The client's methods for it, and for the providers of models that functions call."""

    def functions(self, catalog: str | None = None) -> list[dict[str, Any]]:
        """What expressions of computed columns may call, with their signatures."""
        found: list[dict[str, Any]] = self._act("list_functions", catalog=catalog)["functions"]
        return found

    def computed_columns(self, table: str) -> list[dict[str, Any]]:
        """A table's computed columns, with how many of their cells hold errors."""
        found: list[dict[str, Any]] = self._act("list_computed_columns", table=table)["columns"]
        return found

    def add_computed_column(
        self, table: str, name: str, expression: str | Mapping[str, Any], **more: Any
    ) -> dict[str, Any]:
        """Has a column computed; `more` are `on_error`, `cache_results` and `comment`."""
        told: dict[str, Any] = self._act(
            "add_computed_column", table=table, name=name, expression=expression, **more
        )
        return told

    def change_computed_column(self, table: str, column: str, **to: Any) -> dict[str, Any]:
        """Gives it another name, `rename_to`, another `expression`, or both."""
        told: dict[str, Any] = self._act("change_computed_column", table=table, column=column, **to)
        return told

    def drop_computed_column(self, table: str, column: str) -> dict[str, Any]:
        """Removes it."""
        told: dict[str, Any] = self._act("drop_computed_column", table=table, column=column)
        return told

    def recompute_column(self, table: str, column: str, **which: Any) -> dict[str, Any]:
        """Computes its cells anew; `which` are `where`, `errors_only`, `limit` and `after`."""
        told: dict[str, Any] = self._act("recompute_column", table=table, column=column, **which)
        return told

    def cell_errors(self, table: str, column: str, limit: int = 100) -> list[dict[str, Any]]:
        """What went wrong in its cells, with the keys of their rows."""
        answer = self._act("list_cell_errors", table=table, column=column, limit=limit)
        found: list[dict[str, Any]] = answer["errors"]
        return found
