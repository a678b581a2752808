"""Literals in place of the parameters of a condition."""

from __future__ import annotations

from collections.abc import Mapping

from flight_server.query import dialect
from flight_server.query.expressions import parsed_expression, written_expression
from flight_server.query.row_writes import nodes


def with_values(condition: str, values: Mapping[str, int | str]) -> str:
    """The condition with the values in place of its parameters."""
    tree = parsed_expression(condition, "filter")
    # Found first, so that what is put in place is not looked at.
    for node in [node for node in nodes(tree) if node["class"] == "PARAMETER"]:
        value = values[node["identifier"]]
        text = f"{value:d}" if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
        (literal,) = dialect.parsed(f"SELECT {text}")["node"]["select_list"]
        node.clear()
        node.update(literal)
    return written_expression(tree)
