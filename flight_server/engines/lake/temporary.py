"""Tables that only one session sees, and that end with it.

One statement of SQL can join them with the lake's. DuckDB's limit on memory is theirs too; what
does not fit spills to disk.

Each write is a transaction of its own, whatever transaction the session has open: a statement can
write to one database only. Two writes that change the same rows at the same time collide. Row ids
hold until the next write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from flight_server.engines.base import Acknowledge
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake import row_sql
from flight_server.engines.lake.assignments import SqlValues
from flight_server.engines.lake.bindings import bound, inputs_bound
from flight_server.engines.lake.checks import check_rules
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.inserts import insert_stream
from flight_server.engines.lake.instance import TEMPORARY
from flight_server.engines.lake.scans import BATCH_ROWS_MAX, scan_schema, scan_sql
from flight_server.engines.lake.temporary_registry import TemporaryRegistry, check_namespace
from flight_server.engines.lake.upserts import merge_stage, stage_rows
from flight_server.engines.outbound import Outbound
from flight_server.engines.segments import Segments, Source
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import ErrorCode, InvalidRequest, NotFound, Unsupported
from flight_server.model import (
    DEFAULT_NAMESPACE,
    TEMPORARY_CATALOG,
    Author,
    Commit,
    IngestMode,
    IngestRequest,
    ScanRequest,
    SqlRequest,
    TableInfo,
    TableRef,
    TableSpec,
    TableVersion,
)

_BY_KEY = (IngestMode.UPSERT, IngestMode.MERGE)
_DONE = Commit(-1)


class LakeTemporaryTables(SqlValues):
    """See `flight_server.engines.base.TemporaryTables`."""

    name = TEMPORARY_CATALOG

    def __init__(self, log: CommitLog, session: str) -> None:
        self._registry = TemporaryRegistry(log, session)

    # Engine

    def namespaces(self) -> list[str]:
        """`main`."""
        return [DEFAULT_NAMESPACE]

    def tables(self, namespace: str) -> list[TableRef]:
        """The tables, sorted. NotFound (namespace_not_found)."""
        check_namespace(namespace)
        return self._registry.tables()

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """The table. NotFound: there are no versions."""
        kept = self._registry.find(table)
        if version not in (None, -1):
            raise NotFound(
                f"There is no version {version} of '{kept.table.name}', which is temporary.",
                code=ErrorCode.VERSION_NOT_FOUND,
            )
        return TableVersion(kept.table, kept.spec, -1)

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """The table with its rows counted; it has no files and no versions but this one."""
        found, kept = self.resolve(table, version), self._registry.find(table)
        inner = self._registry.inner(table)
        return TableInfo(
            table=found.table,
            spec=found.spec,
            snapshot=-1,
            rows=int(self._registry.run(f"SELECT count(*) FROM {inner.table.sql}")[0][0]),
            bytes=0,
            files=0,
            versions=1,
            created_at=kept.created_at,
            changed_at=kept.changed_at,
        )

    def scan(
        self, table: TableRef, request: ScanRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """See `Engine.scan`."""
        self.resolve(table, request.version)
        found = self._registry.inner(table)
        schema = scan_schema(found, request)
        running = self._scanning(schema, scan_sql(found, request, None), cancellation)
        # Runs up to the first batch, so that what is wrong is said at once.
        next(running)
        return BatchStream(schema, running, running.close)

    def _scanning(self, schema: pa.Schema, sql: str, cancellation: Cancellation) -> Any:
        connection = self._registry.log.instance.connection()
        try:
            with translated("The scan"), cancellation.interrupting(connection.interrupt):
                reader = connection.execute(sql).to_arrow_reader(BATCH_ROWS_MAX)
                outbound = Outbound(schema, reader.schema)
                yield None
                for batch in reader:
                    yield from outbound.convert(batch)
        finally:
            connection.close()

    def sql_name(self, table: TableRef) -> TableRef:
        """What the table is called in SQL that the lake runs."""
        kept = self._registry.find(table)
        return TableRef(TEMPORARY, self._registry.session, kept.table.name)

    def close(self) -> None:
        """Drops all tables; what still reads them reads on."""
        self._registry.close()

    # SupportsTables

    def create_table(self, table: TableRef, spec: TableSpec, author: Author) -> Commit:
        """AlreadyExists; InvalidRequest (unsupported_type)."""
        with (
            self._registry.making(table, spec) as found,
            self._registry.writing(found) as transaction,
        ):
            check_rules(transaction, found.table, found.spec)
            transaction.run(row_sql.created(found))
        return _DONE

    def rename_table(self, table: TableRef, to: TableRef, author: Author) -> Commit:
        """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
        kept = self._registry.find(table)
        if (to.catalog.lower(), to.namespace.lower()) != (TEMPORARY_CATALOG, DEFAULT_NAMESPACE):
            raise Unsupported(
                f"The temporary table '{kept.table.name}' cannot become '{to}': it stays temporary."
            )
        self._registry.rename(kept.table, to.name)
        return _DONE

    def drop_table(self, table: TableRef, author: Author) -> Commit:
        """NotFound. What still reads it reads on."""
        self._registry.drop(table)
        return _DONE

    # SupportsIngest

    def ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        batches: Any,
        author: Author,
        acknowledge: Acknowledge = lambda commit: None,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsIngest.ingest`; without tokens, whose receipts would outlive the rows."""
        if request.token is not None:
            raise Unsupported("Temporary tables keep no ingest tokens: send the rows without one.")
        if request.commit_every is None:
            commit = self._ingest(table, request, batches.schema, batches, author, cancellation)
            acknowledge(commit)
            return commit
        source, last = Source(iter(batches)), _DONE
        try:
            for part in Segments(source, request.commit_every):
                done = self._ingest(table, request, batches.schema, part, author, cancellation)
                last = replace(done, offset=last.offset + done.offset)
                acknowledge(last)
                # What follows the first commit adds to it.
                if request.mode not in _BY_KEY:
                    request = replace(request, mode=IngestMode.APPEND)
        finally:
            source.close()
        return last

    def _ingest(
        self,
        table: TableRef,
        request: IngestRequest,
        schema: pa.Schema,
        rows: Any,
        author: Author,
        cancellation: Cancellation,
    ) -> Commit:
        """One part of a stream, in one transaction."""
        if not self._is_made_by(table, request):
            found = self._registry.inner(table)
            with self._registry.writing(found) as transaction:
                return _written(transaction, found, request, schema, rows, cancellation)
        spec = TableSpec(schema, key=request.key)
        with (
            self._registry.making(table, spec) as found,
            self._registry.writing(found) as transaction,
        ):
            transaction.run(row_sql.created(found))
            return _written(transaction, found, request, schema, rows, cancellation)

    def _is_made_by(self, table: TableRef, request: IngestRequest) -> bool:
        if request.mode is IngestMode.CREATE:
            return True
        return request.create_if_missing and not self._registry.knows(table)

    # SupportsUpdate, SupportsSqlWrites

    def update(
        self,
        table: TableRef,
        assignments: Mapping[str, str],
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Sets columns to SQL expressions over the old values where the filter holds."""
        found = self._registry.inner(table)
        rows = self._count(
            found, SqlRequest(row_sql.updated(found, assignments, filter)), cancellation
        )
        return Commit(-1, rows=rows, rows_updated=rows)

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows where the filter holds, all without one."""
        found = self._registry.inner(table)
        rows = self._count(found, SqlRequest(row_sql.deleted(found, filter)), cancellation)
        return Commit(-1, rows=rows, rows_deleted=rows)

    def insert_rows(
        self,
        table: TableRef,
        columns: Sequence[str],
        request: SqlRequest,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.insert_rows`."""
        found = self._registry.inner(table)
        sql = row_sql.inserted_rows(found, columns, request.sql)
        # A row of defaults has no use for parameters, which DuckDB would not take.
        parameters = request.parameters if columns else ()
        with (
            self._registry.writing(found) as transaction,
            inputs_bound(transaction.connection, request, cancellation),
        ):
            rows = transaction.count(sql, bound(parameters), cancellation)
        return Commit(-1, rows=rows, rows_inserted=rows)

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
        found = self._registry.inner(table)
        sql = row_sql.updated_rows(found, columns, request.sql, filter)
        rows = self._count(found, replace(request, sql=sql), cancellation)
        return Commit(-1, rows=rows, rows_updated=rows)

    def delete_rows(
        self,
        table: TableRef,
        request: SqlRequest,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.delete_rows`."""
        found = self._registry.inner(table)
        sql = row_sql.deleted_rows(found, request.sql, filter)
        rows = self._count(found, replace(request, sql=sql), cancellation)
        return Commit(-1, rows=rows, rows_deleted=rows)

    def merge_rows(
        self,
        table: TableRef,
        request: SqlRequest,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.merge_rows`."""
        found = self._registry.inner(table)
        with (
            self._registry.writing(found) as transaction,
            inputs_bound(transaction.connection, request, cancellation),
        ):
            sql = f"{request.sql}\nRETURNING merge_action"
            actions = transaction.run(sql, bound(request.parameters), cancellation)
        done = [action for (action,) in actions]
        return Commit(
            -1,
            rows=len(done),
            rows_inserted=done.count("INSERT"),
            rows_updated=done.count("UPDATE"),
            rows_deleted=done.count("DELETE"),
        )

    def _count(self, found: TableVersion, request: SqlRequest, cancellation: Cancellation) -> int:
        with (
            self._registry.writing(found) as transaction,
            inputs_bound(transaction.connection, request, cancellation),
        ):
            return transaction.count(request.sql, bound(request.parameters), cancellation)


def _written(
    transaction: WriteTransaction,
    found: TableVersion,
    request: IngestRequest,
    schema: pa.Schema,
    rows: Any,
    cancellation: Cancellation,
) -> Commit:
    inbound = _inbound(schema, found, request.mode)
    checked = _until_cancelled(iter(rows), cancellation)
    if request.mode in _BY_KEY:
        stage = stage_rows(transaction.connection, inbound, checked, cancellation)
        return merge_stage(transaction, found, request, stage, cancellation)
    if request.mode is IngestMode.OVERWRITE:
        transaction.run(f"DELETE FROM {found.table.sql}", (), cancellation)
    count = insert_stream(transaction, found, inbound, checked, cancellation)
    return Commit(-1, rows=count, rows_inserted=count, offset=count)


def _inbound(schema: pa.Schema, found: TableVersion, mode: IngestMode) -> Inbound:
    """The conversion of the stream's batches; refuses columns that cannot be left out."""
    inbound = Inbound(schema, found.schema)
    for name in inbound.missing if mode is not IngestMode.MERGE else ():
        if not found.schema.field(name).nullable and name not in found.spec.defaults:
            raise InvalidRequest(
                f"The column '{name}' is missing; it must not be null and has no default.",
                code=ErrorCode.SCHEMA_MISMATCH,
            )
    return inbound


def _until_cancelled(
    rows: Iterator[pa.RecordBatch], cancellation: Cancellation
) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        cancellation.check()
        yield batch
    cancellation.check()
