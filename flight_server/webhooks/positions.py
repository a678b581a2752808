"""How far the outbox has come in each log, kept beside those of other followers."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from flight_server.metastore.tables import followers
from flight_server.model import DEFAULT_CATALOG

COMMITS = f"webhooks:{DEFAULT_CATALOG}"
JOBS = "webhooks of jobs"


def position(connection: Connection, name: str) -> int | None:
    """The last number of a log that is dealt with; None where nobody has begun."""
    found = connection.scalar(select(followers.c.snapshot).where(followers.c.name == name))
    return None if found is None else int(found)


def begin(connection: Connection, name: str, number: int) -> None:
    """Begins behind a number, unless somebody has begun before."""
    if position(connection, name) is None:
        connection.execute(insert(followers).values(name=name, snapshot=number))


def move(connection: Connection, name: str, number: int) -> None:
    """All up to this number is dealt with."""
    mine = followers.c.name == name
    moved = connection.execute(update(followers).where(mine).values(snapshot=number))
    if not moved.rowcount:
        connection.execute(insert(followers).values(name=name, snapshot=number))
