"""Aggregates of one table as pieces of text, put together into the SELECT that they mean.

Each piece is parsed by itself and written anew, so that none can reach into another: what has a
bracket too many in it is refused where it stands.
"""

from __future__ import annotations

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import TableRef, quoted
from flight_server.query import dialect
from flight_server.query.dialect import Tree
from flight_server.query.expressions import (
    parsed_after,
    parsed_expression,
    refuse_more,
    written_expression,
)


def aggregate_sql(
    table: TableRef,
    aggregates: str,
    group_by: str | None = None,
    filter: str | None = None,
    order_by: str | None = None,
    limit: int | None = None,
    offset: int = 0,
    version: int | None = None,
) -> str:
    """The SELECT, which is to be checked as any other. InvalidRequest (invalid_sql).

    Without a version it reads the table as the statement is read.
    """
    groups = _list(group_by, "group_by") if group_by else []
    shown = [*groups, *_list(aggregates, "aggregate")]
    columns = ", ".join(f"{text} AS {quoted(name)}" for text, name in shown)
    at = "" if version is None else f" AT (VERSION => {version:d})"
    clauses = [f"SELECT {columns} FROM {table.sql}{at}"]
    if filter is not None:
        clauses.append(f"WHERE {written_expression(parsed_expression(filter, 'filter'))}")
    if groups:
        clauses.append(f"GROUP BY {', '.join(text for text, _ in groups)}")
    if order_by:
        clauses.append(f"ORDER BY {_order(order_by)}")
    if limit is not None:
        clauses.append(f"LIMIT {int(limit)}")
    if offset:
        clauses.append(f"OFFSET {int(offset)}")
    return " ".join(clauses)


def _list(text: str, what: str) -> list[tuple[str, str]]:
    """The expressions of a list, each with its name in the answer."""
    tree = parsed_after("SELECT ", text, what)
    refuse_more(tree, dialect.parsed("SELECT 1"), "select_list", text, what)
    return [_named(node, text, what) for node in tree["node"]["select_list"]]


def _named(node: Tree, text: str, what: str) -> tuple[str, str]:
    if node["class"] in ("STAR", "CONSTANT"):
        raise InvalidRequest(
            f"'{what}' is '{text[:200]}': write expressions, such as count(*) or sum(price).",
            code=ErrorCode.INVALID_SQL,
        )
    written = written_expression(node | {"alias": ""})
    if node["alias"]:
        return written, node["alias"]
    if node["class"] == "COLUMN_REF":
        return written, node["column_names"][-1]
    return written, written.replace("count_star()", "count(*)").replace('"', "")


def _order(text: str) -> str:
    tree = parsed_after("SELECT 1 ORDER BY ", text, "order")
    refuse_more(tree, dialect.parsed("SELECT 1 ORDER BY 1"), "modifiers", text, "order")
    if [modifier["type"] for modifier in tree["node"]["modifiers"]] != ["ORDER_MODIFIER"]:
        raise InvalidRequest(
            f"The order '{text[:200]}' is more than an order.", code=ErrorCode.INVALID_SQL
        )
    return dialect.written(tree).removeprefix("SELECT 1 ORDER BY ")
