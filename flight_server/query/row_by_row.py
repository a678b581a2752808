"""Which SELECTs answer more rows with the rows that come to their table, and with nothing else.

Such a SELECT reads one table and makes of each of its rows one or none, without a look at others.
And which answer the same over the same tables, whenever they are asked. What is not surely so is
taken not to be.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

import duckdb

from flight_server.query import dialect
from flight_server.query.dialect import Tree
from flight_server.query.expressions import CLOCK_WORDS
from flight_server.query.functions import allowed_functions
from flight_server.query.tables import folded

if TYPE_CHECKING:
    from flight_server.query.statement import Statement

# Expressions that look at no other row. What a lambda is given is a part of its own.
_PLAIN = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "OPERATOR",
        "STAR",
    }
)
# Functions that make several rows of one.
_UNFOLDING = frozenset({"generate_series", "generate_subscripts", "range", "unnest"})


@functools.lru_cache(maxsize=256)
def is_row_by_row(statement: Statement) -> bool:
    """Whether each row of the answer is made of one row of the one table, and of nothing else."""
    if statement.kind != "select" or len(statement.tables) != 1 or statement.parameters:
        return False
    (use,) = statement.tables
    if statement.names_virtual_column or use.version is not None or use.as_of is not None:
        return False
    return of_each_row(json.loads(statement.tree)["node"])


def of_each_row(node: Tree) -> bool:
    """Whether a SELECT reads one table, and makes one row or none of each of its rows."""
    expected: Tree = dialect.parsed("SELECT 1")["node"]
    free = ("select_list", "from_table", "where_clause")
    if any(node.get(name) != value for name, value in expected.items() if name not in free):
        return False
    source = node["from_table"]
    if "use" not in source or source["sample"]:
        return False
    return all(map(_is_plain, _nodes([node["select_list"], node["where_clause"]])))


@functools.lru_cache(maxsize=256)
def is_volatile(sql: str) -> bool:
    """Whether a SELECT may answer otherwise the next time, over the same tables."""
    return any(map(_is_volatile, _nodes(dialect.parsed(sql))))


def _is_plain(node: Tree) -> bool:
    if "class" not in node:
        return True
    if node["class"] not in _PLAIN:
        return False
    if node["class"] != "FUNCTION":
        return True
    name, allowed = node["function_name"].lower(), allowed_functions()
    is_scalar = name in allowed["scalar"] and name not in allowed["aggregate"]
    return is_scalar and name not in _UNFOLDING


def _is_volatile(node: Tree) -> bool:
    if node.get("sample"):
        return True
    kind = node.get("class")
    if kind == "FUNCTION":
        return node["function_name"].lower() in _unstable()
    if kind == "COLUMN_REF":
        # These are columns only where there is one of that name.
        return folded(node["column_names"][-1]) in CLOCK_WORDS
    return False


@functools.cache
def _unstable() -> frozenset[str]:
    """The functions that answer otherwise by the clock, by chance, or by what was asked before."""
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            "SELECT lower(function_name) FROM duckdb_functions() "
            "WHERE stability IS NOT NULL AND stability <> 'CONSISTENT'"
        ).fetchall()
    # Of one moment `age` tells how far it is from today, which DuckDB takes for consistent.
    return frozenset(name for (name,) in rows) | {"age"}


def _nodes(part: object) -> list[Tree]:
    """Every object of a tree."""
    found: list[Tree] = []
    waiting = [part]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            found.append(one)
            waiting += one.values()
    return found
