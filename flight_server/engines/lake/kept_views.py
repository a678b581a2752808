"""The parts of the engine that keep views."""

from __future__ import annotations

from flight_server.engines.lake.commits import CommitLog
from flight_server.engines.lake.definitions import Definitions
from flight_server.engines.lake.refreshes import Changes, Refreshes
from flight_server.model import Author, Commit, Refreshed, TableRef, TableSpec


class LakeViews:
    """The part of the engine that keeps views: `SupportsViews`."""

    _log: CommitLog
    _definitions: Definitions

    def create_view(
        self, view: TableRef, spec: TableSpec, sql: str, author: Author, replace: bool = False
    ) -> Commit:
        """See `SupportsViews.create_view`."""
        with self._log.transaction(author) as transaction:
            self._definitions.create_view(transaction, view, spec, sql, replace)
            return Commit(transaction.commit())

    def rename_view(self, view: TableRef, to: TableRef, author: Author) -> Commit:
        """See `SupportsViews.rename_view`."""
        with self._log.transaction(author) as transaction:
            self._definitions.rename_view(transaction, view, to)
            return Commit(transaction.commit())

    def drop_view(self, view: TableRef, author: Author) -> Commit:
        """See `SupportsViews.drop_view`."""
        with self._log.transaction(author) as transaction:
            self._definitions.drop_view(transaction, view)
            return Commit(transaction.commit())


class LakeMaterializedViews:
    """The part of the engine that knows what views that hold rows hold."""

    _refreshes: Refreshes
    _changes: Changes

    def refreshed(self, view: TableRef) -> Refreshed | None:
        """See `SupportsMaterializedViews.refreshed`."""
        return self._refreshes.of(view)

    def is_changed(self, table: TableRef, after: int, until: int) -> bool:
        """See `SupportsMaterializedViews.is_changed`."""
        changes = self._changes.between(table, after, until)
        return changes is None or bool(changes)

    def added_rows(self, table: TableRef, after: int, until: int) -> str | None:
        """See `SupportsMaterializedViews.added_rows`."""
        return self._changes.added_rows(table, after, until)
