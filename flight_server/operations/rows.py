"""Rows: scans and what they will cost, updates and deletes by filter, ingests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import (
    Acknowledge,
    SupportsIngest,
    SupportsMedia,
    SupportsSlices,
    SupportsTables,
    SupportsUpdate,
    require,
)
from flight_server.engines.stream import Batches
from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, NotFound, did_you_mean
from flight_server.model import (
    ROW_ID,
    Commit,
    IngestMode,
    IngestRequest,
    Kind,
    NamespaceRef,
    ScanRequest,
    Slice,
    TableRef,
)
from flight_server.operations.authorise import (
    Permitted,
    check_columns,
    check_in_sight,
    check_left_out,
    hide_internal,
    known_columns,
    may_in_namespace,
    narrow,
    permitted,
)
from flight_server.operations.metering import Counted
from flight_server.operations.seen_scans import (
    checked_predicate,
    checked_scan,
    joined_filter,
    without_metadata,
)
from flight_server.operations.services import Call, Services, engine_of
from flight_server.operations.staged import ingest_staged
from flight_server.operations.tables import drop_table, spec_of
from flight_server.operations.together import in_one_commit
from flight_server.query import check_expression


@dataclass(frozen=True)
class ScanPlan:
    """What a scan will give: its schema, its snapshot, estimates, and the parts to read.

    `rows` and `bytes` are -1 where they are not known. `ordered` says that the parts' order
    matters.
    """

    table: TableRef
    schema: pa.Schema
    snapshot: int
    rows: int
    bytes: int
    slices: tuple[Slice, ...]
    ordered: bool


def scan(services: Services, call: Call, table: TableRef, request: ScanRequest) -> Batches:
    """The rows, as far as the principal may read them. NotFound; InvalidRequest; Forbidden."""
    allowed = permitted(services, call, table, Action.READ, request.version)
    checked = checked_scan(allowed, request)
    found = allowed.engine.scan(allowed.table, checked, call.cancellation)
    if found.schema.metadata and len(allowed.columns) < len(allowed.version.schema):
        return without_metadata(found)
    return found


def plan_scan(services: Services, call: Call, table: TableRef, request: ScanRequest) -> ScanPlan:
    """The scan without running it, pinned to one snapshot. Errors as `scan`."""
    allowed = permitted(services, call, table, Action.READ, request.version)
    checked = checked_scan(allowed, request)
    schema = scan_schema(allowed, checked)
    # What a transaction has written is in no snapshot yet.
    pinned = checked
    if call.transaction is None:
        pinned = replace(checked, version=allowed.version.snapshot)
    rows, size = _estimated(allowed, pinned)
    slices: list[Slice] = [Slice(None, rows, size)]
    splittable = checked.limit is None and not checked.offset and checked.order_by is None
    if splittable and isinstance(allowed.engine, SupportsSlices):
        slices = allowed.engine.slices(allowed.table, pinned, services.settings.endpoint_bytes)
    return ScanPlan(
        allowed.table,
        schema,
        allowed.version.snapshot,
        rows,
        size,
        tuple(slices),
        ordered=len(slices) > 1,
    )


def _estimated(allowed: Permitted, request: ScanRequest) -> tuple[int, int]:
    """How many rows and bytes a scan will give; -1 where that is not known without running it."""
    if request.filter is not None or not allowed.whole or allowed.version.spec.kind is Kind.VIEW:
        return -1, -1
    info = allowed.engine.describe(allowed.table, request.version)
    rows = _after_limit(info.rows, request)
    # How large files are is known when they are read.
    size = -1 if request.media else int(info.bytes * rows / max(info.rows, 1))
    return rows, size


def schema_of_scan(
    services: Services, call: Call, table: TableRef, request: ScanRequest
) -> pa.Schema:
    """The schema that a scan would answer in. Errors as `scan`."""
    allowed = permitted(services, call, table, Action.READ, request.version)
    return scan_schema(allowed, checked_scan(allowed, request))


def scan_schema(allowed: Permitted, request: ScanRequest) -> pa.Schema:
    """The schema a checked scan answers in."""
    full = allowed.version.schema
    fields = [full.field(name) for name in request.columns or allowed.columns]
    if request.with_row_id:
        fields.append(pa.field(ROW_ID, pa.int64(), nullable=False))
    whole = len(allowed.columns) == len(full)
    schema = pa.schema(fields, metadata=full.metadata if whole else None)
    if request.media is None:
        return schema
    return require(allowed.engine, SupportsMedia).media_schema(schema, request.media)


def update(
    services: Services,
    call: Call,
    table: TableRef,
    assignments: Mapping[str, str],
    filter: str | None,
    all_rows: bool = False,
) -> Commit:
    """Sets columns to SQL expressions where the filter holds. NotFound; InvalidRequest; Forbidden.

    `all_rows` has to be said where there is no filter.
    """
    allowed, checked, where = checked_update(services, call, table, assignments, filter, all_rows)
    engine = require(allowed.engine, SupportsUpdate)
    author = call.author("update", allowed.table)
    return engine.update(allowed.table, checked, where, author, call.cancellation)


def checked_update(
    services: Services,
    call: Call,
    table: TableRef,
    assignments: Mapping[str, str],
    filter: str | None,
    all_rows: bool,
) -> tuple[Permitted, Mapping[str, str], str | None]:
    """The table, the columns in their true case with checked expressions, and the whole filter."""
    refuse_unfiltered(filter, all_rows, "update")
    if not assignments:
        raise InvalidRequest("'set' is empty: name at least one column and its new value.")
    allowed = permitted(services, call, table, Action.UPDATE)
    readable = permitted(services, call, table, Action.READ)
    names = dict(zip(narrow(allowed, tuple(assignments)), assignments.values(), strict=True))
    if len(names) < len(assignments):
        raise InvalidRequest("'set' names a column twice; the case of letters does not count.")
    check_in_sight(names, allowed, readable)
    checked = {k: check_expression(v, readable.columns) for k, v in names.items()}
    where = joined_filter(allowed, joined_filter(readable, checked_predicate(readable, filter)))
    return allowed, checked, where


def delete(
    services: Services,
    call: Call,
    table: TableRef,
    filter: str | None,
    all_rows: bool = False,
) -> Commit:
    """Deletes the rows where the filter holds. Errors and `all_rows` as `update`."""
    allowed, where = checked_delete(services, call, table, filter, all_rows)
    engine = require(allowed.engine, SupportsUpdate)
    author = call.author("delete", allowed.table)
    return engine.delete(allowed.table, where, author, call.cancellation)


def checked_delete(
    services: Services, call: Call, table: TableRef, filter: str | None, all_rows: bool
) -> tuple[Permitted, str | None]:
    """The table and the whole filter of a delete."""
    refuse_unfiltered(filter, all_rows, "delete")
    allowed = permitted(services, call, table, Action.DELETE)
    readable = permitted(services, call, table, Action.READ)
    return allowed, joined_filter(
        allowed, joined_filter(readable, checked_predicate(readable, filter))
    )


def ingest(
    services: Services,
    call: Call,
    table: TableRef,
    request: IngestRequest,
    batches: Batches,
    acknowledge: Acknowledge = lambda commit: None,
) -> Commit:
    """Writes a stream of batches; see `SupportsIngest.ingest`. Forbidden besides its errors."""
    hide_internal(table)
    engine = require(engine_of(services, call, table.catalog), SupportsIngest)
    target = _ingest_target(services, call, table, request, batches.schema)
    if request.staged is not None:
        return ingest_staged(services, call, target, request, batches.schema, request.staged)
    author = call.author(f"ingest ({request.mode})", target)
    counted = Counted(batches, call.meter)
    try:
        with call.meter.stream():
            return engine.ingest(
                target, request, counted.stream(), author, acknowledge, call.cancellation
            )
    except Exception as error:
        raise (counted.error or error) from None


def replace_table(
    services: Services,
    call: Call,
    table: TableRef,
    request: IngestRequest,
    batches: Batches,
) -> Commit:
    """Ingests in place of what is there: of its rows, and of its columns where they differ.

    A table of the same columns stays the same table, with its history and its key.
    """
    try:
        there = permitted(services, call, table, Action.INSERT)
    except NotFound:
        return ingest(services, call, table, request, batches)
    if there.schema.equals(batches.schema):
        return ingest(services, call, table, request, batches)
    # Its mode stays what it is: sent again, it meets a table of these columns.
    made = replace(request, create_if_missing=True)

    def work(inside: Call) -> Commit:
        drop_table(services, inside, there.table)
        return ingest(services, inside, there.table, made, batches)

    return in_one_commit(services, call, table.catalog, "ingest (replace)", work)


_ACTIONS = {
    IngestMode.CREATE: (),
    IngestMode.APPEND: (Action.INSERT,),
    IngestMode.OVERWRITE: (Action.INSERT, Action.DELETE),
    IngestMode.UPSERT: (Action.INSERT, Action.UPDATE),
    IngestMode.MERGE: (Action.INSERT, Action.UPDATE),
}


def _ingest_target(
    services: Services, call: Call, table: TableRef, request: IngestRequest, schema: pa.Schema
) -> TableRef:
    """The table that is written to, after everything that may forbid it."""
    if request.mode is not IngestMode.CREATE:
        try:
            for action in _ACTIONS[request.mode]:
                allowed = permitted(services, call, table, action)
                _check_writable(services, call, allowed, action, schema)
            _check_known(services, call, permitted(services, call, table, Action.INSERT), schema)
            if Action.UPDATE in _ACTIONS[request.mode]:
                _check_replaced(services, call, allowed, request, schema)
            return allowed.table
        except NotFound as error:
            if error.code is not ErrorCode.TABLE_NOT_FOUND or not request.create_if_missing:
                raise
    namespace = NamespaceRef(table.catalog, table.namespace)
    may_in_namespace(services, call, namespace, Action.CREATE)
    require(engine_of(services, call, table.catalog), SupportsTables)
    spec_of(schema, request.key)
    return table


def _check_writable(
    services: Services, call: Call, allowed: Permitted, action: Action, schema: pa.Schema
) -> None:
    """Forbidden where columns of the stream, or some rows of the table, are not the principal's."""
    if allowed.row_filter is not None:
        raise Forbidden(
            f"You may {action.value} some rows of '{allowed.table}' only; ingest needs all of them."
        )
    check_columns(services, call, allowed, action, schema.names)


