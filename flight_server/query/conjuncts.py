"""What a statement's WHERE says of one table alone, so that its engine need not give other rows.

Only of tables of other catalogs than the lake's: DuckDB sees to those itself. And only what every
engine judges alike: comparisons of whole numbers and of text, the latter for equality, with
constants and parameters. The statement keeps its WHERE; what is found here only spares rows that
it would drop. And a LIMIT, where each row of the table is one of the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from flight_server.model import DEFAULT_CATALOG, TEMPORARY_CATALOG
from flight_server.query.dialect import Tree
from flight_server.query.expressions import CLOCK_WORDS, written_expression
from flight_server.query.row_by_row import of_each_row
from flight_server.query.tables import Compared, Conjunct, TableUse, folded

_OF_TEXT = frozenset({"COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_IN"})
_OF_NUMBERS = _OF_TEXT | {
    "COMPARE_BETWEEN",
    "COMPARE_GREATERTHAN",
    "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_LESSTHAN",
    "COMPARE_LESSTHANOREQUALTO",
}
_NONE = {"class": "CONSTANT", "value": {"value": 0}}
_NULLS = frozenset({"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"})
# Joins by which each row of the left side is kept or dropped, and never made another one.
_KEEP_LEFT = frozenset({"LEFT", "SEMI", "ANTI"})


class _ManyError(Exception):
    """Says that a condition is no conjunct of one table."""


@dataclass
class _Place:
    """A table in FROM: which use it is, by what names its columns go, and whether by bare ones."""

    use: int
    qualifiers: set[tuple[str, ...]]
    is_alone: bool


def with_conjuncts(tree: Tree, uses: Sequence[TableUse]) -> tuple[TableUse, ...]:
    """The uses of a checked tree, those of other catalogs with their conjuncts."""
    if not any(map(_is_foreign, uses)):
        return tuple(uses)
    found: dict[int, list[Conjunct]] = {}
    for node in _selects(tree):
        # Written by columns' bare names, which must not change what is run.
        node = json.loads(json.dumps(node))
        places = _places(node["from_table"], uses)
        for condition in conditions_of(node["where_clause"]):
            try:
                place, conjunct = _conjunct(condition, places)
            except _ManyError:
                continue
            found.setdefault(place.use, []).append(conjunct)
    limit = _limit(tree["node"], found.get(0, ()))
    return tuple(
        replace(use, conjuncts=tuple(found.get(at, ())), limit=limit) if _is_foreign(use) else use
        for at, use in enumerate(uses)
    )


def conditions_of(where: Tree | None) -> list[Tree]:
    """The conditions that a row must all meet."""
    if where is None:
        return []
    if where["type"] != "CONJUNCTION_AND":
        return [where]
    return [part for child in where["children"] for part in conditions_of(child)]


def _limit(node: Tree, conjuncts: Sequence[Conjunct]) -> int | None:
    """How many rows that meet these conjuncts the answer can be made of, where that is known."""
    if [one["type"] for one in node.get("modifiers", ())] != ["LIMIT_MODIFIER"]:
        return None
    is_select = node["type"] == "SELECT_NODE"
    if not is_select or not of_each_row(node | {"modifiers": []}):
        return None
    if len(conditions_of(node["where_clause"])) > len(conjuncts):
        return None
    (modifier,) = node["modifiers"]
    limit, offset = _count(modifier["limit"]), _count(modifier["offset"] or _NONE)
    return None if limit is None or offset is None else limit + offset


def _count(node: Tree | None) -> int | None:
    if node is None or node["class"] != "CONSTANT":
        return None
    value = node["value"].get("value")
    return value if type(value) is int else None


def _is_foreign(use: TableUse) -> bool:
    # What a search finds is not what it would find among fewer rows.
    return use.search is None and use.table.catalog not in (DEFAULT_CATALOG, TEMPORARY_CATALOG)


def _selects(tree: Tree) -> Iterator[Tree]:
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if node.get("type") == "SELECT_NODE" and node["where_clause"] and not node["sample"]:
                yield node
            waiting += node.values()


def _places(source: Tree, uses: Sequence[TableUse]) -> list[_Place]:
    """The tables in FROM whose rows can be spared before they are joined."""
    leaves = list(_leaves(source, True))
    names = [_qualifiers(leaf, uses) for leaf, _ in leaves]
    return [
        _Place(leaf["use"], mine, len(leaves) == 1)
        for at, ((leaf, is_kept), mine) in enumerate(zip(leaves, names, strict=True))
        if is_kept
        and "use" in leaf
        and not leaf["sample"]
        and not leaf["column_name_alias"]
        and not any(mine & other for place, other in enumerate(names) if place != at)
    ]


def _leaves(source: Tree, is_kept: bool) -> Iterator[tuple[Tree, bool]]:
    """What is joined, and whether a row that WHERE drops may as well be missing there."""
    if source["type"] != "JOIN":
        yield source, is_kept
        return
    is_plain = source["ref_type"] in ("REGULAR", "CROSS")
    is_inner = is_plain and source["join_type"] == "INNER"
    keeps_left = is_plain and source["join_type"] in _KEEP_LEFT
    yield from _leaves(source["left"], is_kept and (is_inner or keeps_left))
    yield from _leaves(source["right"], is_kept and is_inner)


def _qualifiers(leaf: Tree, uses: Sequence[TableUse]) -> set[tuple[str, ...]]:
    """What may stand before the name of a column."""
    if leaf["alias"] or "use" not in leaf:
        return {(folded(leaf["alias"] or leaf.get("table_name") or ""),)}
    table = uses[leaf["use"]].table
    parts = tuple(folded(part) for part in (table.catalog, table.namespace, table.name))
    return {parts, parts[1:], parts[2:]}


def _conjunct(condition: Tree, places: Sequence[_Place]) -> tuple[_Place, Conjunct]:
    columns: list[Compared] = []
    found = {place.use: place for place in _judged(condition, places, columns)}
    if len(found) != 1:
        raise _ManyError
    (place,) = found.values()
    return place, Conjunct(written_expression(condition), tuple(columns))


def _judged(node: Tree, places: Sequence[_Place], columns: list[Compared]) -> Iterator[_Place]:
    """The tables of a condition's columns, which are noted with what they are compared with."""
    kind = node["type"]
    if node["class"] == "CONJUNCTION":
        for child in node["children"]:
            yield from _judged(child, places, columns)
        return
    if node["class"] == "COMPARISON":
        sides = sorted((node["left"], node["right"]), key=lambda side: side["class"])
    elif kind == "COMPARE_BETWEEN":
        sides = [node["input"], node["lower"], node["upper"]]
    elif kind == "COMPARE_IN" or kind in _NULLS:
        sides = node["children"]
    else:
        raise _ManyError
    column, *others = sides
    if column["class"] != "COLUMN_REF":
        raise _ManyError
    place = _owner(column, places)
    columns.append(_compared(column["column_names"][0], kind, others))
    yield place


