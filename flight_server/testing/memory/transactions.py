"""Several writes that become one commit: a draft kept open, and the writes that go into one."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from flight_server.engines.base import Acknowledge
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.errors import InvalidRequest
from flight_server.model import Author, Commit, IngestRequest, ScanRequest, TableRef
from flight_server.testing.memory.commits import CommitLog, Draft
from flight_server.testing.memory.ingest import parts, put_part
from flight_server.testing.memory.rows import delete_rows, update_rows
from flight_server.testing.memory.scans import scanned


class MemoryTransaction:
    """A draft that nobody else sees until it is committed."""

    def __init__(self, log: CommitLog, author: Author) -> None:
        self._log = log
        self._author = author
        self._draft: Draft | None = log.draft()

    @property
    def is_open(self) -> bool:
        """Whether it was neither committed nor rolled back."""
        return self._draft is not None

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> pa.RecordBatchReader:
        """Rows with what this transaction has written, or as they were at a version."""
        if request.version is not None:
            return scanned(self._log.table_at(table, request.version), request, cancellation)
        return scanned(self._open.state.table(table), request, cancellation)

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: pa.RecordBatchReader,
        author: Author,
        acknowledge: Acknowledge = lambda commit: None,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Writes the stream; nothing is acknowledged before the transaction is committed."""
        (part,) = parts(batches, None, cancellation)
        return put_part(self._open, table, request, part, author)

    def update(
        self,
        table: TableRef,
        assignments: Mapping[str, str],
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Sets columns where the filter holds."""
        cancellation.check()
        return update_in(self._open, table, assignments, filter)

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows where the filter holds."""
        cancellation.check()
        return delete_in(self._open, table, filter)

    def commit(self) -> Commit:
        """Makes it so. CONFLICT, after which nothing of it has happened."""
        draft, self._draft = self._open, None
        return self._log.commit(draft, self._author, Commit(0))

    @property
    def has_written(self) -> bool:
        """Whether there is anything to commit."""
        return self._open.changed()

    def rollback(self) -> None:
        """Nothing of it has happened."""
        self._draft = None

    @property
    def _open(self) -> Draft:
        if self._draft is None:
            raise InvalidRequest("The transaction has ended: begin another one.")
        return self._draft


def update_in(
    draft: Draft, table: TableRef, assignments: Mapping[str, str], condition: str | None
) -> Commit:
    """Sets columns of a drafted table where the condition holds."""
    found = draft.state.table(table)
    written, commit = update_rows(found, assignments, condition, draft.new_ids)
    if commit.rows:
        draft.put(written, "updated")
    return commit


def delete_in(draft: Draft, table: TableRef, condition: str | None) -> Commit:
    """Deletes rows of a drafted table where the condition holds."""
    written, commit = delete_rows(draft.state.table(table), condition)
    if commit.rows:
        draft.put(written, "deleted")
    return commit