def _check_replaced(
    services: Services, call: Call, allowed: Permitted, request: IngestRequest, schema: pa.Schema
) -> None:
    """Forbidden where rows that are found by their key would change beyond what may be set."""
    every = allowed.version.schema.names
    is_upsert = request.mode is IngestMode.UPSERT
    if is_upsert and len(allowed.columns) < len(every):
        raise Forbidden(
            f"You may update some columns of '{allowed.table}' only, and an upsert replaces whole "
            "rows: use the mode 'merge', which sets the columns that are sent."
        )
    key = {name.lower() for name in request.key or allowed.version.spec.key}
    sets = [name for name in (every if is_upsert else schema.names) if name.lower() not in key]
    try:
        readable = permitted(services, call, allowed.table, Action.READ)
    except Forbidden:
        return
    check_in_sight(sets, readable)


def _check_known(services: Services, call: Call, allowed: Permitted, schema: pa.Schema) -> None:
    """Says of hidden columns what the engine says of missing ones. InvalidRequest; Forbidden."""
    if len(allowed.columns) == len(allowed.version.schema):
        return
    known = known_columns(services, call, allowed)
    for name in schema.names:
        if name.lower() not in {one.lower() for one in known}:
            raise InvalidRequest(
                f"The table has no column '{name}'.{did_you_mean(name, known)}",
                code=ErrorCode.SCHEMA_MISMATCH,
                details={"column": name},
            )
    check_left_out(services, call, allowed, schema.names)


def _after_limit(rows: int, request: ScanRequest) -> int:
    left = max(0, rows - request.offset)
    return left if request.limit is None else min(left, request.limit)


def refuse_unfiltered(text: str | None, all_rows: bool, verb: str) -> None:
    """InvalidRequest where every row would be meant, and nobody has said so."""
    if text is None and not all_rows:
        raise InvalidRequest(
            f"This would {verb} every row. Give a filter, which is 'where' over HTTP, or say "
            '"all": true if you mean it.'
        )
