"""Reading: a scan or a query becomes SQL, runs in a lent connection, and streams out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake import catalog
from flight_server.engines.lake.answers import answered, arrow_reader, checked
from flight_server.engines.lake.bindings import bound, inputs_bound
from flight_server.engines.lake.catalog import DataFile
from flight_server.engines.lake.failures import translated
from flight_server.engines.lake.hot import HotScans
from flight_server.engines.lake.instance import Instance, Reader, literal
from flight_server.engines.lake.pins import Pins
from flight_server.engines.lake.plans import explained
from flight_server.engines.lake.tables import true_name
from flight_server.engines.lake.traced import begun
from flight_server.engines.lake.types import select_expression
from flight_server.engines.outbound import Outbound
from flight_server.engines.stream import BatchStream
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import (
    ROW_ID,
    ScanRequest,
    Slice,
    SqlRequest,
    TableInfo,
    TableVersion,
    quoted,
)

BATCH_ROWS_MIN = 2_048
BATCH_ROWS_MAX = 122_880
SCHEMAS_CACHED_MAX = 512
CACHED_CHARACTERS_MAX = 8192
# A guess at the bytes of one value whose type has no fixed width.
VARIABLE_BYTES = 16
# How DuckDB tells columns of one name apart.
_NUMBERED = re.compile(r"_\d+$")
_NO_INPUTS = SqlRequest("")
_SLICE = re.compile(r"(\d{1,9}):(\d{0,9}):([0-9a-f]{16})")


class Scans:
    """Runs what reads."""

    def __init__(self, instance: Instance, pins: Pins, newest: Callable[[], int]) -> None:
        self._instance = instance
        self._pins = pins
        self._newest = newest
        self._schemas: dict[tuple[Any, ...], pa.Schema] = {}
        self._hot = HotScans(instance, instance.hot_bytes_max)

    def scan(
        self, found: TableVersion, request: ScanRequest, cancellation: Cancellation
    ) -> BatchStream:
        """The rows of a table at a version; see `Engine.scan`. One that is hot comes at once."""
        schema = scan_schema(found, request)
        key = self._hot.key(found, request, schema)
        if key is None:
            return self._read(found, request, schema, cancellation)
        hot = self._hot.find(key, found.snapshot)
        if hot is not None:
            return BatchStream(schema, iter(hot))
        stream = self._read(found, request, schema, cancellation)
        width = sum(_width(field.type) for field in schema)
        batches = self._hot.keeping(key, found.snapshot, width, stream)
        return BatchStream(schema, batches, stream.close)

    def _read(
        self,
        found: TableVersion,
        request: ScanRequest,
        schema: pa.Schema,
        cancellation: Cancellation,
    ) -> BatchStream:

        def sql(snapshot: int) -> str:
            # Looked at once the transaction has begun: files merged later do not concern it.
            files = self._slice_files(found, request) if request.slice is not None else None
            # Never another snapshot than the one whose columns are known.
            version = found.snapshot if found.snapshot != snapshot else None
            return scan_sql(found, request, version, files)

        duck_schema, batches = self._run(
            sql, (), self.rows_each(schema), cancellation, found.snapshot
        )
        return converted(schema, duck_schema, batches)

    def rows(
        self, schema: pa.Schema, sql: str, oldest: int, cancellation: Cancellation
    ) -> BatchStream:
        """The answer of a SELECT of ours, whose columns are those of the schema in order.

        It reads no snapshot before `oldest`.
        """
        duck_schema, batches = self._run(
            lambda _: sql, (), self.rows_each(schema), cancellation, oldest
        )
        return converted(schema, duck_schema, batches)

    def query(self, request: SqlRequest, cancellation: Cancellation) -> BatchStream:
        """The answer of one checked SELECT."""
        schema, batches = self._run(
            lambda _: request.sql,
            request.parameters,
            self.query_rows,
            cancellation,
            request.version,
            request,
        )
        return BatchStream(schema, checked(schema, batches), batches.close)

    def query_schema(self, request: SqlRequest) -> pa.Schema:
        """The schema of the answer; the statement is bound and planned, and reads no row."""
        key = _schema_key(request)
        known = self._schemas.get(key) if key is not None else None
        if known is None:
            with self._reading(request.temporary) as reader:
                known = query_schema(reader.connection, request)
            if key is not None:
                if len(self._schemas) >= SCHEMAS_CACHED_MAX:
                    self._schemas.clear()
                self._schemas[key] = known
        return known

    def explain(self, request: SqlRequest, analyze: bool, cancellation: Cancellation) -> str:
        """DuckDB's plan as text; see `plans`."""
        with self._reading(request.temporary) as reader:
            return explained(reader.connection, request, analyze, cancellation)

    def describe(self, found: TableVersion, rows: int | None = None) -> TableInfo:
        """The table with its numbers: rows counted, the rest read from the catalog."""
        instance = self._instance
        number = catalog.table_id(instance, found.table, found.snapshot)
        files = catalog.data_files(instance, number, found.snapshot)
        listed = catalog.versions(instance, found.table, found.snapshot)
        return TableInfo(
            table=found.table,
            spec=found.spec,
            snapshot=found.snapshot,
            rows=self._count(found) if rows is None else rows,
            bytes=sum(file.bytes for file in files),
            files=len(files),
            versions=len(listed),
            created_at=catalog.created_at(instance, number),
            changed_at=listed[0].committed_at if listed else catalog.created_at(instance, number),
        )

    def _count(self, found: TableVersion) -> int:
        with self._reading() as reader, translated("The count"):
            at = "" if reader.snapshot == found.snapshot else f" AT (VERSION => {found.snapshot})"
            sql = f"SELECT count(*) FROM {found.table.sql}{at}"
            return int(reader.connection.execute(sql).fetchall()[0][0])

    def slices(self, found: TableVersion, number: int, bytes_each: int) -> list[Slice]:
        """Groups of data files of about `bytes_each`; the last also has what is in no file."""
        files = catalog.data_files(self._instance, number, found.snapshot)
        bounds = _bounds([file.bytes for file in files], bytes_each)
        if len(bounds) < 2:
            rows, size = sum(f.rows for f in files), sum(f.bytes for f in files)
            return [Slice(None, rows, size)]
        digest = _digest(files)
        self._pins.hold_files(number, self._instance.settings.ticket_seconds)
        return [
            Slice(
                f"{start}:{end if end < len(files) else ''}:{digest}",
                sum(file.rows for file in files[start:end]),
                sum(file.bytes for file in files[start:end]),
            )
            for start, end in bounds
        ]

    def _slice_files(self, found: TableVersion, request: ScanRequest) -> str:
        """The condition on `filename` that a slice means."""
        assert request.slice is not None
        match = _SLICE.fullmatch(request.slice)
        if match is None:
            raise InvalidRequest(
                f"'{request.slice}' is no part of a scan. Ask for the flight info again.",
                code=ErrorCode.INVALID_TICKET,
            )
        start, end, digest = match.groups()
        number = catalog.table_id(self._instance, found.table, found.snapshot)
        files = catalog.data_files(self._instance, number, found.snapshot)
        if _digest(files) != digest:
            raise InvalidRequest(
                "The files of this ticket have been merged since. Ask for the flight info again.",
                code=ErrorCode.TICKET_EXPIRED,
            )
        mine = files[int(start) : int(end) if end else None]
        others = files[: int(start)]
        if end:
            return f"({_any_of(mine)})"
        return f"NOT ({_any_of(others)})"

    def _run(
        self,
        sql: Callable[[int], str],
        parameters: Any,
        rows_each: int,
        cancellation: Cancellation,
        oldest: int | None,
        inputs: SqlRequest = _NO_INPUTS,
    ) -> tuple[pa.Schema, Any]:
        """The schema of the answer, and a generator of its batches that can be closed.

        `inputs` says what is read besides the lake.
        """
        running = self._running(sql, parameters, rows_each, cancellation, oldest, inputs)
        # The first item is the schema, so that running and its clean-up stand in one place.
        return begun(running)

    def _running(
        self,
        sql: Callable[[int], str],
        parameters: Any,
        rows_each: int,
        cancellation: Cancellation,
        oldest: int | None,
        inputs: SqlRequest,
    ) -> Iterator[Any]:
        # Pinned before the transaction begins, so that nothing can go in between.
        pinned = self._newest() if oldest is None else oldest
        with self._pins.stream(pinned):
            with translated("The query"):
                reader = self._instance.lend(self._newest(), inputs.temporary)
            yield from self._lent(reader, sql, parameters, rows_each, cancellation, inputs)

    @contextmanager
    def _reading(self, temporary: bool = False) -> Iterator[Reader]:
        """A reader at the newest snapshot, for an answer that is used up within the block."""
        with (
            self._pins.stream(self._newest()),
            self._instance.reading(self._newest(), fresh=temporary) as reader,
        ):
            yield reader

    def _lent(
        self,
        reader: Reader,
        sql: Callable[[int], str],
        parameters: Any,
        rows_each: int,
        cancellation: Cancellation,
        inputs: SqlRequest,
    ) -> Iterator[Any]:
        finished = False
        connection = reader.connection
        try:
            with (
                inputs_bound(connection, inputs, cancellation),
                translated("The query"),
                cancellation.interrupting(connection.interrupt),
            ):
                # What other engines give is read once.
                again = not inputs.scans
                text, values = sql(reader.snapshot), bound(parameters)
                yield from answered(connection, text, values, rows_each, cancellation, again)
            finished = True
        finally:
            # A connection whose answer was not read to its end is busy, or its transaction spoilt.
            if finished:
                self._instance.give_back(reader)
            else:
                reader.connection.close()

    def rows_each(self, schema: pa.Schema) -> int:
        """How many rows of a schema make a batch of the size that suits the wire."""
        width = sum(_width(field.type) for field in schema)
        rows = self._instance.settings.batch_bytes // max(1, width)
        return max(BATCH_ROWS_MIN, min(BATCH_ROWS_MAX, rows))

    @property
    def query_rows(self) -> int:
        """How many rows a batch of a query's answer may have."""
        # The width of a query's rows is known only once it runs; the door slices what is too wide.
        return 65_536


