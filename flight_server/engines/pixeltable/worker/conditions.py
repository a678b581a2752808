"""What PostgreSQL does of a request, so that fewer rows are read: conditions, orders and limits.

DuckDB judges every row that comes all the same. So a condition here may keep more rows than the
filter does, but none fewer: it is made of those parts of the filter that both databases decide
alike. An order and a limit come with it only where it is the whole filter.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pixeltable as pxt
import pyarrow as pa
import pyarrow.types as kinds
from pixeltable import type_system as types
from pixeltable.catalog.table_metadata import TableMetadata

from flight_server.engines.pixeltable.worker import trees
from flight_server.engines.pixeltable.worker.columns import Column, Shape
from flight_server.engines.pixeltable.worker.literals import bound_of, values_of
from flight_server.engines.pixeltable.worker.references import expression
from flight_server.engines.pixeltable.worker.trees import Node
from flight_server.engines.required_values import plain_type
from flight_server.engines.safe_casts import is_text
from flight_server.errors import Unsupported

# An expression of Pixeltable's that is a truth value.
Condition = Any
Operator = Callable[[Any, Any], Any]

# Types whose values have one order. Text has one for each collation.
_ORDERED = (types.IntType, types.FloatType, types.DateType, types.TimestampType)
_SORTED = (*_ORDERED, types.BoolType)

_OPERATORS: Mapping[str, Operator] = {
    "COMPARE_EQUAL": operator.eq,
    "COMPARE_NOTEQUAL": operator.ne,
    "COMPARE_LESSTHAN": operator.lt,
    "COMPARE_LESSTHANOREQUALTO": operator.le,
    "COMPARE_GREATERTHAN": operator.gt,
    "COMPARE_GREATERTHANOREQUALTO": operator.ge,
}
_OF_EQUALITY = (operator.eq, operator.ne)
_FROM_THE_RIGHT: Mapping[Operator, Operator] = {
    operator.lt: operator.gt,
    operator.gt: operator.lt,
    operator.le: operator.ge,
    operator.ge: operator.le,
}
# Which whole number stands in a comparison for a number that is none.
_ROUNDED: Mapping[Operator, Callable[[Any], int]] = {
    operator.lt: math.ceil,
    operator.ge: math.ceil,
    operator.le: math.floor,
    operator.gt: math.floor,
}


@dataclass(frozen=True)
class Share:
    """What is PostgreSQL's to do: all rows in no order, where nothing is said."""

    where: Condition | None = None
    order: tuple[tuple[Any, bool], ...] = ()
    limit: int | None = None
    offset: int = 0

    def of(self, query: pxt.Query) -> pxt.Query:
        """The query, with it."""
        if self.where is not None:
            query = query.where(self.where)
        for sorted_by, ascending in self.order:
            query = query.order_by(sorted_by, asc=ascending)
        if self.limit is None and not self.offset:
            return query
        return query.limit(2**62 if self.limit is None else self.limit, offset=self.offset or None)