def _compared(column: str, kind: str, others: Sequence[Tree]) -> Compared:
    found = {"number"} if kind in _OF_NUMBERS or kind in _NULLS else set()
    found |= {"text"} if kind in _OF_TEXT or kind in _NULLS else set()
    parameters = tuple(one["identifier"] for one in others if one["class"] == "PARAMETER")
    for one in others:
        if one["class"] != "PARAMETER":
            found &= {_kind_of_constant(one)}
    if not found:
        raise _ManyError
    return Compared(column, frozenset(found), parameters)


def _kind_of_constant(node: Tree) -> str:
    if node["class"] != "CONSTANT" or node["value"]["is_null"]:
        raise _ManyError
    kind = node["value"]["type"]["id"]
    if kind in ("INTEGER", "BIGINT"):
        return "number"
    if kind == "VARCHAR":
        return "text"
    raise _ManyError


def _owner(column: Tree, places: Sequence[_Place]) -> _Place:
    """The table that a column is of; its name is made bare."""
    *qualifier, name = column["column_names"]
    if folded(name) in CLOCK_WORDS:
        raise _ManyError
    for place in places:
        if tuple(map(folded, qualifier)) in place.qualifiers or (place.is_alone and not qualifier):
            column["column_names"] = [name]
            return place
    raise _ManyError