def _schema_key(request: SqlRequest) -> tuple[Any, ...] | None:
    """What an answer's schema hangs on; None where tables may be other ones the next time.

    The text of a pinned statement says of each table at which version it is read.
    """
    if request.version is None or request.temporary or request.scans:
        return None
    if len(request.sql) > CACHED_CHARACTERS_MAX:
        return None
    given = request.parameters
    values = given.items() if isinstance(given, Mapping) else enumerate(given)
    types = ((name, getattr(value, "type", type(value))) for name, value in values)
    return (request.sql, *types)


def query_schema(connection: duckdb.DuckDBPyConnection, request: SqlRequest) -> pa.Schema:
    """The schema of a SELECT's answer; it is bound and planned, and reads no row."""
    sql = f"SELECT * FROM ({request.sql}\n) LIMIT 0"
    with inputs_bound(connection, request, None), translated("The query"):
        answer = connection.execute(sql, bound(request.parameters))
        schema = arrow_reader(answer, BATCH_ROWS_MIN).schema
        if any(_NUMBERED.search(name) for name in schema.names):
            schema = _with_own_names(connection, request, schema)
    return schema


def _with_own_names(
    connection: duckdb.DuckDBPyConnection, request: SqlRequest, schema: pa.Schema
) -> pa.Schema:
    """The schema with the answer's own names: a subquery numbers those that are there twice."""
    described = connection.execute(f"DESCRIBE {request.sql}", bound(request.parameters)).fetchall()
    return pa.schema(
        [field.with_name(row[0]) for field, row in zip(schema, described, strict=True)]
    )


