"""Rows read for whoever shows them: with the snapshot they are of, page by page, one by one."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from flight_server.auth import Action, sign, verify
from flight_server.auth.signing import derived
from flight_server.engines.sql import SupportsSql
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import Conflict, ErrorCode, InvalidRequest, NotFound, Unauthenticated
from flight_server.model import ROW_ID, ScanRequest, SqlRequest, TableRef
from flight_server.operations.authorise import known_columns, permitted, refuse_views
from flight_server.operations.cached_queries import pinned_query
from flight_server.operations.foreign import is_foreign
from flight_server.operations.maintenance import hold
from flight_server.operations.seen_scans import checked_scan, without_metadata
from flight_server.operations.services import Call, Services
from flight_server.query import aggregate_sql, behind, total_order

# Says at the beginning of a request that pages are wanted: the cursor of the first page.
FIRST_PAGE = ""


@dataclass(frozen=True)
class Found:
    """Rows and the snapshot that they are of; `cursor` is where they go on, None at their end."""

    rows: Batches
    snapshot: int
    cursor: str | None = None


def readable_schema(
    services: Services, call: Call, table: TableRef, version: int | None = None
) -> pa.Schema:
    """The columns that the principal may read. NotFound; Forbidden."""
    return permitted(services, call, table, Action.READ, version).schema


def writable_schema(
    services: Services, call: Call, table: TableRef, action: Action = Action.INSERT
) -> pa.Schema:
    """The columns that the principal may know of, of a table that may be written to.

    Which of them may be written is said by whoever writes. NotFound; Forbidden.
    """
    allowed = permitted(services, call, table, action)
    known = known_columns(services, call, allowed)
    return pa.schema([allowed.version.schema.field(name) for name in known])


def readable_key(
    services: Services, call: Call, table: TableRef, version: int | None = None
) -> tuple[pa.Field, ...]:
    """The columns that tell the table's rows apart; none where the principal may not read them."""
    allowed = permitted(services, call, table, Action.READ, version)
    key, schema = allowed.version.spec.key, allowed.version.schema
    if not set(key) <= set(allowed.columns):
        return ()
    return tuple(schema.field(name) for name in key)


def column_defaults(services: Services, call: Call, table: TableRef) -> Mapping[str, str]:
    """The defaults of the table's columns, as SQL. NotFound; Forbidden."""
    return permitted(services, call, table, Action.UPDATE).version.spec.defaults


def open_scan(services: Services, call: Call, table: TableRef, request: ScanRequest) -> Found:
    """The rows of a scan, pinned to the snapshot that is told. Errors as `scan`."""
    allowed = permitted(services, call, table, Action.READ, request.version)
    checked = checked_scan(allowed, request)
    if call.transaction is None:
        checked = replace(checked, version=allowed.version.snapshot)
    rows = allowed.engine.scan(allowed.table, checked, call.cancellation)
    if len(allowed.columns) < len(allowed.version.schema):
        rows = without_metadata(rows)
    return Found(rows, allowed.version.snapshot)


def aggregate(
    services: Services,
    call: Call,
    table: TableRef,
    request: ScanRequest,
    aggregates: str,
    group_by: str | None = None,
) -> Found:
    """What the rows of a scan come to. InvalidRequest besides the errors of `query`."""
    if request.columns is not None or request.with_row_id or request.media is not None:
        raise InvalidRequest("With 'aggregate' goes no 'select', 'with_row_id' or 'media'.")
    found = permitted(services, call, table, Action.READ, request.version).version
    # A statement's version is the lake's: of another engine's table each reference names its own.
    own = found.snapshot if is_foreign(found.table) else None
    sql = aggregate_sql(
        found.table,
        aggregates,
        group_by,
        request.filter,
        request.order_by,
        request.limit,
        request.offset,
        own,
    )
    version = request.version if own is None else None
    rows, snapshot = pinned_query(services, call, SqlRequest(sql, version=version))
    return Found(rows, snapshot if own is None else own)


