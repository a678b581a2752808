"""Checks pieces of SQL that stand alone: filters, values to set, orders, defaults.

Each check returns the canonical text of the whole piece, written by DuckDB from the tree that was
looked at, so it may be put into parentheses anywhere. Every column stands alone in it: a field of
a struct becomes a call, for `t.x` would be read as the column x of a table t.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from flight_server.errors import (
    ErrorCode,
    Forbidden,
    InvalidRequest,
    PixelflightError,
    Unsupported,
    did_you_mean,
)
from flight_server.model import ROW_ID
from flight_server.query import dialect
from flight_server.query.checker import Checker, Scope
from flight_server.query.dialect import Tree
from flight_server.query.functions import LAMBDA_FUNCTIONS, SCALAR
from flight_server.query.tables import folded

# How DuckDB calls the ids of rows.
ROWID = "rowid"
# Words that SQL reads as calls where no column has their name.
CLOCK_WORDS = frozenset(
    {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
)
CLOCKS = frozenset({"now", "today", "uuid", "gen_random_uuid", "current_date", "uuidv4", "uuidv7"})


def check_predicate(text: str, columns: Collection[str], *, parameters: bool = False) -> str:
    """The filter, with every column found among `columns`; `_row_id` stands for the row's id.

    With `parameters` it may hold `$1` or `$name`, which stay. InvalidRequest (invalid_sql,
    column_not_found, too_large), Forbidden, Unsupported.
    """
    return _scalar(text, tuple(columns), "filter", parameters)


def check_expression(text: str, columns: Collection[str], *, parameters: bool = False) -> str:
    """The value that an update sets, as `check_predicate`."""
    return _scalar(text, tuple(columns), "expression", parameters)


def check_order_by(text: str, columns: Collection[str]) -> str:
    """The order, such as `a DESC NULLS LAST, b`, as `check_predicate`."""
    return _order(text, tuple(columns))


@functools.lru_cache(maxsize=128)
def columns_named(predicate: str) -> frozenset[str]:
    """The names in a predicate that may be columns', in lower case: rather too many than too few.

    It need not be one that `check_predicate` passes.
    """
    found: set[str] = set()
    waiting: list[object] = [dialect.parsed(f"SELECT 1 WHERE ({predicate}\n)")]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            found |= {name.lower() for name in node.get("column_names", ())}
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return frozenset(found)


def check_literal(text: str) -> str:
    """A default: a literal, a cast of one, a negative number, or a clock such as `now()`."""
    node = parsed_expression(text, "default")
    inner = node
    while inner["class"] == "CAST":
        inner = inner["child"]
    if not (_is_constant(inner) or _is_clock(inner)):
        raise InvalidRequest(
            f"The default '{text}' is no constant. Write a literal, CAST('…' AS type), "
            "now(), current_timestamp, current_date or uuid().",
            code=ErrorCode.INVALID_SQL,
        )
    return written_expression(Checker().visit(node, "expression", {}))


@functools.lru_cache(maxsize=512)
def _scalar(text: str, columns: tuple[str, ...], what: str, parameters: bool) -> str:
    node = parsed_expression(text, what)
    return written_expression(_checked(node, columns, parameters))


@functools.lru_cache(maxsize=128)
def _order(text: str, columns: tuple[str, ...]) -> str:
    tree = parsed_after("SELECT 1 ORDER BY ", text, "order")
    expected = parsed_after("SELECT 1 ORDER BY ", "1", "order")
    refuse_more(tree, expected, "modifiers", text, "order")
    modifiers = tree["node"]["modifiers"]
    if [modifier["type"] for modifier in modifiers] != ["ORDER_MODIFIER"]:
        raise _not_one("order", text)
    for order in modifiers[0]["orders"]:
        if order["expression"]["class"] == "CONSTANT":
            raise InvalidRequest(
                f"The order '{text}' holds a constant: name the columns to sort by.",
                code=ErrorCode.INVALID_SQL,
            )
        order["expression"] = _checked(order["expression"], columns)
    return dialect.written(tree).removeprefix("SELECT 1 ORDER BY ")


def _checked(node: Tree, columns: tuple[str, ...], parameters: bool = False) -> Tree:
    try:
        return ScalarChecker(columns, parameters).visit(node, "expression", {})
    except RecursionError:
        raise InvalidRequest(
            "The expression is nested too deeply.", code=ErrorCode.TOO_LARGE
        ) from None


class ScalarChecker(Checker):
    """Lets through scalar expressions over known columns. A scope holds names of lambdas."""

    expression_functions = SCALAR

    def __init__(self, columns: tuple[str, ...], parameters: bool) -> None:
        super().__init__()
        self._columns = {folded(column): column for column in columns}
        self.handle("expression COLUMN_REF", self.column)
        for shape, what in _REFUSED.items():
            if not (parameters and shape == "expression PARAMETER"):
                self.handle(shape, functools.partial(_refuse, what))

    def function(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A call of a scalar function, perhaps with lambdas."""
        self._check_function(node, self.expression_functions)
        if node["filter"] or node["distinct"] or node["order_bys"]["orders"]:
            raise _forbidden("An aggregate")
        if folded(node["function_name"]) not in LAMBDA_FUNCTIONS:
            return super().function(node, shape, scope)
        children = [
            # Anywhere but in the second place an arrow means JSON extraction.
            self._lambda(child, scope)
            if place == 1 and child["class"] == "LAMBDA"
            else self.visit(child, "expression", scope)
            for place, child in enumerate(node["children"])
        ]
        return super().function(node | {"children": []}, shape, scope) | {"children": children}

    def column(self, node: Tree, shape: str, scope: Scope) -> Tree:
        """A column, or a field of one."""
        name, *fields = node["column_names"]
        key = folded(name)
        if key in scope:
            found = name
        elif key in self._columns:
            found = self._columns[key]
        elif key == ROW_ID and not fields:
            found = self._id_of_row()
        elif key in CLOCK_WORDS and not fields:
            found = key
        else:
            raise InvalidRequest(
                f"There is no column '{name}'.{did_you_mean(name, self._columns.values())}",
                code=ErrorCode.COLUMN_NOT_FOUND,
                details={"column": name},
            )
        result = node | {"column_names": [found]}
        for field in fields:
            result = _field_of(result, field)
        return result

    def _id_of_row(self) -> str:
        """As DuckDB calls it, where no column has that name: lake tables have none."""
        if ROWID in self._columns:
            raise Unsupported(
                f"The table has a column '{self._columns[ROWID]}', and so no ids of its rows: "
                "rename the column."
            )
        return ROWID

    def _lambda(self, node: Tree, scope: Scope) -> Tree:
        left = node["lhs"]
        parameters = left["children"] if left["class"] == "FUNCTION" else [left]
        names = [parameter.get("column_names", ()) for parameter in parameters]
        if any(len(name) != 1 for name in names):
            raise InvalidRequest(
                "The parameters of a lambda must be plain names.", code=ErrorCode.INVALID_SQL
            )
        inner = {**scope, **{folded(name[0]): name[0] for name in names}}
        return node | {"expr": self.visit(node["expr"], "expression", inner)}


