"""Exactly once: what was written under a token, kept in the transaction that wrote it.

A token belongs to who used it, and to one table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.own_tables import METADATA, transaction

RECEIPTS = sa.Table(
    "pixelflight_receipts",
    METADATA,
    sa.Column("principal", sa.Text, primary_key=True),
    sa.Column("table_id", sa.Uuid, primary_key=True),
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("commit", sa.Text, nullable=False),
    sa.Column("committed_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
)


def mark_of(arguments: Mapping[str, Any]) -> str | None:
    """What a table is made for: somebody's token, which is not to be read there. None without."""
    if arguments["token"] is None:
        return None
    whose = json.dumps([arguments["principal"], arguments["token"]])
    return hashlib.sha256(whose.encode()).hexdigest()


class Receipts:
    """The receipts under one token, which somebody uses for one table."""

    def __init__(self, home: Home, table: UUID, arguments: Mapping[str, Any]) -> None:
        self._key = {
            "principal": arguments["principal"],
            "table_id": table,
            "token": arguments["token"],
        }
        home.make_own_tables()

    def find(self) -> Mapping[str, Any] | None:
        """What was left under the token: its digest, and the commit."""
        same = [RECEIPTS.c[name] == value for name, value in self._key.items()]
        found = transaction().execute(sa.select(RECEIPTS).where(*same)).one_or_none()
        return (
            None if found is None else {"digest": found.digest, "commit": json.loads(found.commit)}
        )

    def leave(self, digest: str, commit: Mapping[str, Any]) -> None:
        """Leaves one in the place of what was there, in the transaction that is open."""
        told = {"digest": digest, "commit": json.dumps(commit)}
        left = postgresql.insert(RECEIPTS).values({**self._key, **told})
        transaction().execute(left.on_conflict_do_update(index_elements=[*self._key], set_=told))
