"""Who made which version, and why: Pixeltable itself keeps who made a table, and no more.

Kept in the transaction that makes the versions. A version is told by its number and its moment: a
revert lets the number be used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pixeltable as pxt
import sqlalchemy as sa
from pixeltable.runtime import get_runtime

from flight_server.engines.pixeltable.worker.own_tables import METADATA, transaction

AUTHORS = sa.Table(
    "pixelflight_authors",
    METADATA,
    sa.Column("table_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("created_at", sa.Double, primary_key=True),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)


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
    transaction().execute(sa.insert(AUTHORS), rows)


def known(table_id: UUID) -> Mapping[tuple[int, float], tuple[str, str]]:
    """Author and reason of each version that was made here, by its number and its moment."""
    connection = transaction()
    if not sa.inspect(connection).has_table(AUTHORS.name):
        return {}
    found = connection.execute(sa.select(AUTHORS).where(AUTHORS.c.table_id == table_id))
    return {(row.version, row.created_at): (row.author, row.reason) for row in found}
