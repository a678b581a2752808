"""Rows of the table `uploads`."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from sqlalchemy import RowMapping, delete, func, insert, select, update

from flight_server.metastore.database import Metastore
from flight_server.metastore.tables import uploads


@dataclass(frozen=True)
class KeptUpload:
    """What is known of an upload beside its bytes."""

    id: str
    workspace: str
    principal_id: str
    name: str
    size: int | None
    sha256: str | None
    is_complete: bool
    created_at: dt.datetime
    touched_at: dt.datetime


class UploadStore:
    """The uploads in the metastore. Every method may be called from any thread."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def add(
        self, workspace: str, principal_id: str, name: str, size: int | None, sha256: str | None
    ) -> KeptUpload:
        """A new one, of which nothing is there yet."""
        now = dt.datetime.now(dt.UTC)
        made_id = secrets.token_hex(16)
        made = KeptUpload(made_id, workspace, principal_id, name, size, sha256, False, now, now)
        with self._metastore.begin() as connection:
            connection.execute(insert(uploads).values(vars(made)))
        return made

    def find(self, id: str) -> KeptUpload | None:
        """One, if there is one."""
        with self._metastore.read() as connection:
            row = connection.execute(select(uploads).where(uploads.c.id == id)).mappings()
            found = row.one_or_none()
        return None if found is None else _kept(found)

    def of(self, workspace: str, principal_id: str) -> list[KeptUpload]:
        """Those of a principal, the youngest first."""
        mine = (uploads.c.principal_id == principal_id) & (uploads.c.workspace == workspace)
        statement = select(uploads).where(mine).order_by(uploads.c.created_at.desc())
        with self._metastore.read() as connection:
            return [_kept(row) for row in connection.execute(statement).mappings()]

    def count(self, principal_id: str) -> int:
        """How many a principal has."""
        statement = select(func.count()).where(uploads.c.principal_id == principal_id)
        with self._metastore.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def touch(self, id: str) -> None:
        """A part has come."""
        values = {"touched_at": dt.datetime.now(dt.UTC)}
        with self._metastore.begin() as connection:
            connection.execute(update(uploads).where(uploads.c.id == id).values(values))

    def complete(self, id: str, size: int, sha256: str | None) -> None:
        """All parts have come."""
        now = dt.datetime.now(dt.UTC)
        values = {"is_complete": True, "size": size, "sha256": sha256, "touched_at": now}
        with self._metastore.begin() as connection:
            connection.execute(update(uploads).where(uploads.c.id == id).values(values))

    def remove(self, id: str) -> None:
        """Forgets one."""
        with self._metastore.begin() as connection:
            connection.execute(delete(uploads).where(uploads.c.id == id))

    def untouched_since(self, moment: dt.datetime) -> list[str]:
        """Those of which nothing was heard since a time."""
        statement = select(uploads.c.id).where(uploads.c.touched_at < moment)
        with self._metastore.read() as connection:
            return list(connection.execute(statement).scalars())


def _kept(row: RowMapping) -> KeptUpload:
    return KeptUpload(**dict(row))
