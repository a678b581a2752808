"""Rows of the table `model_usage`: calls of models added to a day, and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select
from sqlalchemy.dialects import postgresql, sqlite

from flight_server.metastore.tables import model_usage

AMOUNTS = ("calls", "errors", "input_tokens", "output_tokens", "cost")
_KEY = ("workspace", "day", "provider", "function", "model")
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def add_calls(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds the amounts of each row to those of its day, function and model."""
    statement = _INSERTS[connection.dialect.name](model_usage)
    added = {name: model_usage.c[name] + statement.excluded[name] for name in AMOUNTS}
    connection.execute(
        statement.on_conflict_do_update(index_elements=_KEY, set_=added),
        [dict(row) for row in rows],
    )


def read_calls(
    connection: Connection,
    workspace: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> list[RowMapping]:
    """The rows of days from `since` to before `until`, the newest day first."""
    columns = model_usage.c
    order = (columns.workspace, columns.provider, columns.function, columns.model)
    statement = select(model_usage).order_by(columns.day.desc(), *order)
    if workspace is not None:
        statement = statement.where(columns.workspace == workspace)
    if since is not None:
        statement = statement.where(columns.day >= since)
    if until is not None:
        statement = statement.where(columns.day < until)
    return list(connection.execute(statement).mappings())


def sums_of_calls(connection: Connection) -> list[RowMapping]:
    """What every workspace has called of every provider, on all days together."""
    amounts = [func.sum(model_usage.c[name]).label(name) for name in AMOUNTS]
    of = (model_usage.c.workspace, model_usage.c.provider)
    return list(connection.execute(select(*of, *amounts).group_by(*of)).mappings())