def share_of(
    table: pxt.Table,
    columns: Sequence[Column],
    stored: set[str],
    *,
    filter_: str | None,
    order_by: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Share:
    """PostgreSQL's share of a request. `stored` names the columns that it keeps the values of."""
    if filter_ is None and order_by is None:
        return Share(limit=limit, offset=offset)
    tree = trees.parsed(filter_, order_by)
    if not tree:
        return Share()
    known = _Known(table, columns, stored)
    parts = _conjuncts(tree["where_clause"]) if filter_ is not None else []
    made = [known.condition(part) for part in parts]
    found = [one for one in made if one is not None]
    where = _joined(found, operator.and_) if found else None
    if limit is None or len(found) < len(parts):
        return Share(where)
    order = known.order(tree["modifiers"]) if order_by is not None else ()
    return Share(where) if order is None else Share(where, order, limit, offset)


def exactly(
    table: pxt.Table, columns: Sequence[Column], stored: set[str], filter_: str
) -> Condition:
    """The whole filter as Pixeltable's own. Unsupported where it says more than that can."""
    made = whole(table, columns, stored, filter_)
    if made is None:
        raise Unsupported(
            "A filter of a view compares columns that hold numbers, texts, moments, UUIDs or "
            "truth values with constants, joined by AND, OR and NOT: this one says more."
        )
    return made


def whole(
    table: pxt.Table, columns: Sequence[Column], stored: set[str], filter_: str
) -> Condition | None:
    """The whole filter as Pixeltable's own; None where it says more than that can."""
    tree = trees.parsed(filter_, None)
    return _Known(table, columns, stored).condition(tree["where_clause"]) if tree else None


def stored(told: TableMetadata) -> set[str]:
    """The names of the columns whose values are kept, and not computed whenever they are read.

    A view of some columns names those of its base, which are kept there.
    """
    columns, base = told["columns"].items(), told["base"]
    found = {name for name, column in columns if column["is_stored"]}
    named = {name: column["computed_with"] for name, column in columns if name not in found}
    if base is not None and any(named.values()):
        below = stored(pxt.get_table(base).get_metadata())
        found |= {name for name, of in named.items() if of in below}
    return found


class _Known:
    """The columns that PostgreSQL can judge, and what is made of parts of a filter with them."""

    def __init__(self, table: pxt.Table, columns: Sequence[Column], stored: set[str]) -> None:
        self._table = table
        # Of two names that differ in case alone, DuckDB takes the first for both.
        first = {column.name.lower(): column for column in reversed(columns)}
        self._columns = {
            name: column
            for name, column in first.items()
            if column.shape is Shape.ID or (column.name in stored and _means_the_same(column))
        }

    def condition(self, node: Node) -> Condition | None:
        """What a part of a filter says, neither more nor less."""
        kind = node["type"]
        if kind in ("CONJUNCTION_AND", "CONJUNCTION_OR"):
            parts = [self.condition(child) for child in node["children"]]
            joint = operator.and_ if kind == "CONJUNCTION_AND" else operator.or_
            return None if any(part is None for part in parts) else _joined(parts, joint)
        if kind == "OPERATOR_NOT":
            part = self.condition(node["children"][0])
            return None if part is None else ~part
        if node["class"] == "COMPARISON":
            return self._comparison(kind, node["left"], node["right"])
        return self._of_one_column(node)

    def order(self, modifiers: Sequence[Node]) -> tuple[tuple[Any, bool], ...] | None:
        """The columns to sort by, and whether upwards. None where it is not by columns alone."""
        order: list[tuple[Any, bool]] = []
        for item in (item for modifier in modifiers for item in modifier["orders"]):
            column = self._column(item["expression"])
            if column is None or not isinstance(column.type, _SORTED):
                return None
            reference = expression(self._table, column)
            if column.type.nullable:
                # DuckDB sorts nulls to the end unless told otherwise, PostgreSQL to the top.
                order.append((reference == None, item["null_order"] != "NULLS FIRST"))  # noqa: E711
            order.append((reference, item["type"] != "DESCENDING"))
        return tuple(order)

    def _of_one_column(self, node: Node) -> Condition | None:
        children = node.get("children") or [node.get("input", node)]
        column = self._column(children[0])
        if column is None:
            return None
        reference = expression(self._table, column)
        match node["type"]:
            case "COLUMN_REF":
                return reference if isinstance(column.type, types.BoolType) else None
            case "OPERATOR_IS_NULL":
                return reference == None  # noqa: E711
            case "OPERATOR_IS_NOT_NULL":
                return reference != None  # noqa: E711
            case "COMPARE_BETWEEN" if isinstance(column.type, _ORDERED):
                values = _values(column, [node["lower"], node["upper"]])
                return values and (reference >= values[0]) & (reference <= values[1])
            case "COMPARE_IN" | "COMPARE_NOT_IN" as kind:
                values = _values(column, children[1:])
                if values is None:
                    return None
                found = reference.isin(values)
                return found if kind == "COMPARE_IN" else ~found
        return None

    def _comparison(self, kind: str, left: Node, right: Node) -> Condition | None:
        column, other, compare = self._column(left), right, _OPERATORS.get(kind)
        if column is None:
            column, other = self._column(right), left
            compare = None if compare is None else _FROM_THE_RIGHT.get(compare, compare)
        if column is None:
            return None
        reference = expression(self._table, column)
        if compare is not None:
            return _compared(column, reference, compare, other)
        values = _values(column, [other])
        if values is None or kind not in ("COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM"):
            return None
        is_other = (reference == None) | (reference != values[0])  # noqa: E711
        return is_other if kind == "COMPARE_DISTINCT_FROM" else ~is_other

    def _column(self, node: Node) -> Column | None:
        if node["class"] == "CAST" and node["cast_type"]["id"] == "BOOLEAN":
            # So `even IS TRUE` is parsed.
            column = self._column(node["child"])
            return column if column and isinstance(column.type, types.BoolType) else None
        if node["class"] != "COLUMN_REF" or len(node["column_names"]) != 1:
            return None
        return self._columns.get(node["column_names"][0].lower())


def _means_the_same(column: Column) -> bool:
    """Whether what PostgreSQL keeps compares as what DuckDB is shown of the column."""
    kind, kept = plain_type(column.field.type), column.kept
    if column.shape is not Shape.PLAIN:
        return False
    if isinstance(column.field.type, pa.BaseExtensionType) or kind == kept:
        return bool(column.field.type == kept)
    alike = kinds.is_integer(kind) and kinds.is_integer(kept)
    return alike or (is_text(kind) and is_text(kept))


def _compared(column: Column, reference: Any, compare: Operator, other: Node) -> Condition | None:
    if compare not in _OF_EQUALITY and not isinstance(column.type, _ORDERED):
        return None
    constant = trees.constant(other)
    if constant is None:
        return None
    if isinstance(column.type, types.IntType) and compare in _ROUNDED:
        bound = bound_of(constant, _ROUNDED[compare])
        if bound is not None:
            return compare(reference, bound)
    values = values_of(column.type, [constant])
    return values and compare(reference, values[0])


def _values(column: Column, nodes: Sequence[Node]) -> list[Any] | None:
    constants = [trees.constant(node) for node in nodes]
    present = [one for one in constants if one is not None]
    return values_of(column.type, present) if len(present) == len(constants) else None


def _conjuncts(node: Node) -> list[Node]:
    if node["type"] != "CONJUNCTION_AND":
        return [node]
    return [part for child in node["children"] for part in _conjuncts(child)]


def _joined(parts: Sequence[Condition], joint: Operator) -> Condition:
    """Many as one. By halves: each step copies all that it joins."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return joint(_joined(parts[:middle], joint), _joined(parts[middle:], joint))
