"""SELECTs that are nothing but the scan of one table, which can be read in parallel parts.

What is not surely one is none: the statement then runs as it is.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from flight_server.errors import PixelflightError
from flight_server.model import ROW_ID
from flight_server.query import dialect
from flight_server.query.conjuncts import conditions_of
from flight_server.query.dialect import Tree
from flight_server.query.expressions import CLOCK_WORDS, written_expression
from flight_server.query.row_writes import nodes
from flight_server.query.statement import Statement
from flight_server.query.tables import TableUse, folded

_REFUSED = frozenset({"LAMBDA", "PARAMETER", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "WINDOW"})


@dataclass(frozen=True)
class ScanShape:
    """A scan: `columns` None are all. The texts name columns by their bare names.

    `conditions` is of how many the filter is made that must all be met. `check_predicate` and
    `check_order_by` say whether the texts can be used.
    """

    table: TableUse
    columns: tuple[str, ...] | None = None
    filter: str | None = None
    order_by: str | None = None
    limit: int | None = None
    offset: int = 0
    conditions: int = 0


class _NoScanError(Exception):
    """Says that the statement is more than a scan, or may be."""


@functools.lru_cache(maxsize=256)
def simple_scan(statement: Statement) -> ScanShape | None:
    """The scan that the statement is, or None."""
    virtual = statement.names_virtual_column
    if statement.kind != "select" or len(statement.tables) != 1 or virtual or statement.parameters:
        return None
    node = json.loads(statement.tree)["node"]
    try:
        return _shape(node, statement.tables[0])
    except (_NoScanError, PixelflightError):
        return None


def _shape(node: Tree, use: TableUse) -> ScanShape:
    if use.search is not None:
        raise _NoScanError
    _check_plain(node)
    qualifiers = _qualifiers(node["from_table"], use)
    limit, offset = _limits(node["modifiers"])
    where, order_by = node["where_clause"], None
    conditions = len(conditions_of(where))
    for modifier in node["modifiers"]:
        if modifier["type"] == "ORDER_MODIFIER":
            order_by = _order(modifier["orders"], qualifiers)
    return ScanShape(
        use,
        _columns(node["select_list"], qualifiers),
        None if where is None else written_expression(_bare(where, qualifiers)),
        order_by,
        limit,
        offset,
        conditions,
    )


def _check_plain(node: Tree) -> None:
    """That nothing but columns, WHERE, ORDER BY and LIMIT is there."""
    expected: Tree = dialect.parsed("SELECT 1")["node"]
    free = ("select_list", "from_table", "where_clause", "modifiers")
    if any(node.get(name) != value for name, value in expected.items() if name not in free):
        raise _NoScanError
    source = node["from_table"]
    if "use" not in source or source["sample"] or source["column_name_alias"]:
        raise _NoScanError
    kinds = [modifier["type"] for modifier in node["modifiers"]]
    if not set(kinds) <= {"ORDER_MODIFIER", "LIMIT_MODIFIER"} or len(kinds) > len(set(kinds)):
        raise _NoScanError


def _qualifiers(source: Tree, use: TableUse) -> set[tuple[str, ...]]:
    """What may stand before a column's name."""
    if source["alias"]:
        return {(folded(source["alias"]),)}
    table = use.table
    parts = tuple(folded(part) for part in (table.catalog, table.namespace, table.name))
    return {parts, parts[1:], parts[2:]}


def _columns(select_list: list[Tree], qualifiers: set[tuple[str, ...]]) -> tuple[str, ...] | None:
    if len(select_list) == 1 and select_list[0]["class"] == "STAR":
        star, expected = dict(select_list[0]), dict(_star())
        qualifier = folded(star.pop("relation_name"))
        expected.pop("relation_name")
        if star != expected | {"query_location": star["query_location"]}:
            raise _NoScanError
        if qualifier and (qualifier,) not in qualifiers:
            raise _NoScanError
        return None
    found: list[str] = []
    for node in select_list:
        if node["class"] != "COLUMN_REF":
            raise _NoScanError
        names = _bare_names(node["column_names"], qualifiers)
        if len(names) != 1 or node["alias"] not in ("", names[0]):
            raise _NoScanError
        found.append(names[0])
    if len({folded(name) for name in found}) < len(found) or CLOCK_WORDS & set(map(folded, found)):
        raise _NoScanError
    return tuple(found)


def _bare(expression: Tree, qualifiers: set[tuple[str, ...]]) -> Tree:
    """The expression with every column named by its own name."""
    for node in nodes(expression):
        if node["class"] in _REFUSED:
            raise _NoScanError
        if node["class"] == "COLUMN_REF":
            node["column_names"] = _bare_names(node["column_names"], qualifiers)
    return expression


def _bare_names(names: list[str], qualifiers: set[tuple[str, ...]]) -> list[str]:
    for length in (3, 2, 1):
        if len(names) > length and tuple(map(folded, names[:length])) in qualifiers:
            names = names[length:]
            break
    # A scan knows this name for the ids of rows, and SQL does not.
    if folded(names[0]) in (ROW_ID, "rowid"):
        raise _NoScanError
    return names


def _order(orders: list[Tree], qualifiers: set[tuple[str, ...]]) -> str:
    for order in orders:
        if order["expression"]["class"] == "CONSTANT":
            raise _NoScanError
        order["expression"] = _bare(order["expression"], qualifiers)
    tree = dialect.parsed("SELECT 1 ORDER BY 1")
    tree["node"]["modifiers"][0]["orders"] = orders
    return dialect.written(tree).removeprefix("SELECT 1 ORDER BY ")


def _limits(modifiers: list[Tree]) -> tuple[int | None, int]:
    for modifier in modifiers:
        if modifier["type"] == "LIMIT_MODIFIER":
            limit, offset = _count(modifier["limit"]), _count(modifier["offset"])
            return limit, offset or 0
    return None, 0


def _count(node: Tree | None) -> int | None:
    if node is None:
        return None
    value: Any = node["value"].get("value") if node["class"] == "CONSTANT" else None
    if type(value) is not int:
        raise _NoScanError
    return value


@functools.cache
def _star() -> Tree:
    node: Tree = dialect.parsed("SELECT * FROM t")["node"]["select_list"][0]
    return node
