"""Checks of tables: conditions that are to hold of every row, whenever they are asked."""

from __future__ import annotations

from collections.abc import Collection

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import ROW_ID
from flight_server.query.checker import Scope
from flight_server.query.dialect import Tree
from flight_server.query.expressions import (
    CLOCK_WORDS,
    CLOCKS,
    ScalarChecker,
    parsed_expression,
    written_expression,
)
from flight_server.query.tables import folded

# What says of the same row now this and then that.
_CHANGING = (
    CLOCKS
    | CLOCK_WORDS
    | {"random", "version", "error", "age", ROW_ID, "rowid"}
    | {f"get_current_{what}" for what in ("time", "timestamp")}
    | {f"current_local{what}" for what in ("time", "timestamp")}
)


def check_rule(text: str, columns: Collection[str]) -> str:
    """The condition, as `check_predicate`, which never changes its mind about a row."""
    node = parsed_expression(text, "check")
    try:
        found = _RuleChecker(tuple(columns), False).visit(node, "expression", {})
    except RecursionError:
        raise InvalidRequest("The check is nested too deeply.", code=ErrorCode.TOO_LARGE) from None
    return written_expression(found)


class _RuleChecker(ScalarChecker):
    """Lets through what hangs on the row alone."""

    def function(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A call of a function that hangs on its arguments alone."""
        _refuse_changing(node["function_name"])
        return super().function(node, shape, scope)

    def column(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A column of the table; a row's id is none."""
        name = folded(node["column_names"][0])
        if name not in self._columns and name not in scope:
            _refuse_changing(name)
        return super().column(node, shape, scope)


def _refuse_changing(name: str) -> None:
    if folded(name) in _CHANGING:
        raise InvalidRequest(
            f"'{name}' is not allowed in a check: a row that meets it now must meet it ever.",
            code=ErrorCode.INVALID_SQL,
        )
