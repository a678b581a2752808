"""Tables that only one session sees, and that end with it.

They are plain DuckDB tables in a database of memory that the instance attaches under a hidden
name, a schema for each session, so that one statement can join them with the lake's. Columns are
kept as in the lake, and the Arrow schema that was sent is remembered here. DuckDB's limit on
memory is theirs too; what does not fit spills to disk.

Each write is a transaction of its own, whatever transaction the session has open: a statement can
write to one database only. Two writes that change the same rows at the same time collide. Row ids
hold until the next write.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from flight_server.engines.base import Acknowledge
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake import row_sql
from flight_server.engines.lake.bindings import bound
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.inserts import insert_stream
from flight_server.engines.lake.instance import TEMPORARY
from flight_server.engines.lake.outbound import Outbound
from flight_server.engines.lake.scans import BATCH_ROWS_MAX, scan_schema, scan_sql
from flight_server.engines.lake.segments import Segments, Source
from flight_server.engines.lake.tables import checked_spec
from flight_server.engines.lake.upserts import merge_stage, stage_rows
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import (
    AlreadyExists,
    ErrorCode,
    InvalidRequest,
    NotFound,
    Unsupported,
    did_you_mean,
)
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
    quoted,
)

_BY_KEY = (IngestMode.UPSERT, IngestMode.MERGE)
_DONE = Commit(-1)
# Nobody reads who wrote to a table that no log tells of.
_NOBODY = Author("")


@dataclass(frozen=True, order=True)
class _Inner(TableRef):
    """A temporary table as DuckDB knows it; in messages it has the name that clients use."""

    session: str = ""

    @property
    def sql(self) -> str:
        return ".".join(quoted(part) for part in (TEMPORARY, self.session, self.name))


@dataclass
class _Kept:
    """What is known of a table beside its rows."""

    table: TableRef
    spec: TableSpec
    created_at: dt.datetime
    changed_at: dt.datetime


class _Write(WriteTransaction):
    """A transaction that writes to temporary tables: no log tells of it."""

    def note(self, table: TableRef, *kinds: str) -> None:
        """Nobody reads a history of temporary tables."""

    def commit(self) -> int:
        """Makes it so; there is no snapshot of it. Conflict."""
        try:
            with translated("The write"):
                self.connection.execute("COMMIT")
        finally:
            self.close()
        return -1


class LakeTemporaryTables:
    """See `flight_server.engines.base.TemporaryTables`."""

    name = TEMPORARY_CATALOG

    def __init__(self, log: CommitLog, session: str) -> None:
        self._log = log
        self._session = session
        self._schema = f"{TEMPORARY}.{quoted(session)}"
        self._lock = threading.Lock()
        self._known: dict[str, _Kept] = {}
        # Names that tables being made will have.
        self._taken: set[str] = set()
        self._is_closed = False
        self._run(f"CREATE SCHEMA {self._schema}")

    # Engine

    def namespaces(self) -> list[str]:
        """`main`."""
        return [DEFAULT_NAMESPACE]

    def tables(self, namespace: str) -> list[TableRef]:
        """The tables, sorted. NotFound (namespace_not_found)."""
        _check_namespace(namespace)
        with self._lock:
            return sorted(kept.table for kept in self._known.values())

    def resolve(self, table: TableRef, version: int | None = None) -> TableVersion:
        """The table. NotFound: there are no versions."""
        kept = self._find(table)
        if version is not None and version != -1:
            raise NotFound(
                f"The temporary table '{kept.table.name}' has no versions.",
                code=ErrorCode.VERSION_NOT_FOUND,
            )
        return TableVersion(kept.table, kept.spec, -1)

    def describe(self, table: TableRef, version: int | None = None) -> TableInfo:
        """The table with its rows counted; it has no files and no versions but this one."""
        found, kept = self.resolve(table, version), self._find(table)
        rows = self._run(f"SELECT count(*) FROM {self._inner(found).table.sql}")[0][0]
        return TableInfo(
            table=found.table,
            spec=found.spec,
            snapshot=-1,
            rows=int(rows),
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
        found = self._inner(self.resolve(table, request.version))
        schema = scan_schema(found, request)
        running = self._scanning(schema, scan_sql(found, request, None), cancellation)
        # Runs up to the first batch, so that what is wrong is said at once.
        next(running)
        return BatchStream(schema, running, running.close)

    def _scanning(self, schema: pa.Schema, sql: str, cancellation: Cancellation) -> Any:
        connection = self._log.instance.connection()
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
        return TableRef(TEMPORARY, self._session, self._find(table).table.name)

    def close(self) -> None:
        """Drops all tables; what still reads them reads on."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._known.clear()
        self._run(f"DROP SCHEMA {self._schema} CASCADE")

    # SupportsTables

    def create_table(self, table: TableRef, spec: TableSpec, author: Author) -> Commit:
        """AlreadyExists; InvalidRequest (unsupported_type)."""
        with self._making(table, spec) as found, self._writing(found) as transaction:
            transaction.run(row_sql.created(found))
        return _DONE

    def rename_table(self, table: TableRef, to: TableRef, author: Author) -> Commit:
        """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
        kept = self._find(table)
        if (to.catalog.lower(), to.namespace.lower()) != (TEMPORARY_CATALOG, DEFAULT_NAMESPACE):
            raise Unsupported(
                f"The temporary table '{kept.table.name}' cannot become '{to}': it stays temporary."
            )
        inner = self._inner(self.resolve(table)).table.sql
        same = to.name.lower() == kept.table.name.lower()
        with self._lock:
            if not same:
                self._check_free(to.name)
            self._run(f"ALTER TABLE {inner} RENAME TO {quoted(to.name)}")
            del self._known[kept.table.name.lower()]
            self._known[to.name.lower()] = replace(kept, table=_named(to.name))
        return _DONE

    def drop_table(self, table: TableRef, author: Author) -> Commit:
        """NotFound. What still reads it reads on."""
        kept = self._find(table)
        inner = self._inner(self.resolve(table)).table.sql
        with self._lock:
            self._run(f"DROP TABLE {inner}")
            self._known.pop(kept.table.name.lower(), None)
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
            found = self._inner(self.resolve(table))
            with self._writing(found) as transaction:
                return _written(transaction, found, request, schema, rows, cancellation)
        spec = TableSpec(schema, key=request.key)
        with self._making(table, spec) as found, self._writing(found) as transaction:
            transaction.run(row_sql.created(found))
            return _written(transaction, found, request, schema, rows, cancellation)

    def _is_made_by(self, table: TableRef, request: IngestRequest) -> bool:
        if request.mode is IngestMode.CREATE:
            return True
        with self._lock:
            return request.create_if_missing and table.name.lower() not in self._known

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
        found = self._inner(self.resolve(table))
        rows = self._count(found, row_sql.updated(found, assignments, filter), (), cancellation)
        return Commit(-1, rows=rows, rows_updated=rows)

    def delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """Deletes the rows where the filter holds, all without one."""
        found = self._inner(self.resolve(table))
        rows = self._count(found, row_sql.deleted(found, filter), (), cancellation)
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
        found = self._inner(self.resolve(table))
        sql = row_sql.inserted_rows(found, columns, request.sql)
        # A row of defaults has no use for parameters, which DuckDB would not take.
        parameters = request.parameters if columns else ()
        rows = self._count(found, sql, parameters, cancellation)
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
        found = self._inner(self.resolve(table))
        sql = row_sql.updated_rows(found, columns, request.sql, filter)
        rows = self._count(found, sql, request.parameters, cancellation)
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
        found = self._inner(self.resolve(table))
        sql = row_sql.deleted_rows(found, request.sql, filter)
        rows = self._count(found, sql, request.parameters, cancellation)
        return Commit(-1, rows=rows, rows_deleted=rows)

    def merge_rows(
        self,
        table: TableRef,
        request: SqlRequest,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSqlWrites.merge_rows`."""
        found = self._inner(self.resolve(table))
        with self._writing(found) as transaction:
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

    # What the others are made of

    def _find(self, table: TableRef) -> _Kept:
        with self._lock:
            kept = self._known.get(table.name.lower())
            known = [one.table.name for one in self._known.values()]
        if kept is None or table.namespace.lower() != DEFAULT_NAMESPACE:
            raise NotFound(
                f"There is no temporary table '{table.name}'.{did_you_mean(table.name, known)}",
                code=ErrorCode.TABLE_NOT_FOUND,
            )
        return kept

    def _inner(self, found: TableVersion) -> TableVersion:
        return replace(
            found,
            table=_Inner(TEMPORARY_CATALOG, DEFAULT_NAMESPACE, found.table.name, self._session),
        )

    @contextmanager
    def _making(self, table: TableRef, spec: TableSpec) -> Iterator[TableVersion]:
        """The name is taken while the table is made in the block, and known after it."""
        _check_namespace(table.namespace)
        spec = checked_spec(spec)
        found = TableVersion(_named(table.name), spec, -1)
        with self._lock:
            self._check_free(table.name)
            self._taken.add(table.name.lower())
        try:
            yield self._inner(found)
            now = dt.datetime.now(dt.UTC)
            with self._lock:
                self._known[table.name.lower()] = _Kept(found.table, spec, now, now)
        finally:
            with self._lock:
                self._taken.discard(table.name.lower())

    def _check_free(self, name: str) -> None:
        if self._is_closed:
            raise NotFound("The session of this temporary table has ended.")
        if name.lower() in self._taken or name.lower() in self._known:
            raise AlreadyExists(f"The temporary table '{name}' exists already.")

    @contextmanager
    def _writing(self, found: TableVersion) -> Iterator[WriteTransaction]:
        """A transaction that is committed at the end of the block, and rolled back on an error."""
        # What it reads of the lake is not tidied away meanwhile.
        with self._log.pins.stream(self._log.snapshot):
            transaction = _Write(self._log, _NOBODY)
            try:
                yield transaction
                transaction.commit()
            finally:
                transaction.rollback()
        with self._lock:
            kept = self._known.get(found.table.name.lower())
            if kept is not None:
                kept.changed_at = dt.datetime.now(dt.UTC)

    def _count(
        self, found: TableVersion, sql: str, parameters: Any, cancellation: Cancellation
    ) -> int:
        with self._writing(found) as transaction:
            return transaction.count(sql, bound(parameters), cancellation)

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        with translated():
            return self._log.instance.rows(sql)


def _named(name: str) -> TableRef:
    return TableRef(TEMPORARY_CATALOG, DEFAULT_NAMESPACE, name)


def _check_namespace(name: str) -> None:
    if name.lower() != DEFAULT_NAMESPACE:
        raise NotFound(
            f"There is no namespace '{name}' of temporary tables: theirs is '{DEFAULT_NAMESPACE}'.",
            code=ErrorCode.NAMESPACE_NOT_FOUND,
        )


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
