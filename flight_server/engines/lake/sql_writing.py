"""The part of the engine that runs SQL that writes, each statement in a commit of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake.transactions import LakeTransaction
from flight_server.model import Author, Commit, SqlRequest, TableRef


class SqlWriting:
    """`SupportsSqlWrites`."""

    def _exclusive(
        self, author: Author, cancellation: Cancellation
    ) -> AbstractContextManager[LakeTransaction]:
        raise NotImplementedError

    def insert_rows(
        self,
        table: TableRef,
        columns: Sequence[str],
        request: SqlRequest,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.insert_rows`."""
        with self._exclusive(author, cancellation) as transaction:
            done = transaction.insert_rows(table, columns, request, author, cancellation)
            return transaction.finish(done)

    def update_rows(
        self,
        table: TableRef,
        columns: Sequence[str],
        request: SqlRequest,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.update_rows`."""
        with self._exclusive(author, cancellation) as transaction:
            done = transaction.update_rows(table, columns, request, filter, author, cancellation)
            return transaction.finish(done)

    def delete_rows(
        self,
        table: TableRef,
        request: SqlRequest,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.delete_rows`."""
        with self._exclusive(author, cancellation) as transaction:
            done = transaction.delete_rows(table, request, filter, author, cancellation)
            return transaction.finish(done)

    def merge_rows(
        self,
        table: TableRef,
        request: SqlRequest,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.merge_rows`."""
        with self._exclusive(author, cancellation) as transaction:
            done = transaction.merge_rows(table, request, author, cancellation)
            return transaction.finish(done)
