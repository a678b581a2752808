"""What Pixeltable's tables were: each has versions of its own, by number."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.pixeltable.asking import Asking, by
from flight_server.engines.stream import BatchStream
from flight_server.errors import ErrorCode, InvalidRequest, NotFound
from flight_server.model import Author, ChangesRequest, Commit, TableRef, Version


class History(Asking):
    """Versions, what differs between them, and the way back."""

    def versions(self, table: TableRef, limit: int | None = None) -> list[Version]:
        """The table's history, newest first. Of a snapshot it is the one version that it is."""
        told = self._of(table, "versions", limit=limit)
        return [_version(one) for one in told["versions"]]

    def version_at(self, table: TableRef, as_of: dt.datetime) -> int:
        """The version that was the newest then. VERSION_NOT_FOUND."""
        for version in self.versions(table):
            if version.committed_at <= as_of:
                return version.snapshot
        raise NotFound(
            f"The table '{table}' is not as old as {as_of.isoformat()}.",
            code=ErrorCode.VERSION_NOT_FOUND,
        )

    def diff(
        self, table: TableRef, older: int, newer: int, cancellation: Cancellation = NEVER
    ) -> BatchStream:
        """As `SupportsVersions.diff`, without columns that are computed whenever they are read.

        UNSUPPORTED of a view whose rows have no ids of one number.
        """
        if older > newer:
            raise InvalidRequest(
                f"The older version {older} comes after the newer {newer}. Exchange them."
            )
        arguments = _of(table) | {"older": older, "newer": newer}
        return self._streamed("diff", arguments, cancellation)

    def changes(
        self, table: TableRef, request: ChangesRequest, cancellation: Cancellation = NEVER
    ) -> BatchStream:
        """As `SupportsChanges.changes`, with columns as in `diff`. UNSUPPORTED of views."""
        wanted = {"after": request.after, "until": request.until, "images": request.images.value}
        return self._streamed("changes", _of(table) | wanted, cancellation)

    def restore(self, table: TableRef, version: int, author: Author) -> Commit:
        """One new version. UNSUPPORTED where columns have changed since the old one."""
        return self._changed("restore", table, {"version": version} | by(author), NEVER)


def _of(table: TableRef) -> dict[str, Any]:
    return {"namespace": table.namespace, "name": table.name}


def _version(told: Mapping[str, Any]) -> Version:
    moment = dt.datetime.fromisoformat(told["committed_at"])
    return Version(**{**told, "committed_at": moment, "changes": tuple(told["changes"])})
