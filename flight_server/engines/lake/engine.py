"""The lake as an engine: each ability, handed to the file that does it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pyarrow as pa

from flight_server.engines.base import Acknowledge, TemporaryTables
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake import catalog, listings, tables, views
from flight_server.engines.lake.assignments import SqlValues
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.definitions import Definitions
from flight_server.engines.lake.followed import FollowedLog
from flight_server.engines.lake.groups import GroupCommits
from flight_server.engines.lake.history import History
from flight_server.engines.lake.housekeeping import Housekeeper
from flight_server.engines.lake.inserts import violations
from flight_server.engines.lake.instance import Instance
from flight_server.engines.lake.kept_views import LakeMaterializedViews, LakeViews
from flight_server.engines.lake.pins import Pins
from flight_server.engines.lake.refreshes import Changes, Refreshes
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.scans import Scans
from flight_server.engines.lake.schema_versions import schema_versions
from flight_server.engines.lake.snapshots import LakeSnapshots, Snapshots
from flight_server.engines.lake.soft_deletes import SoftDeletes, SoftDeleting
from flight_server.engines.lake.sql_writing import SqlWriting
from flight_server.engines.lake.staged import StagedIngests, StagedWriting
from flight_server.engines.lake.statistics import put_back
from flight_server.engines.lake.tags import Tags
from flight_server.engines.lake.temporary import LakeTemporaryTables
from flight_server.engines.lake.tokens import Tokens
from flight_server.engines.lake.transactions import LakeTransaction
from flight_server.engines.lake.watched import Watched
from flight_server.engines.stream import Batches
from flight_server.errors import NotFound
from flight_server.model import (
    DEFAULT_CATALOG,
    HIDDEN_PREFIX,
    Author,
    ChangesRequest,
    Commit,
    Housekeeping,
    IngestMode,
    IngestRequest,
    Kind,
    NamespaceRef,
    ScanRequest,
    SchemaChange,
    SchemaVersion,
    Slice,
    SqlRequest,
    TableInfo,
    TableRef,
    TableSpec,
    TableVersion,
    Tag,
    Version,
    Violation,
    check_tag_name,
)
from flight_server.settings import Settings
from flight_server.telemetry import span


class LakeEngine(
    SqlValues,
    SqlWriting,
    StagedWriting,
    FollowedLog,
    SoftDeleting,
    LakeViews,
    LakeMaterializedViews,
    LakeSnapshots,
    Watched,
):
    """Bulk tables in DuckLake; has every ability but search and computed columns."""

    name = DEFAULT_CATALOG

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._pins = Pins(instance.settings.ticket_seconds)
        self._log = CommitLog(instance, self._pins)
        self._registry = Registry(self._log)
        self._tags = Tags(self._log)
        self._snapshots = Snapshots(self._log)
        self._tokens = Tokens(self._log)
        self._refreshes = Refreshes(self._log)
        self._changes = Changes(instance)
        self._definitions = Definitions(self._registry, self._tokens, self._tags, self._refreshes)
        self._scans = Scans(instance, self._pins, lambda: self._log.snapshot)
        self._soft_deletes = SoftDeletes(self._log, self._registry)
        self._groups = GroupCommits(self._log, self._registry)
        self._ingests = StagedIngests(self._log, self._registry, self._tokens, self._groups)
        self._history = History(self._log, self._registry, self._scans, self._tags)
        self._housekeeper = Housekeeper(self._log, self._pins, self._tags)

    @classmethod
    def open(cls, settings: Settings) -> LakeEngine:
        """The lake under `settings.data`, made where missing. Unavailable where it is in use."""
        instance = Instance(settings)
        try:
            put_back(instance)
            engine = cls(instance)
        except BaseException:
            instance.close()
            raise
        engine._housekeeper.start()
        return engine

    def close(self) -> None:
        """Ends housekeeping and closes the catalog."""
        self._housekeeper.stop()
        self._log.close()
        self._instance.close()

    # Engine

    def namespaces(self) -> list[str]:
        """All namespaces but the server's own, sorted."""
        found = tables.namespaces(self._instance)
        return [name for name in found if not name.lower().startswith(HIDDEN_PREFIX)]

    def tables(self, namespace: str) -> list[TableRef]:
        """The tables of a namespace, sorted. NotFound (namespace_not_found)."""
        found = self._registry.tables(namespace)
        if not found:
            tables.check_known_namespace(self.namespaces(), namespace)
        return found

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """The table at a version. NotFound."""
        return self._registry.resolve(table, version)

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """The table with its numbers at a version; of a view there are few. NotFound."""
        found = self._registry.resolve(table, version)
        if found.spec.kind is Kind.VIEW:
            return views.described(self._instance, found)
        return self._scans.describe(found)

    def describe_all(self, tables: Sequence[TableRef]) -> list[TableInfo]:
        """See `SupportsListings.describe_all`."""
        found = []
        for table in tables:
            with suppress(NotFound):
                found.append(self._registry.resolve(table))
        return listings.described(self._instance, found)

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """See `Engine.scan`."""
        found = self._registry.resolve(table, request.version)
        return self._scans.scan(found, request, cancellation)

    # SupportsNamespaces, SupportsTables, SupportsUndrop, SupportsSchemaChange

    def create_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """AlreadyExists."""
        with self._committed(author) as (transaction, commit):
            self._definitions.create_namespace(transaction, namespace)
        return commit[0]

    def drop_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """NotFound; Conflict while tables are in it."""
        with self._committed(author) as (transaction, commit):
            self._definitions.drop_namespace(transaction, namespace)
        return commit[0]

    def create_table(self, table: TableRef, spec: TableSpec, author: Author) -> Commit:
        """AlreadyExists; NotFound (namespace_not_found); InvalidRequest (unsupported_type)."""
        with self._committed(author) as (transaction, commit):
            self._definitions.create_table(transaction, table, spec)
        return commit[0]

    def rename_table(self, table: TableRef, to: TableRef, author: Author) -> Commit:
        """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
        with self._committed(author) as (transaction, commit):
            self._definitions.rename_table(transaction, table, to)
        return commit[0]

    def drop_table(self, table: TableRef, author: Author) -> Commit:
        """NotFound."""
        with self._committed(author) as (transaction, commit):
            self._definitions.drop_table(transaction, table)
        return commit[0]

    def undrop_table(self, table: TableRef, author: Author) -> Commit:
        """The table as it was just before it was dropped. NotFound; AlreadyExists."""
        with self._committed(author) as (transaction, commit):
            old = self._history.undrop(transaction, table)
            self._tokens.recall(transaction, old.table, old.snapshot)
            self._tags.recall(transaction, old.table, old.snapshot)
        return commit[0]

    def alter_table(
        self, table: TableRef, changes: Sequence[SchemaChange], author: Author
    ) -> Commit:
        """All changes in one commit, in order. NotFound; AlreadyExists; InvalidRequest."""
        with self._committed(author) as (transaction, commit):
            self._definitions.alter_table(transaction, table, changes)
        return commit[0]

    # SupportsIngest, SupportsUpdate, SupportsTransactions

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: Any,
        author: Author,
        acknowledge: Acknowledge = lambda commit: None,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsIngest.ingest`."""
        with span("lake.ingest", mode=str(request.mode)):
            return self._ingests.ingest(table, request, batches, author, acknowledge, cancellation)

    def violations(
        self, table: TableRef, mode: IngestMode, batch: pa.RecordBatch
    ) -> Mapping[int, Violation]:
        """See `SupportsRules.violations`."""
        return violations(self._instance, self._registry.resolve(table), mode, batch)

    def update(
        self,
        table: TableRef,
        assignments: Mapping[str, str],
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsUpdate.update`."""
        with self._exclusive(author, cancellation) as transaction:
            done = transaction.update(table, assignments, filter, author, cancellation)
            return transaction.finish(done)

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsUpdate.delete`."""
        with self._exclusive(author, cancellation) as transaction:
            done = transaction.delete(table, filter, author, cancellation)
            return transaction.finish(done)

    @contextmanager
    def transaction(self, author: Author, since: int | None = None) -> Iterator[LakeTransaction]:
        """Commits at the end of the block unless that was done; rolls back on an error.

        It keeps nobody else from committing; a commit that it collides with makes it a Conflict.
        """
        with self._log.transaction(author, exclusive=False) as transaction:
            self._registry.settle(transaction)
            transaction.since = since
            yield self._stand_in(transaction)

    @contextmanager
    def _exclusive(self, author: Author, cancellation: Cancellation) -> Iterator[LakeTransaction]:
        with self._log.transaction(author, cancellation=cancellation) as transaction:
            yield self._stand_in(transaction)

    def _stand_in(self, transaction: WriteTransaction) -> LakeTransaction:
        parts = (self._registry, self._definitions, self._ingests, self._scans, self._soft_deletes)
        return LakeTransaction(transaction, *parts)

    # SupportsVersions, SupportsChanges

    def snapshot(self) -> int:
        """The newest snapshot."""
        return self._log.snapshot

    def snapshot_at(self, as_of: dt.datetime) -> int:
        """The snapshot that was the newest then. NotFound (version_not_found)."""
        return catalog.snapshot_at(self._instance, as_of)

    def version_at(self, table: TableRef, as_of: dt.datetime) -> int:
        """The same: a table's versions are snapshots."""
        return self.snapshot_at(as_of)

    def versions(self, table: TableRef, limit: int | None = None) -> list[Version]:
        """The table's history, newest first."""
        return self._history.versions(table, limit)

    def schema_versions(self, table: TableRef) -> list[SchemaVersion]:
        """See `SupportsVersions.schema_versions`."""
        return schema_versions(self._log, self._registry, self._history, table)

    def diff(
        self, table: TableRef, older: int, newer: int, cancellation: Cancellation = NEVER
    ) -> Batches:
        """See `SupportsVersions.diff`."""
        return self._history.diff(table, older, newer, cancellation)

    def restore(self, table: TableRef, version: int, author: Author) -> Commit:
        """A new commit in which the table is as it was at `version`."""
        with self._committed(author) as (transaction, commit):
            self._history.restore(transaction, table, version)
        return commit[0]

    def tags(self, table: TableRef) -> list[Tag]:
        """The table's tags by name."""
        return self._tags.of(table)

    def create_tag(self, table: TableRef, name: str, version: int | None, author: Author) -> Tag:
        """InvalidRequest (invalid_name); AlreadyExists; NotFound (version_not_found)."""
        with self._committed(author) as (transaction, _):
            found = self._registry.resolve(table, version)
            now = dt.datetime.now(dt.UTC)
            tag = Tag(check_tag_name(name), found.table, found.snapshot, now, author.principal)
            self._tags.create(transaction, tag)
        return tag

    def drop_tag(self, table: TableRef, name: str, author: Author) -> None:
        """NotFound (tag_not_found)."""
        with self._committed(author) as (transaction, _):
            self._tags.drop(transaction, table, name)

    def tagged(self, table: TableRef, name: str) -> int:
        """The snapshot a tag names. NotFound (tag_not_found)."""
        return self._tags.find(table, name).snapshot

    def changes(
        self, table: TableRef, request: ChangesRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """See `SupportsChanges.changes`."""
        return self._history.changes(table, request, cancellation)

    # SupportsSlices, SupportsSql

    def slices(self, table: TableRef, request: ScanRequest, bytes_each: int) -> list[Slice]:
        """See `SupportsSlices.slices`. Not of a table that waits to be merged."""
        found = self._registry.resolve(table, request.version)
        number = catalog.table_id(self._instance, found.table, found.snapshot)
        # A window cannot be cut without knowing the rest.
        is_window = request.limit is not None or request.offset or request.order_by is not None
        if is_window or self._housekeeper.is_waiting(number):
            bytes_each = 2**62
        return self._scans.slices(found, number, bytes_each)

    def run_sql(self, request: SqlRequest, cancellation: Cancellation = NEVER) -> Batches:
        """See `SupportsSql.run_sql`."""
        return self._scans.query(request, cancellation)

    def sql_schema(self, request: SqlRequest) -> pa.Schema:
        """See `SupportsSql.sql_schema`."""
        return self._scans.query_schema(request)

    def explain_sql(
        self, request: SqlRequest, analyze: bool = False, cancellation: Cancellation = NEVER
    ) -> str:
        """See `SupportsSql.explain_sql`."""
        return self._scans.explain(request, analyze, cancellation)

    def temporary_source(
        self, tables: TemporaryTables, table: TableRef, cancellation: Cancellation = NEVER
    ) -> TableRef:
        """See `SupportsSql.temporary_source`."""
        return tables.sql_name(table)

    def temporary_tables(self, session: str) -> LakeTemporaryTables:
        """See `SupportsTemporaryTables.temporary_tables`."""
        return LakeTemporaryTables(self._log, session)

    # SupportsPins, SupportsHousekeeping

    def hold(self, version: int, seconds: float, sliced: TableRef | None = None) -> None:
        """See `SupportsPins.hold`."""
        self._pins.hold(version, seconds)
        if sliced is not None:
            self._pins.hold_files(catalog.table_id(self._instance, sliced, version), seconds)

    def pinned(self, version: int) -> AbstractContextManager[None]:
        """See `SupportsPins.pinned`."""
        return self._pins.stream(version)

    def housekeep(self, tables: Collection[TableRef] | None = None) -> Housekeeping:
        """See `SupportsHousekeeping.housekeep`."""
        return self._housekeeper.do_round(tables)

    @contextmanager
    def _committed(self, author: Author) -> Iterator[tuple[WriteTransaction, list[Commit]]]:
        """A transaction, and where its commit will be found once the block has ended."""
        commit: list[Commit] = []
        with self._log.transaction(author) as transaction:
            yield transaction, commit
            commit.append(Commit(transaction.commit()))
