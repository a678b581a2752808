"""Reads: what a request will give, pinned to a snapshot, and the batches it does give."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import pyarrow as pa

from flight_server import operations
from flight_server.bodies.requests import Changes, Diff, Scan, Sql
from flight_server.bodies.search import Search
from flight_server.bodies.statements import sql_request
from flight_server.engines.stream import Batches, BatchStream
from flight_server.model import (
    DEFAULT_CATALOG,
    TEMPORARY_CATALOG,
    ChangesRequest,
    ScanRequest,
    Slice,
    TableRef,
)
from flight_server.operations import Call, Services
from flight_server.wire.descriptors import Read


@dataclass(frozen=True)
class ReadPlan:
    """What a read will give. `read` is the same request, pinned to `snapshot` of `catalog`.

    `rows` and `bytes` are -1 where they are not known. `snapshot` is None in a transaction, and of
    a search. What `reads_others` may become another plan though the snapshot stays: see
    `QueryPlan`.
    """

    read: Read
    schema: pa.Schema
    catalog: str
    snapshot: int | None
    rows: int = -1
    bytes: int = -1
    slices: tuple[Slice, ...] = (Slice(None, -1, -1),)
    ordered: bool = False
    parameters: pa.Table | None = None
    transaction: str | None = None
    reads_others: bool = False


def plan_read(
    services: Services,
    call: Call,
    read: Read,
    parameters: pa.Table | None = None,
    transaction: str | None = None,
) -> ReadPlan:
    """The plan of a read, without running it where that can be avoided.

    `parameters` are rows of parameters for SQL: it is run once for each of them. `transaction`
    is the name of the one that the call is in.
    """
    match read:
        case Scan():
            return _plan_scan(services, call, read)
        case Sql():
            plan = _plan_sql(services, call, read, parameters)
            return replace(plan, transaction=transaction)
        case Changes() | Diff():
            return _plan_between(services, call, read)
        case Search():
            table, request = TableRef.parse(read.table), read.request()
            schema = operations.schema_of_search(services, call, table, request)
            # It is of the newest rows when it is run.
            return ReadPlan(read, schema, table.catalog, None)


def open_read(
    services: Services,
    call: Call,
    read: Read,
    slice_name: str | None = None,
    parameters: pa.Table | None = None,
) -> Batches:
    """The batches of a read; whoever reads them closes them."""
    match read:
        case Scan():
            table, request = _scan_request(services, call, read, slice_name)
            return operations.scan(services, call, table, request)
        case Sql():
            return _open_sql(services, call, read, parameters)
        case Changes():
            between = ChangesRequest(read.after, read.until, read.images)
            return operations.changes(services, call, TableRef.parse(read.table), between)
        case Diff():
            return _open_diff(services, call, read)
        case Search():
            return operations.search(services, call, TableRef.parse(read.table), read.request())


def _plan_sql(services: Services, call: Call, read: Sql, parameters: pa.Table | None) -> ReadPlan:
    """The plan of SQL; one that is no more than a scan is planned as that."""
    now = dt.datetime.now(dt.UTC)
    request = sql_request(services, read)
    if parameters is not None:
        names = operations.parameters_of(operations.statement_of(call, read.sql))
        first = next(operations.rows_of(parameters, names), None)
        request = replace(request, parameters=first or dict.fromkeys(names))
    plan = operations.plan_query(services, call, request)
    if plan.scan is not None:
        found = _plan_scan(services, call, _scan_body(*plan.scan))
        return replace(found, reads_others=plan.reads_others)
    at: dict[str, object] = {"version": plan.snapshot, "as_of": None}
    if plan.reads_others and read.as_of is not None:
        # No snapshot of the lake says how other catalogs were; a moment that is over does.
        at = {"version": None, "as_of": min(read.as_of, now)}
    pinned = read.model_copy(update=at)
    return ReadPlan(
        pinned,
        plan.schema,
        DEFAULT_CATALOG,
        plan.snapshot,
        parameters=parameters,
        reads_others=plan.reads_others,
    )


def _open_sql(services: Services, call: Call, read: Sql, parameters: pa.Table | None) -> Batches:
    request = sql_request(services, read)
    if parameters is None:
        return operations.query(services, call, request)
    names = operations.parameters_of(operations.statement_of(call, read.sql))
    requests = [replace(request, parameters=row) for row in operations.rows_of(parameters, names)]
    if not requests:
        unbound = replace(request, parameters=dict.fromkeys(names))
        return BatchStream(operations.plan_query(services, call, unbound).schema, iter(()))
    return operations.query_each(services, call, requests)


def _scan_body(table: TableRef, request: ScanRequest) -> Scan:
    return Scan(
        table=str(table),
        columns=request.columns,
        filter=request.filter,
        order_by=request.order_by,
        limit=request.limit,
        offset=request.offset,
        version=request.version,
    )


def _plan_scan(services: Services, call: Call, read: Scan) -> ReadPlan:
    table, request = _scan_request(services, call, read, None)
    plan = operations.plan_scan(services, call, table, request)
    # What a transaction has written, and what a session keeps to itself, is in no snapshot.
    kept = call.transaction is None and plan.table.catalog != TEMPORARY_CATALOG
    snapshot = plan.snapshot if kept else None
    pinned = read.model_copy(update={"version": snapshot, "as_of": None}) if kept else read
    return ReadPlan(
        pinned,
        plan.schema,
        plan.table.catalog,
        snapshot,
        plan.rows,
        plan.bytes,
        plan.slices,
        plan.ordered,
    )


def _scan_request(
    services: Services, call: Call, read: Scan, slice_name: str | None
) -> tuple[TableRef, ScanRequest]:
    table = TableRef.parse(read.table)
    request = ScanRequest(
        columns=read.columns,
        filter=read.filter,
        order_by=read.order_by,
        limit=read.limit,
        offset=read.offset,
        version=operations.snapshot_of(services, call, table, read.version, read.as_of),
        with_row_id=read.with_row_id,
        slice=slice_name,
        media=read.media_bytes(),
    )
    return table, request


def _plan_between(services: Services, call: Call, read: Changes | Diff) -> ReadPlan:
    """The plan of a read that ends at a snapshot: by default the newest there is now."""
    table = TableRef.parse(read.table)
    end = read.until if isinstance(read, Changes) else read.newer
    snapshot = operations.snapshot_of(services, call, table, end, None)
    if snapshot is None:
        snapshot = operations.newest_version(services, call, table)
    field = "until" if isinstance(read, Changes) else "newer"
    pinned: Read = read.model_copy(update={field: snapshot})
    batches = open_read(services, call, pinned)
    schema = batches.schema
    batches.close()
    return ReadPlan(pinned, schema, table.catalog, snapshot)


def _open_diff(services: Services, call: Call, read: Diff) -> Batches:
    table = TableRef.parse(read.table)
    older = operations.snapshot_of(services, call, table, read.older, None)
    newer = operations.snapshot_of(services, call, table, read.newer, None)
    assert older is not None, "a diff names its older version"
    return operations.diff(services, call, table, older, newer)
