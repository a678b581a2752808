"""How many columns a SELECT gives, as far as the statement alone can tell."""

from __future__ import annotations

import json

from flight_server.query.dialect import Tree
from flight_server.query.row_writes import nodes
from flight_server.query.statement import Statement


def width_of(statement: Statement) -> int | None:
    """The number of columns; None where a star stands for columns that only tables know."""
    return _width(json.loads(statement.tree)["node"])


def _width(node: Tree) -> int | None:
    if node["type"] == "SET_OPERATION_NODE":
        return _width(node["left"])
    if node["type"] != "SELECT_NODE":
        return None
    source = node.get("from_table") or {}
    if source.get("type") == "EXPRESSION_LIST" and _is_bare_star(node["select_list"]):
        return len(source["values"][0])
    found = nodes(node["select_list"], subqueries=False)
    return None if any(map(_may_be_several, found)) else len(node["select_list"])


def _may_be_several(node: Tree) -> bool:
    """Whether it makes several columns of one: a star in any place, a struct taken apart."""
    unnests = node["class"] == "FUNCTION" and node["function_name"] == "unnest"
    return unnests or bool(node["class"] == "STAR" or node["type"] == "OPERATOR_UNPACK")


def _is_bare_star(select_list: list[Tree]) -> bool:
    if len(select_list) != 1 or select_list[0]["class"] != "STAR":
        return False
    star = select_list[0]
    narrowing = ("exclude_list", "replace_list", "qualified_exclude_list", "expr", "relation_name")
    return not star["columns"] and not any(star[name] for name in narrowing)
