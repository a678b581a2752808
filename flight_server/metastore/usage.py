"""Rows of the table `usage`: amounts added to a day, and read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select
from sqlalchemy.dialects import postgresql, sqlite

from flight_server.metastore.tables import usage

_KEY = ("workspace", "principal_id", "day")
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def add_usage(connection: Connection, rows: list[dict[str, Any]], amounts: Iterable[str]) -> None:
    """Adds the amounts of each row to those of its workspace, principal and day."""
    statement = _INSERTS[connection.dialect.name](usage)
    added = {name: usage.c[name] + statement.excluded[name] for name in amounts}
    latest = {"principal": statement.excluded.principal}
    connection.execute(
        statement.on_conflict_do_update(index_elements=_KEY, set_=added | latest), rows
    )


def read_usage(
    connection: Connection,
    *,
    workspace: str | None = None,
    principal_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> list[RowMapping]:
    """The rows of days from `since` to before `until`, the newest day first."""
    statement = select(usage).order_by(
        usage.c.day.desc(), usage.c.workspace, usage.c.principal, usage.c.principal_id
    )
    if workspace is not None:
        statement = statement.where(usage.c.workspace == workspace)
    if principal_id is not None:
        statement = statement.where(usage.c.principal_id == principal_id)
    if since is not None:
        statement = statement.where(usage.c.day >= since)
    if until is not None:
        statement = statement.where(usage.c.day < until)
    return list(connection.execute(statement).mappings())


def sums(connection: Connection, period: str, amounts: Iterable[str]) -> list[RowMapping]:
    """What each workspace used on the days that begin so: of a day, or of a month."""
    columns = [func.sum(usage.c[name]).label(name) for name in amounts]
    mine = usage.c.day.startswith(period, autoescape=True)
    statement = select(usage.c.workspace, *columns).where(mine).group_by(usage.c.workspace)
    return list(connection.execute(statement).mappings())