def scan_sql(
    found: TableVersion, request: ScanRequest, version: int | None, files: str | None = None
) -> str:
    """The SELECT that a scan means; `version` None reads the transaction's own snapshot."""
    names = request.columns if request.columns is not None else tuple(found.schema.names)
    columns = []
    for name in names:
        field = found.schema.field(true_name(found.schema, name))
        column = quoted(field.name)
        columns.append(f"{select_expression(field, column)} AS {column}")
    if request.with_row_id:
        columns.append(f"rowid AS {quoted(ROW_ID)}")
    at = "" if version is None else f" AT (VERSION => {int(version)})"
    conditions = [f"({part})" for part in (request.filter, files) if part]
    clauses = [
        f"SELECT {', '.join(columns)} FROM {found.table.sql}{at}",
        f"WHERE {' AND '.join(conditions)}" if conditions else "",
        f"ORDER BY {request.order_by}" if request.order_by else "",
        f"LIMIT {request.limit}" if request.limit is not None else "",
        f"OFFSET {request.offset}" if request.offset else "",
    ]
    return " ".join(clause for clause in clauses if clause)


def scan_schema(found: TableVersion, request: ScanRequest) -> pa.Schema:
    """The schema that a scan answers in. InvalidRequest (column_not_found)."""
    full = found.schema
    names = request.columns if request.columns is not None else full.names
    fields = [full.field(true_name(full, name)) for name in names]
    if request.with_row_id:
        fields.append(pa.field(ROW_ID, pa.int64(), nullable=False))
    return pa.schema(fields, metadata=full.metadata)


def converted(schema: pa.Schema, duck_schema: pa.Schema, batches: Any) -> BatchStream:
    """DuckDB's batches in the schema that was declared; closing it closes them."""
    outbound = Outbound(schema, duck_schema)

    def converted() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from outbound.convert(batch)

    return BatchStream(schema, converted(), batches.close)


def _bounds(sizes: list[int], bytes_each: int) -> list[tuple[int, int]]:
    """Runs of neighbouring files that reach `bytes_each` together, as (start, end)."""
    bounds, start, total = [], 0, 0
    for index, size in enumerate(sizes):
        total += size
        if total >= bytes_each:
            bounds.append((start, index + 1))
            start, total = index + 1, 0
    if start < len(sizes):
        bounds.append((start, len(sizes)))
    return bounds


def _digest(files: list[DataFile]) -> str:
    return hashlib.sha256("\n".join(file.path for file in files).encode()).hexdigest()[:16]


def _any_of(files: list[DataFile]) -> str:
    # A file may stand below a partition's folder; its own name is unique.
    names = (file.path.rsplit("/", 1)[-1] for file in files)
    return " OR ".join(f"ends_with(filename, {literal(name)})" for name in names)


def _width(kind: pa.DataType) -> int:
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return VARIABLE_BYTES * (1 + int(kind.num_fields))
