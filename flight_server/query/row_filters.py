"""Row filters of grants: predicates that may mention who asks.

Beside columns, literals and scalar functions they know `current_user` (the principal's name),
`current_principal` (its id), `current_workspace`, and `has_role('…')`. These words mean the
principal even where a table has a column of that name: write `t.current_user` for the column.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.query import dialect
from flight_server.query.checker import Scope
from flight_server.query.dialect import Tree
from flight_server.query.expressions import (
    ScalarChecker,
    parsed_expression,
    written_expression,
)
from flight_server.query.tables import folded

HAS_ROLE = "has_role"
WORDS = ("current_user", "current_principal", "current_workspace")


@dataclass(frozen=True)
class Asker:
    """What a row filter may mention of its principal: `words` by name, and its roles."""

    words: tuple[tuple[str, str], ...]
    roles: frozenset[str]


@functools.lru_cache(maxsize=4096)
def bound_filter(text: str, asker: Asker) -> str:
    """The filter with the principal's own values in place of the words. InvalidRequest."""
    return _checked(text, None, asker)


def check_row_filter(text: str, columns: Collection[str] | None) -> str:
    """The filter itself, once it is known to be one; `columns` None are not known yet.

    InvalidRequest (invalid_sql, column_not_found), Forbidden, Unsupported.
    """
    _checked(text, columns, Asker(tuple((word, "") for word in WORDS), frozenset()))
    return text


def _checked(text: str, columns: Collection[str] | None, asker: Asker) -> str:
    node = parsed_expression(text, "row filter")
    try:
        found = _FilterChecker(columns, asker).visit(node, "expression", {})
    except RecursionError:
        raise InvalidRequest(
            "The row filter is nested too deeply.", code=ErrorCode.TOO_LARGE
        ) from None
    return written_expression(found)


class _FilterChecker(ScalarChecker):
    """Lets through what a filter may hold, with literals for what it says of the principal."""

    def __init__(self, columns: Collection[str] | None, asker: Asker) -> None:
        super().__init__(tuple(columns or ()), parameters=False)
        self._words: Mapping[str, str] = dict(asker.words)
        self._roles = asker.roles
        self._any_column = columns is None

    def column(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A word for the principal, or a column."""
        name, *fields = node["column_names"]
        key = folded(name)
        if key in self._words and not fields and key not in scope:
            return _literal(self._words[key]) | {"alias": node["alias"]}
        if self._any_column and key not in scope:
            self._columns.setdefault(key, name)
        return super().column(node, shape, scope)

    def function(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A call, of which `has_role` is answered here."""
        name = folded(node["function_name"])
        if name in self._words and not node["children"]:
            return _literal(self._words[name]) | {"alias": node["alias"]}
        if name != HAS_ROLE or node["schema"] or node["catalog"]:
            return super().function(node, shape, scope)
        children = node["children"]
        is_one = len(children) == 1 and children[0]["class"] == "CONSTANT"
        role = children[0]["value"].get("value") if is_one else None
        if not isinstance(role, str):
            raise InvalidRequest(
                f"{HAS_ROLE} takes the name of one role as text: {HAS_ROLE}('auditor').",
                code=ErrorCode.INVALID_SQL,
            )
        return _truth(role in self._roles) | {"alias": node["alias"]}


def _literal(text: str) -> Tree:
    node: Tree = _template("SELECT 'x'")
    return node | {"value": node["value"] | {"value": text}}


def _truth(value: bool) -> Tree:
    return _template("SELECT true" if value else "SELECT false")


@functools.cache
def _template(sql: str) -> Tree:
    node: Tree = dialect.parsed(sql)["node"]["select_list"][0]
    return node
