"""The part of a transaction that changes views."""

from __future__ import annotations

from flight_server.engines.lake.definitions import Definitions
from flight_server.engines.lake.statements import Statements
from flight_server.model import Author, Commit, Refreshed, TableRef, TableSpec


class TransactedViews:
    """`SupportsViews` and `RecordsRefreshes`, within a transaction."""

    _statements: Statements
    _definitions: Definitions

    def create_view(
        self, view: TableRef, spec: TableSpec, sql: str, author: Author, replace: bool = False
    ) -> Commit:
        """AlreadyExists; NotFound (namespace_not_found)."""
        with self._statements.one() as transaction:
            self._definitions.create_view(transaction, view, spec, sql, replace)
        return Commit(-1)

    def rename_view(self, view: TableRef, to: TableRef, author: Author) -> Commit:
        """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
        with self._statements.one() as transaction:
            self._definitions.rename_view(transaction, view, to)
        return Commit(-1)

    def drop_view(self, view: TableRef, author: Author) -> Commit:
        """NotFound."""
        with self._statements.one() as transaction:
            self._definitions.drop_view(transaction, view)
        return Commit(-1)

    def record_refresh(
        self, view: TableRef, refreshed: Refreshed, before: Refreshed | None
    ) -> None:
        """See `RecordsRefreshes.record_refresh`."""
        with self._statements.one() as transaction:
            self._definitions.refreshes.record(transaction, view, refreshed, before)