def page(
    services: Services, call: Call, table: TableRef, request: ScanRequest, cursor: str
) -> Found:
    """One page of a scan: `request.limit` rows, and the cursor of the next page.

    All pages are of the snapshot of the first. The page is held in memory.
    """
    size = request.limit or 1
    after: int | None = None
    digest = _digest(table, request)
    if cursor != FIRST_PAGE:
        snapshot, after = _opened(services, call, cursor, digest)
        request = replace(request, version=snapshot, offset=0)
    allowed = permitted(services, call, table, Action.READ, request.version)
    refuse_views(allowed, "its rows have no ids to page by ('limit' and 'offset' do)")
    checked = checked_scan(allowed, request)
    snapshot = allowed.version.snapshot
    where, is_sql = checked.filter, isinstance(allowed.engine, SupportsSql)
    if after is not None and is_sql:
        source = f"{allowed.table.sql} AT (VERSION => {snapshot})"
        going_on = behind(checked.order_by, source, after)
        where = f"({going_on}) AND ({where})" if where else going_on
    wanted = replace(
        checked,
        filter=where,
        order_by=total_order(checked.order_by),
        limit=size + 1,
        # What runs no SQL does not look up where a row stands: so many rows are behind us.
        offset=checked.offset if is_sql or after is None else after,
        version=snapshot,
        with_row_id=True,
    )
    rows = allowed.engine.scan(allowed.table, wanted, call.cancellation).read_all()
    going_on_by = None
    if rows.num_rows > size:
        rows = rows.slice(0, size)
        last = rows.column(ROW_ID)[-1].as_py() if is_sql else wanted.offset + size
        going_on_by = _sealed(services, call, snapshot, last, digest)
        hold(services, table.catalog, snapshot)
    if not request.with_row_id:
        rows = rows.drop_columns([ROW_ID])
    if len(allowed.columns) < len(allowed.version.schema):
        rows = rows.replace_schema_metadata(None)
    return Found(BatchStream(rows.schema, iter(rows.to_batches())), snapshot, going_on_by)


def one_row(services: Services, call: Call, table: TableRef, request: ScanRequest) -> Found:
    """The one row that the filter names, held in memory.

    NotFound (row_not_found) and Conflict, where several have the key, besides the errors of
    `scan`.
    """
    found = open_scan(services, call, table, replace(request, limit=2, offset=0))
    rows = found.rows.read_all()
    if not rows.num_rows:
        raise row_not_found(table)
    if rows.num_rows > 1:
        raise Conflict(f"Several rows of '{table}' have this key. Name one by its _row_id.")
    return replace(found, rows=BatchStream(rows.schema, iter(rows.to_batches())))


def row_not_found(table: TableRef) -> NotFound:
    """The one error for a row that is missing and for one that is hidden."""
    return NotFound(f"There is no such row in '{table}'.", code=ErrorCode.ROW_NOT_FOUND)


def _digest(table: TableRef, request: ScanRequest) -> str:
    """What must stay the same from page to page."""
    parts = [str(table), request.columns, request.filter, request.order_by, request.with_row_id]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _sealed(services: Services, call: Call, snapshot: int, after: int, digest: str) -> str:
    """A cursor: `after` is the last row's id, or how many rows there were so far.

    It tells nothing that its holder does not know, and nobody can make another.
    """
    payload = json.dumps([snapshot, after, digest, call.principal.id]).encode()
    signed = sign(derived(services.signing_secret, "cursor"), payload)
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def _opened(services: Services, call: Call, cursor: str, digest: str) -> tuple[int, int]:
    """The snapshot and the place of a cursor. InvalidRequest (invalid_ticket)."""
    try:
        signed = base64.urlsafe_b64decode(cursor.encode() + b"==")
        payload = verify(derived(services.signing_secret, "cursor"), signed)
    except (Unauthenticated, ValueError):
        raise _invalid("it is damaged, or another server's") from None
    snapshot, after, was, principal = json.loads(payload)
    if principal != call.principal.id:
        raise _invalid("it was made for somebody else")
    if was != digest:
        raise _invalid("it belongs to a request with another table, select, where or order_by")
    return snapshot, after


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"The cursor is not valid: {reason}. Begin again with an empty one.",
        code=ErrorCode.INVALID_TICKET,
    )
