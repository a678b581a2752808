"""Row filters of grants: predicates that may mention who asks.

Beside columns, literals and scalar functions they know `current_user` (the principal's name),
`current_principal` (its id), `current_workspace`, and `has_role('…')`. These words mean the
principal even where a table has a column of that name: `t.current_user`, with whatever before the
dot, is the column.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flight_server.errors import ErrorCode, InvalidRequest, PixelflightError
from flight_server.model import ROW_ID
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
# What `_row_id` is called once a filter is bound.
_ROW_ID_BOUND = "rowid"
_QUALIFIED = [[word] for word in WORDS]


@dataclass(frozen=True)
class Asker:
    """What a row filter may mention of its principal: `words` by name, and its roles."""

    words: tuple[tuple[str, str], ...]
    roles: frozenset[str]


_NOBODY = Asker(tuple((word, "") for word in WORDS), frozenset())


@functools.lru_cache(maxsize=4096)
def bound_filter(text: str, asker: Asker) -> str:
    """The filter with the principal's own values in place of the words. InvalidRequest."""
    return _checked(text, None, asker)


def check_row_filter(text: str, columns: Collection[str] | None) -> str:
    """The filter itself, once it is known to be one; `columns` None are not known yet.

    InvalidRequest (invalid_sql, column_not_found), Forbidden, Unsupported.
    """
    _checked(text, columns, _NOBODY)
    return text


@functools.lru_cache(maxsize=4096)
def fits(bound: str, columns: tuple[str, ...]) -> bool:
    """Whether a table of these columns has all that a bound filter names."""
    checker = ScalarChecker((*columns, _ROW_ID_BOUND), parameters=False)
    try:
        checker.visit(parsed_expression(bound, "row filter"), "expression", {})
    except PixelflightError:
        return False
    return True


def mentions_asker(text: str) -> bool:
    """Whether the filter means something else for another principal. Errors as its check."""
    checker = _FilterChecker(None, _NOBODY)
    _visited(text, checker)
    return checker.mentions_asker


def _checked(text: str, columns: Collection[str] | None, asker: Asker) -> str:
    return written_expression(_visited(text, _FilterChecker(columns, asker)))


def _visited(text: str, checker: _FilterChecker) -> Tree:
    node = parsed_expression(text, "row filter")
    try:
        return checker.visit(node, "expression", {})
    except RecursionError:
        raise InvalidRequest(
            "The row filter is nested too deeply.", code=ErrorCode.TOO_LARGE
        ) from None


class _FilterChecker(ScalarChecker):
    """Lets through what a filter may hold, with literals for what it says of the principal."""

    def __init__(self, columns: Collection[str] | None, asker: Asker) -> None:
        super().__init__(tuple(columns or ()), parameters=False)
        self._words: Mapping[str, str] = dict(asker.words)
        self._roles = asker.roles
        self._any_column = columns is None
        self.mentions_asker = False

    def column(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A word for the principal, or a column."""
        name, *fields = node["column_names"]
        key = folded(name)
        if key in self._words and not fields and key not in scope:
            return self._said(key, node)
        if [folded(field) for field in fields] in _QUALIFIED and key not in scope:
            name, key = fields[0], folded(fields[0])
            node = node | {"column_names": fields}
        if self._any_column and key not in scope and key != ROW_ID:
            self._columns.setdefault(key, name)
        return super().column(node, shape, scope)

    def function(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A call, of which `has_role` is answered here."""
        name = folded(node["function_name"])
        if name in self._words and not node["children"]:
            return self._said(name, node)
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
        self.mentions_asker = True
        return _truth(role in self._roles) | {"alias": node["alias"]}

    def _said(self, word: str, node: Tree) -> Tree:
        self.mentions_asker = True
        return _literal(self._words[word]) | {"alias": node["alias"]}


def _literal(text: str) -> Tree:
    node: Tree = _template("SELECT 'x'")
    return node | {"value": node["value"] | {"value": text}}


def _truth(value: bool) -> Tree:
    return _template("SELECT true" if value else "SELECT false")


@functools.cache
def _template(sql: str) -> Tree:
    node: Tree = dialect.parsed(sql)["node"]["select_list"][0]
    return node
