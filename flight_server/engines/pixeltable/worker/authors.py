"""Who made which version, and why: Pixeltable itself keeps who made a table, and no more.

A table of ours in Pixeltable's own PostgreSQL, written in the transaction that makes the versions.
A version is told by its number and its moment: a revert lets the number be used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pixeltable as pxt
import sqlalchemy as sa
from pixeltable.env import Env
from pixeltable.runtime import get_runtime

_METADATA = sa.MetaData()
AUTHORS = sa.Table(
    "pixelflight_authors",
    _METADATA,
    sa.Column("table_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("created_at", sa.Double, primary_key=True),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)


def create() -> None:
    """Makes the table where there is none."""
    engine = Env.get().engine
    assert engine is not None, "the home is open"
    try:
        _METADATA.create_all(engine)
    except (sa.exc.IntegrityError, sa.exc.ProgrammingError):
        # Another server has made it between the look and the making.
        _METADATA.create_all(engine)


def note(table: pxt.Table, since: int, arguments: Mapping[str, Any]) -> None:
    """Keeps who made the versions after `since`, in the transaction that makes them."""
    count = table.get_metadata()["version"] - since
    if count <= 0:
        return
    table_id = table.get_metadata()["id"]
    who = {"author": arguments["author"], "reason": arguments["reason"]}
    made = [one.version_md for one in get_runtime().catalog.collect_tbl_history(table_id, count)]
    rows = [
        {"table_id": table_id, "version": one.version, "created_at": one.created_at, **who}
        for one in made
    ]
    _connection().execute(sa.insert(AUTHORS), rows)


def known(table_id: UUID) -> Mapping[tuple[int, float], tuple[str, str]]:
    """Author and reason of each version that was made here, by its number and its moment."""
    connection = _connection()
    if not sa.inspect(connection).has_table(AUTHORS.name):
        return {}
    found = connection.execute(sa.select(AUTHORS).where(AUTHORS.c.table_id == table_id))
    return {(row.version, row.created_at): (row.author, row.reason) for row in found}


def _connection() -> sa.Connection:
    connection: sa.Connection | None = get_runtime().conn
    assert connection is not None, "a transaction of Pixeltable's is open"
    return connection
