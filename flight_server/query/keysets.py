"""Where a page of rows goes on: the condition that rows behind a certain one meet.

The row is named by its id alone. What it is sorted by is looked up where it stands, so that no
value has to travel, whatever its type.
"""

from __future__ import annotations

from flight_server.query import dialect
from flight_server.query.dialect import Tree
from flight_server.query.expressions import ROWID, written_expression


def total_order(order_by: str | None) -> str:
    """A checked order, made one in which no two rows stand beside each other."""
    return f"{order_by}, {ROWID}" if order_by else ROWID


def behind(order_by: str | None, source: str, row_id: int) -> str:
    """The condition that rows meet which stand behind a row in `total_order`.

    `order_by` has been checked; `source` is what stands in FROM to look the row up.
    """
    keys = [_Key(order, source, row_id) for order in _orders(order_by)] if order_by else []
    same, parts = "true", []
    for key in keys:
        parts.append(f"({same} AND {key.after})")
        same = f"{same} AND {key.same}"
    parts.append(f"({same} AND {ROWID} > {int(row_id)})")
    return " OR ".join(parts)


class _Key:
    """One expression that rows are sorted by, against its value in the row."""

    def __init__(self, order: Tree, source: str, row_id: int) -> None:
        mine = written_expression(order["expression"])
        given = f"(SELECT {mine} FROM {source} WHERE {ROWID} = {int(row_id)})"
        sign = "<" if order["type"] == "DESCENDING" else ">"
        # DuckDB's own default puts nulls last, whatever the direction.
        if order["null_order"] == "NULLS FIRST":
            null = f"({given} IS NULL AND {mine} IS NOT NULL)"
        else:
            null = f"({given} IS NOT NULL AND {mine} IS NULL)"
        self.after = f"({null} OR coalesce({mine} {sign} {given}, false))"
        self.same = f"{mine} IS NOT DISTINCT FROM {given}"


def _orders(order_by: str) -> list[Tree]:
    tree = dialect.parsed(f"SELECT 1 ORDER BY {order_by}")
    orders: list[Tree] = tree["node"]["modifiers"][0]["orders"]
    return orders
