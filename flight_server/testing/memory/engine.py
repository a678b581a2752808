"""The in-memory engine: every ability, on immutable snapshots.

Each method finds its tables, lets another file do the work, and hands the result to the log.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa

from flight_server.engines.base import Acknowledge
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.errors import AlreadyExists, ErrorCode, NotFound
from flight_server.model import (
    Author,
    ChangesRequest,
    Commit,
    IngestRequest,
    NamespaceRef,
    ScanRequest,
    SchemaChange,
    SchemaVersion,
    Slice,
    TableInfo,
    TableRef,
    TableSpec,
    TableVersion,
    Tag,
    Version,
    check_tag_name,
)
from flight_server.testing.memory import alterations, history, tables
from flight_server.testing.memory.commits import Draft
from flight_server.testing.memory.ingest import Part, parts, put_part
from flight_server.testing.memory.scans import scanned, sliced
from flight_server.testing.memory.searches import MemorySearches
from flight_server.testing.memory.transactions import (
    MemoryTransaction,
    delete_in,
    update_in,
)


class MemoryEngine(MemorySearches):
    """A catalog of tables in memory. It keeps every snapshot until it ends."""

    def __init__(self, name: str = "memory") -> None:
        super().__init__()
        self.name = name
        self._tags: dict[tuple[int, str], Tag] = {}

    def close(self) -> None:
        """Nothing is open."""

    def namespaces(self) -> list[str]:
        """The names of all namespaces, sorted."""
        return sorted(self._log.newest.state.namespaces.values())

    def tables(self, namespace: str) -> list[TableRef]:
        """The tables of a namespace, sorted. NAMESPACE_NOT_FOUND."""
        return self._log.newest.state.tables_in(namespace)

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """The table at a version."""
        found = self._log.table_at(table, version)
        return TableVersion(found.ref, found.spec, self._log.at(version).id)

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """The table with everything known about it; it counts as one file if it has rows."""
        found = self._log.table_at(table, version)
        return history.described(self._log, found, self._log.at(version))

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> pa.RecordBatchReader:
        """The rows asked for."""
        return scanned(self._log.table_at(table, request.version), request, cancellation)

    def slices(self, table: TableRef, request: ScanRequest, bytes_each: int) -> list[Slice]:
        """Ranges of rows."""
        return sliced(self._log.table_at(table, request.version), request, bytes_each)

    def create_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """ALREADY_EXISTS."""
        return self._write(author, lambda draft: tables.create_namespace(draft, namespace))

    def drop_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """NAMESPACE_NOT_FOUND, CONFLICT."""
        return self._write(author, lambda draft: tables.drop_namespace(draft, namespace))

    def create_table(self, table: TableRef, spec: TableSpec, author: Author) -> Commit:
        """ALREADY_EXISTS, NAMESPACE_NOT_FOUND."""
        return self._write(author, lambda draft: tables.create_table(draft, table, spec))

    def rename_table(self, table: TableRef, to: TableRef, author: Author) -> Commit:
        """TABLE_NOT_FOUND, ALREADY_EXISTS, UNSUPPORTED."""
        return self._write(author, lambda draft: tables.rename_table(draft, table, to))

    def drop_table(self, table: TableRef, author: Author) -> Commit:
        """TABLE_NOT_FOUND."""
        return self._write(author, lambda draft: draft.remove(draft.state.table(table)))

    def undrop_table(self, table: TableRef, author: Author) -> Commit:
        """TABLE_NOT_FOUND, ALREADY_EXISTS."""
        return self._write(author, lambda draft: tables.undrop_table(draft, self._log, table))

    def alter_table(
        self, table: TableRef, changes: Sequence[SchemaChange], author: Author
    ) -> Commit:
        """All changes in one commit, in order."""
        return self._write(author, lambda draft: alterations.alter_in(draft, table, changes))

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: pa.RecordBatchReader,
        author: Author,
        acknowledge: Acknowledge = lambda commit: None,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Writes the stream, in one commit or as `commit_every` says."""
        commit = Commit(0)
        for part in parts(batches, request.commit_every, cancellation):
            commit = self._put(table, request, part, author)
            # What was written before is acknowledged once, when the stream has come to its end.
            if part.is_last or not commit.duplicate:
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
        return self._log.write(author, lambda draft: update_in(draft, table, assignments, filter))

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows where the filter holds."""
        cancellation.check()
        return self._log.write(author, lambda draft: delete_in(draft, table, filter))

    @contextmanager
    def transaction(self, author: Author, since: int | None = None) -> Iterator[MemoryTransaction]:
        """Commits at the end of the block unless that was done; rolls back on an error."""
        transaction = MemoryTransaction(self.name, self._log, author, since)
        try:
            yield transaction
            if transaction.is_open:
                transaction.commit()
        finally:
            transaction.close()

    def snapshot(self) -> int:
        """The newest snapshot."""
        return self._log.newest.id

    def snapshot_at(self, as_of: dt.datetime) -> int:
        """The snapshot that was the newest then. VERSION_NOT_FOUND."""
        found = [s.id for s in self._log.snapshots if s.committed_at <= as_of]
        if not found:
            raise NotFound(
                f"There is nothing as old as {as_of.isoformat()}.",
                code=ErrorCode.VERSION_NOT_FOUND,
            )
        return found[-1]

    def version_at(self, table: TableRef, as_of: dt.datetime) -> int:
        """The same: a table's versions are snapshots."""
        return self.snapshot_at(as_of)

    def versions(self, table: TableRef, limit: int | None = None) -> list[Version]:
        """The table's history, newest first."""
        found, tags = self._log.newest.state.table(table), self.tags(table)
        return [
            history.version_of(
                snapshot, found.id, tuple(t.name for t in tags if t.snapshot == snapshot.id)
            )
            for snapshot in reversed(history.snapshots_of(self._log, found.id))
        ][:limit]

    def schema_versions(self, table: TableRef) -> list[SchemaVersion]:
        """The versions that may have changed the schema, newest first."""
        found = self._log.newest.state.table(table)
        snapshots = list(reversed(history.snapshots_of(self._log, found.id)))
        return [history.schema_version_of(snapshot, found.id) for snapshot in snapshots]

    def diff(
        self, table: TableRef, older: int, newer: int, cancellation: Cancellation = NEVER
    ) -> pa.RecordBatchReader:
        """The net difference between two versions."""
        cancellation.check()
        return history.difference(self._log, table, older, newer).to_reader()

    def changes(
        self, table: TableRef, request: ChangesRequest, cancellation: Cancellation = NEVER
    ) -> pa.RecordBatchReader:
        """The rows that changed, by snapshot."""
        cancellation.check()
        return history.feed(self._log, table, request).to_reader()

    def restore(self, table: TableRef, version: int, author: Author) -> Commit:
        """A new commit in which the table is as it was, under the name it has."""

        def restore(draft: Draft) -> None:
            now = draft.state.table(table)
            then = self._log.at(version).state.find_id(now.id)
            then = then or self._log.table_at(table, version)
            draft.put(replace(then, id=now.id, ref=now.ref), "altered", "deleted", "inserted")

        return self._write(author, restore)

    def tags(self, table: TableRef) -> list[Tag]:
        """The table's tags by name."""
        table_id = self._log.newest.state.table(table).id
        return [tag for (of, _), tag in sorted(self._tags.items()) if of == table_id]

    def create_tag(self, table: TableRef, name: str, version: int | None, author: Author) -> Tag:
        """ALREADY_EXISTS, VERSION_NOT_FOUND."""
        found = self._log.newest.state.table(table)
        self._log.table_at(table, version)
        tag = Tag(
            check_tag_name(name),
            found.ref,
            self._log.at(version).id,
            dt.datetime.now(dt.UTC),
            author.principal,
        )
        if self._tags.setdefault((found.id, name), tag) is not tag:
            raise AlreadyExists(f"The table '{found.ref}' has a tag '{name}' already.")
        return tag

    def drop_tag(self, table: TableRef, name: str, author: Author) -> None:
        """TAG_NOT_FOUND."""
        self.tagged(table, name)
        del self._tags[self._log.newest.state.table(table).id, name]

    def tagged(self, table: TableRef, name: str) -> int:
        """The snapshot a tag names. TAG_NOT_FOUND."""
        found = self._tags.get((self._log.newest.state.table(table).id, name))
        if found is None:
            raise NotFound(
                f"The table '{table}' has no tag '{name}'.", code=ErrorCode.TAG_NOT_FOUND
            )
        return found.snapshot

    def _put(self, table: TableRef, request: IngestRequest, part: Part, author: Author) -> Commit:
        return self._log.write(author, lambda draft: put_part(draft, table, request, part, author))

    def _write(self, author: Author, change: Callable[[Draft], object]) -> Commit:
        def changed(draft: Draft) -> Commit:
            change(draft)
            return Commit(0)

        return self._log.write(author, changed)
