"""Filters and orders in DuckDB's SQL as the trees that it parses them into, and their constants."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb

Node = Mapping[str, Any]

# Types that the text of a constant may be cast to.
_CAST_TO = frozenset({"BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "UUID"})


class Constant(NamedTuple):
    """A constant in a filter: its type in DuckDB, and its value, a text where it is a cast one."""

    kind: str
    value: int | float | Decimal | str | bool


@contextmanager
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to an empty database, with times in UTC."""
    with _database().cursor() as connected:
        connected.execute("SET TimeZone = 'UTC'")
        yield connected


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    # One for all: to make a database takes longer than to find a row. Filters that DuckDB hands
    # down Arrow judges alone, and to it NaN is no number where to SQL it is the largest.
    return duckdb.connect(config={"disabled_optimizers": "filter_pushdown"})


def parsed(condition: str | None, order: str | None) -> Node:
    """The SELECT that has this filter and this order."""
    text = f"SELECT 1 WHERE ({condition or 'true'}) ORDER BY {order or '1'}"
    with connection() as connected:
        found = connected.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    assert found is not None, "one row was asked for"
    tree = json.loads(found[0])
    # What DuckDB cannot parse it refuses again when the rows are chosen, and says why.
    return {} if tree["error"] else dict(tree["statements"][0]["node"])


def constant(node: Node) -> Constant | None:
    """The constant that a node is, None where it is NULL or anything else."""
    if node["class"] == "CAST" and not node["try_cast"] and node["cast_type"]["id"] in _CAST_TO:
        child = constant(node["child"])
        text = child is not None and child.kind == "VARCHAR"
        return Constant(node["cast_type"]["id"], child.value) if child and text else None
    if node["class"] != "CONSTANT" or node["value"]["is_null"]:
        return None
    kind, value = node["value"]["type"], node["value"]["value"]
    if kind["id"] == "DECIMAL" and isinstance(value, int):
        return Constant("DECIMAL", Decimal(value).scaleb(-kind["type_info"]["scale"]))
    # Numbers beyond 64 bits come in two halves.
    return None if isinstance(value, Mapping) else Constant(kind["id"], value)


def cast(constants: Sequence[Constant], kind: str) -> list[str]:
    """Texts of what DuckDB makes in another type of constants that have one. duckdb.Error."""
    of = constants[0].kind
    assert of in _CAST_TO | {"VARCHAR"}, "the name of a type of ours stands in the SQL"
    sql = f"SELECT CAST(CAST(CAST(unnest(?) AS {of}) AS {kind}) AS VARCHAR)"
    with connection() as connected:
        rows = connected.execute(sql, [[one.value for one in constants]]).fetchall()
    return [text for (text,) in rows]
