"""Many rows of parameters for one INSERT … VALUES, as one SELECT over a table of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flight_server.model import PARAMETER_ROWS
from flight_server.query.expressions import written_expression
from flight_server.query.row_writes import nodes
from flight_server.query.statement import Statement


def over_rows(statement: Statement, columns: Mapping[str, str]) -> str | None:
    """The SELECT that gives, for each row of parameters, what one row of VALUES says of it.

    `columns` maps each parameter to its column. None where the statement is anything but a single
    row of VALUES without subqueries: then it means something else for many rows than for each.
    """
    node = json.loads(statement.tree)["node"]
    source = node.get("from_table") or {}
    is_values = source.get("type") == "EXPRESSION_LIST" and len(source["values"]) == 1
    if statement.tables or not is_values or node["cte_map"]["map"] or node["modifiers"]:
        return None
    row = source["values"][0]
    if any(found["class"] == "SUBQUERY" for found in nodes(row) if "class" in found):
        return None
    for found in nodes(row):
        if found.get("class") == "PARAMETER":
            name = columns[found.pop("identifier")]
            found.update({"class": "COLUMN_REF", "type": "COLUMN_REF", "column_names": [name]})
    return f"SELECT {', '.join(map(written_expression, row))} FROM {PARAMETER_ROWS}"