_REFUSED = {
    "expression PARAMETER": "A parameter",
    "expression POSITIONAL_REFERENCE": "A column's position",
    "expression STAR": "A star",
    "expression SUBQUERY": "A subquery",
    "expression WINDOW": "A window function",
}


def _refuse(what: str, node: Tree, shape: str, scope: Scope) -> NoReturn:
    raise _forbidden(what)


def _forbidden(what: str) -> PixelflightError:
    return Forbidden(f"{what} is not allowed here: only columns, literals and scalar functions.")


def _field_of(node: Tree, field: str) -> Tree:
    call: Tree = dialect.parsed("SELECT struct_extract(x, 'y')")["node"]["select_list"][0]
    key = call["children"][1]
    return call | {"children": [node, key | {"value": key["value"] | {"value": field}}]}


def parsed_expression(text: str, what: str) -> Tree:
    """The one expression that the text is, and nothing after it."""
    tree = parsed_after("SELECT 1 WHERE ", text, what)
    expected = parsed_after("SELECT 1 WHERE ", "1", what)
    refuse_more(tree, expected, "where_clause", text, what)
    node: Tree = tree["node"]["where_clause"]
    return node


def parsed_after(prefix: str, text: str, what: str) -> Tree:
    """The tree of the text behind a prefix; errors speak of the text alone."""
    try:
        # The line's end closes a comment that the text may end with.
        return dialect.parsed(f"{prefix}{text}\n")
    except InvalidRequest as error:
        if error.code is not ErrorCode.INVALID_SQL:
            raise
        position = max(0, error.details.get("position", 0) - len(prefix))
        reason = error.message.removeprefix("The SQL does not parse: ").partition("\n")[0]
        raise InvalidRequest(
            f"The {what} '{text[:200]}' does not parse: {reason}",
            code=ErrorCode.INVALID_SQL,
            details={"position": position},
        ) from None
    except (Forbidden, Unsupported):
        raise _not_one(what, text) from None


def refuse_more(tree: Tree, expected: Tree, part: str, text: str, what: str) -> None:
    """Refuses a text that goes on after what was asked for: `x GROUP BY y`, `x; SELECT 1`."""
    without: Callable[[Tree], dict[str, Any]] = lambda node: {  # noqa: E731
        name: value for name, value in node["node"].items() if name != part
    }
    if without(tree) != without(expected):
        raise _not_one(what, text)


def _not_one(what: str, text: str) -> InvalidRequest:
    return InvalidRequest(
        f"The {what} '{text[:200]}' is not one expression alone.", code=ErrorCode.INVALID_SQL
    )


def written_expression(node: Tree) -> str:
    """One expression as SQL, which may be put into parentheses anywhere."""
    tree = dialect.parsed("SELECT 1")
    tree["node"]["select_list"] = [node]
    return dialect.written(tree).removeprefix("SELECT ")


def _is_constant(node: Tree) -> bool:
    if node["class"] == "FUNCTION" and node["function_name"] in ("-", "+"):
        children = node["children"]
        return len(children) == 1 and bool(children[0]["class"] == "CONSTANT")
    return bool(node["class"] == "CONSTANT")


def _is_clock(node: Tree) -> bool:
    if node["class"] == "COLUMN_REF":
        names = node["column_names"]
        return len(names) == 1 and folded(names[0]) in CLOCK_WORDS
    if node["class"] != "FUNCTION" or node["children"]:
        return False
    return folded(node["function_name"]) in CLOCKS and not node["catalog"]
