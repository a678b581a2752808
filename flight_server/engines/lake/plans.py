"""DuckDB's plan of a query as text for a person, without what is nobody's business.

DuckDB's own drawing names the files that were read and quotes the statement that was run, which
is our rewriting of the client's. Here only details that stand on a list are told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.bindings import bound, inputs_bound
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.instance import TEMPORARY
from flight_server.model import SqlRequest

_TOLD = (
    "Table",
    "Function",
    "Join Type",
    "Conditions",
    "Groups",
    "Aggregates",
    "Order By",
    "Top",
    "Filters",
    "Dynamic Filters",
    "Projections",
    "Total Files Read",
    "Scanning Files",
    "Inlined Tables Read",
)
_HIDDEN = re.compile(rf'{TEMPORARY}\.\w+\.|"?temp"?\.main\."?_pixelflight_lent_\d+_')
_PRIVATE_NAMES = ("EXPLAIN_ANALYZE",)


def explained(
    connection: duckdb.DuckDBPyConnection,
    request: SqlRequest,
    analyze: bool,
    cancellation: Cancellation,
) -> str:
    """DuckDB's plan of a statement as text; to be analyzed, it is run."""
    verb = "EXPLAIN (ANALYZE, FORMAT json)" if analyze else "EXPLAIN (FORMAT json)"
    with (
        inputs_bound(connection, request, cancellation if analyze else None),
        translated("The query"),
        cancellation.interrupting(connection.interrupt),
    ):
        answer = connection.execute(f"{verb} {request.sql}", bound(request.parameters))
        text = str(answer.fetchall()[0][1])
    return analyzed(text) if analyze else planned(text)


def planned(text: str) -> str:
    """The plan that `EXPLAIN (FORMAT json)` answered with: a line an operator, indented."""
    return "\n".join(line for root in json.loads(text) for line in _lines(root, 0))


def analyzed(text: str) -> str:
    """The same of `EXPLAIN (ANALYZE, FORMAT json)`, with rows and seconds as measured."""
    measured = json.loads(text)
    if "latency" not in measured:
        # What DuckDB says of a count that it knows without running anything.
        return "nothing to measure: answered from what the catalog knows"
    head = (
        f"total {measured['latency']:.4f} s, {measured['cumulative_rows_scanned']:,} rows scanned"
    )
    return "\n".join([head, *(line for root in measured["children"] for line in _lines(root, 0))])


def _lines(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    name = str(node.get("operator_name") or node.get("name")).strip()
    below = depth
    if name not in _PRIVATE_NAMES:
        yield f"{'  ' * depth}{name}  {_numbers(node)}".rstrip()
        for key in _TOLD:
            if key in node["extra_info"]:
                yield f"{'  ' * depth}  · {key}: {_joined(node['extra_info'][key])}"
        below += 1
    for child in node["children"]:
        yield from _lines(child, below)


def _numbers(node: Mapping[str, Any]) -> str:
    if "operator_cardinality" in node:
        return f"({node['operator_cardinality']:,} rows, {node['operator_timing']:.4f} s)"
    estimate = node["extra_info"].get("Estimated Cardinality")
    return f"(about {int(estimate):,} rows)" if estimate else ""


def _joined(value: str | list[str]) -> str:
    # Where the temporary tables of a session are is nobody's business.
    return _HIDDEN.sub("temp.", value if isinstance(value, str) else ", ".join(value))
