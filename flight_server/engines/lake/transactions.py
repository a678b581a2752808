"""Statements of a client that become one commit: the engine as a transaction stands in for it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from flight_server.engines.base import Acknowledge, TemporaryTables
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake import rows, sql_writes, tables, views
from flight_server.engines.lake.answers import checked
from flight_server.engines.lake.assignments import SqlValues
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.definitions import Definitions
from flight_server.engines.lake.ingest import Ingests
from flight_server.engines.lake.lent import LentTables
from flight_server.engines.lake.plans import explained
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.scans import (
    Scans,
    converted,
    query_schema,
    scan_schema,
    scan_sql,
)
from flight_server.engines.lake.soft_deletes import SoftDeletes
from flight_server.engines.lake.statements import Statements
from flight_server.engines.lake.transacted_receipts import TransactedReceipts
from flight_server.engines.lake.transacted_views import TransactedViews
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import NotFound, Unsupported
from flight_server.model import (
    DEFAULT_CATALOG,
    HIDDEN_PREFIX,
    Author,
    Commit,
    Deletion,
    IngestRequest,
    Kind,
    NamespaceRef,
    ScanRequest,
    SchemaChange,
    SqlRequest,
    TableInfo,
    TableRef,
    TableSpec,
    TableVersion,
)

_PAST = re.compile(r"\bAT\s*\(\s*VERSION\b", re.IGNORECASE)
_DONE = Commit(-1)


class LakeTransaction(SqlValues, TransactedViews, TransactedReceipts):
    """See `flight_server.engines.base.Transaction`; one thread at a time uses it."""

    name = DEFAULT_CATALOG

    def __init__(
        self,
        transaction: WriteTransaction,
        registry: Registry,
        definitions: Definitions,
        ingests: Ingests,
        scans: Scans,
        soft_deletes: SoftDeletes,
    ) -> None:
        self._transaction = transaction
        self._registry = registry
        self._definitions = definitions
        self._ingests = ingests
        self._scans = scans
        self._soft_deletes = soft_deletes
        self._statements = Statements(transaction)
        self._lent = LentTables()

    # Engine

    def namespaces(self) -> list[str]:
        """All namespaces but the server's own, sorted."""
        self._statements.check()
        found = tables.namespaces(self._transaction.log.instance, self._transaction)
        return [name for name in found if not name.lower().startswith(HIDDEN_PREFIX)]

    def tables(self, namespace: str) -> list[TableRef]:
        """The tables of a namespace, sorted. NotFound (namespace_not_found)."""
        self._statements.check()
        found = self._registry.tables(namespace, self._transaction)
        if not found:
            tables.check_known_namespace(self.namespaces(), namespace)
        return found

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """The table as the transaction sees it, or as it was at a version. NotFound."""
        self._statements.check()
        return self._registry.resolve(table, version, self._transaction)

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """The table with its rows counted here; files are told of as they were committed."""
        found = self.resolve(table, version)
        if found.spec.kind is Kind.VIEW:
            return views.described(self._transaction.log.instance, found)
        if version is not None:
            return self._scans.describe(found)
        with self._statements.one() as transaction:
            count = transaction.count(f"SELECT count(*) FROM {found.table.sql}")
        try:
            return self._scans.describe(found, count)
        except NotFound:
            now = dt.datetime.now(dt.UTC)
            return TableInfo(found.table, found.spec, found.snapshot, count, 0, 0, 0, now, now)

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """The rows as this transaction has made them."""
        found = self.resolve(table, request.version)
        if request.version is not None or request.slice is not None:
            # Inside, DuckLake leaves out of old versions what the transaction has deleted.
            return self._scans.scan(found, request, cancellation)
        schema = scan_schema(found, request)
        each = self._scans.rows_each(schema)
        sql = SqlRequest(scan_sql(found, request, None))
        duck_schema, batches = self._statements.stream(sql, each, cancellation)
        return converted(schema, duck_schema, batches)

    def close(self) -> None:
        """Rolls back what was not committed."""
        self._transaction.rollback()

    # Namespaces, tables and their columns

    def create_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """AlreadyExists."""
        with self._statements.one() as transaction:
            self._definitions.create_namespace(transaction, namespace)
        return _DONE

    def drop_namespace(self, namespace: NamespaceRef, author: Author) -> Commit:
        """NotFound; Conflict while tables are in it."""
        with self._statements.one() as transaction:
            self._definitions.drop_namespace(transaction, namespace)
        return _DONE

    def create_table(self, table: TableRef, spec: TableSpec, author: Author) -> Commit:
        """AlreadyExists; NotFound (namespace_not_found); InvalidRequest (unsupported_type)."""
        with self._statements.one() as transaction:
            self._definitions.create_table(transaction, table, spec)
        return _DONE

    def rename_table(self, table: TableRef, to: TableRef, author: Author) -> Commit:
        """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
        with self._statements.one() as transaction:
            self._definitions.rename_table(transaction, table, to)
        return _DONE

    def drop_table(self, table: TableRef, author: Author) -> Commit:
        """NotFound."""
        with self._statements.one() as transaction:
            self._definitions.drop_table(transaction, table)
        return _DONE

    def alter_table(
        self, table: TableRef, changes: Sequence[SchemaChange], author: Author
    ) -> Commit:
        """All changes in order. NotFound; AlreadyExists; InvalidRequest."""
        with self._statements.one() as transaction:
            self._definitions.alter_table(transaction, table, changes)
        return _DONE

    # Rows

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: Any,
        author: Author,
        acknowledge: Acknowledge = lambda commit: None,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Writes the stream; its commit has no snapshot (-1) until the transaction commits."""
        with self._statements.one() as transaction:
            done = self._ingests.ingest_within(transaction, table, request, batches, cancellation)
        acknowledge(done)
        return done

    def update(
        self,
        table: TableRef,
        assignments: Mapping[str, str],
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Sets columns to SQL expressions over the old values where the filter holds."""
        with self._statements.one() as transaction:
            return rows.update(
                transaction, self._registry, table, assignments, filter, cancellation
            )

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows where the filter holds."""
        with self._statements.one() as transaction:
            return rows.delete(transaction, self._registry, table, filter, cancellation)

    def soft_delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSoftDelete.soft_delete`."""
        with self._statements.one() as transaction:
            return self._soft_deletes.delete(transaction, table, filter, cancellation)

    def deletions(self, table: TableRef) -> list[Deletion]:
        """See `SupportsSoftDelete.deletions`."""
        self._statements.check()
        return self._soft_deletes.of(table)

    def undelete(
        self,
        table: TableRef,
        deletion: int,
        skip_known: bool,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSoftDelete.undelete`."""
        with self._statements.one() as transaction:
            return self._soft_deletes.undelete(
                transaction, table, deletion, skip_known, cancellation
            )

    # SQL that writes

    def insert_rows(
        self,
        table: TableRef,
        columns: Sequence[str],
        request: SqlRequest,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.insert_rows`."""
        with self._writing(request) as transaction:
            return sql_writes.insert_rows(
                transaction, self._registry, table, columns, request, cancellation
            )

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
        with self._writing(request) as transaction:
            return sql_writes.update_rows(
                transaction, self._registry, table, columns, request, filter, cancellation
            )

    def delete_rows(
        self,
        table: TableRef,
        request: SqlRequest,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.delete_rows`."""
        with self._writing(request) as transaction:
            return sql_writes.delete_rows(
                transaction, self._registry, table, request, filter, cancellation
            )

    def merge_rows(
        self,
        table: TableRef,
        request: SqlRequest,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.merge_rows`."""
        with self._writing(request) as transaction:
            return sql_writes.merge_rows(transaction, self._registry, table, request, cancellation)

    @contextmanager
    def _writing(self, request: SqlRequest) -> Iterator[WriteTransaction]:
        self._check_past(request)
        with self._statements.one() as transaction:
            yield transaction

    # SQL that reads

    def run_sql(self, request: SqlRequest, cancellation: Cancellation = NEVER) -> Batches:
        """One SELECT over what this transaction has made; at a version, over what was then."""
        if request.version is not None:
            self._statements.check()
            return self._scans.query(request, cancellation)
        self._check_past(request)
        schema, batches = self._statements.stream(request, self._scans.query_rows, cancellation)
        return BatchStream(schema, checked(schema, batches), batches.close)

    def sql_schema(self, request: SqlRequest) -> pa.Schema:
        """The schema of the answer, without running the statement."""
        with self._statements.one() as transaction:
            return query_schema(transaction.connection, request)

    def explain_sql(
        self, request: SqlRequest, analyze: bool = False, cancellation: Cancellation = NEVER
    ) -> str:
        """DuckDB's plan as text."""
        self._check_past(request)
        with self._statements.one() as transaction:
            return explained(transaction.connection, request, analyze, cancellation)

    def temporary_source(
        self, tables: TemporaryTables, table: TableRef, cancellation: Cancellation = NEVER
    ) -> TableRef:
        """What SQL within this transaction calls a temporary table: a copy of it as it is now."""
        with self._statements.one() as transaction:
            return self._lent.source(transaction.connection, tables, table, cancellation)

    def _check_past(self, request: SqlRequest) -> None:
        if self._transaction.writes and _PAST.search(request.sql):
            raise Unsupported(
                "A transaction that has written something reads no older versions in SQL: read "
                "them before it, or outside of it."
            )

    # Ends

    def commit(self) -> Commit:
        """Makes it so. Conflict, after which nothing of it has happened."""
        try:
            self._statements.check()
        except BaseException:
            self._transaction.rollback()
            raise
        return Commit(self._transaction.commit())

    def finish(self, done: Commit) -> Commit:
        """Commits what was the only thing to do. Conflict."""
        return replace(done, snapshot=self.commit().snapshot)

    @property
    def snapshot(self) -> int:
        """The snapshot that it reads."""
        assert self._transaction.base is not None, "it was settled when it began"
        return self._transaction.base.snapshot

    @property
    def has_written(self) -> bool:
        """Whether there is anything to commit."""
        return self._transaction.writes > 0

    def rollback(self) -> None:
        """Nothing of it has happened."""
        self._transaction.rollback()
