"""Several writes that become one commit: a draft kept open, and the writes that go into one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa

from flight_server.engines.base import Acknowledge
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.errors import InvalidRequest
from flight_server.model import (
    Author,
    Commit,
    IngestRequest,
    NamespaceRef,
    ScanRequest,
    SchemaChange,
    TableInfo,
    TableRef,
    TableSpec,
    TableVersion,
)
from flight_server.testing.memory import alterations, history, tables
from flight_server.testing.memory.commits import CommitLog, Draft
from flight_server.testing.memory.ingest import parts, put_part
from flight_server.testing.memory.rows import delete_rows, update_rows
from flight_server.testing.memory.scans import scanned
from flight_server.testing.memory.state import TableState


class MemoryTransaction:
    """A draft that nobody else sees until it is committed."""

    def __init__(self, name: str, log: CommitLog, author: Author, since: int | None = None) -> None:
        self.name = name
        self._log = log
        self._author = author
        self._draft: Draft | None = log.draft()
        if since is not None:
            self._draft.since = log.at(since)

    @property
    def is_open(self) -> bool:
        """Whether it was neither committed nor rolled back."""
        return self._draft is not None

    def namespaces(self) -> list[str]:
        """The names of all namespaces, sorted."""
        return sorted(self._open.state.namespaces.values())

    def tables(self, namespace: str) -> list[TableRef]:
        """The tables of a namespace, sorted. NAMESPACE_NOT_FOUND."""
        return self._open.state.tables_in(namespace)

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """The table as it was drafted, or at a version."""
        found = self._found(table, version)
        snapshot = self._open.base.id if version is None else self._log.at(version).id
        return TableVersion(found.ref, found.spec, snapshot)

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """The table with everything known about it."""
        found = self._found(table, version)
        snapshot = self._open.base if version is None else self._log.at(version)
        return history.described(self._log, found, snapshot)

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> pa.RecordBatchReader:
        """Rows with what this transaction has written, or as they were at a version."""
        return scanned(self._found(table, request.version), request, cancellation)

    def create_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """ALREADY_EXISTS."""
        return self._write(lambda draft: tables.create_namespace(draft, namespace))

    def drop_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """NAMESPACE_NOT_FOUND, CONFLICT."""
        return self._write(lambda draft: tables.drop_namespace(draft, namespace))

    def create_table(self, table: TableRef, spec: TableSpec, author: Author) -> Commit:
        """ALREADY_EXISTS, NAMESPACE_NOT_FOUND."""
        return self._write(lambda draft: tables.create_table(draft, table, spec))

    def rename_table(self, table: TableRef, to: TableRef, author: Author) -> Commit:
        """TABLE_NOT_FOUND, ALREADY_EXISTS, UNSUPPORTED."""
        return self._write(lambda draft: tables.rename_table(draft, table, to))

    def drop_table(self, table: TableRef, author: Author) -> Commit:
        """TABLE_NOT_FOUND."""
        return self._write(lambda draft: draft.remove(draft.state.table(table)))

    def alter_table(
        self, table: TableRef, changes: Sequence[SchemaChange], author: Author
    ) -> Commit:
        """All changes in their order."""
        return self._write(lambda draft: alterations.alter_in(draft, table, changes))

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: pa.RecordBatchReader,
        author: Author,
        acknowledge: Acknowledge = lambda commit: None,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Writes the stream; what it answers with has no snapshot yet."""
        (part,) = parts(batches, None, cancellation)
        with self._statement() as draft:
            commit = put_part(draft, table, request, part, author)
        if not commit.duplicate:
            commit = replace(commit, snapshot=-1)
        acknowledge(commit)
        return commit

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
        with self._statement() as draft:
            return replace(update_in(draft, table, assignments, filter), snapshot=-1)

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows where the filter holds."""
        cancellation.check()
        with self._statement() as draft:
            return replace(delete_in(draft, table, filter), snapshot=-1)

    @property
    def snapshot(self) -> int:
        """The snapshot that it reads."""
        return self._open.base.id

    @property
    def has_written(self) -> bool:
        """Whether there is anything to commit."""
        return self._open.changed()

    def commit(self) -> Commit:
        """Makes it so. CONFLICT, after which nothing of it has happened."""
        draft, self._draft = self._open, None
        return self._log.commit(draft, self._author, Commit(0))

    def rollback(self) -> None:
        """Nothing of it has happened."""
        self._draft = None

    def close(self) -> None:
        """Rolls back what was not committed."""
        self.rollback()

    @property
    def _open(self) -> Draft:
        if self._draft is None:
            raise InvalidRequest("The transaction has ended: begin another one.")
        return self._draft

    def _found(self, table: TableRef, version: int | None) -> TableState:
        draft = self._open
        return draft.state.table(table) if version is None else self._log.table_at(table, version)

    def _write(self, change: Callable[[Draft], object]) -> Commit:
        with self._statement() as draft:
            change(draft)
        return Commit(-1)

    @contextmanager
    def _statement(self) -> Iterator[Draft]:
        """The draft, as it was before where the statement fails."""
        draft = self._open
        before = draft.state, dict(draft.kinds), dict(draft.claims)
        try:
            yield draft
        except BaseException:
            draft.state, draft.kinds, draft.claims = before
            raise


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
