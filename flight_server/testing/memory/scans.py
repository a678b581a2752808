"""Reading a table: which rows, in which order, which columns; and cutting a scan into ranges."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.errors import InvalidRequest
from flight_server.model import CHANGE_COLUMNS, ScanRequest, Slice
from flight_server.testing.memory.columns import taken
from flight_server.testing.memory.expressions import matching, ordered
from flight_server.testing.memory.rows import select_rows
from flight_server.testing.memory.state import TableState

ROW_ID_FIELD = CHANGE_COLUMNS[1]


def scanned(
    table: TableState, request: ScanRequest, cancellation: Cancellation
) -> pa.RecordBatchReader:
    """The rows that the request asks for, in the table's schema narrowed to its columns."""
    cancellation.check()
    positions = _positions(table, request)
    schema = table.spec.schema
    chosen = (
        list(range(len(schema)))
        if request.columns is None
        else [table.position(name) for name in request.columns]
    )
    fields = [schema.field(at) for at in chosen]
    columns = [taken(table.rows.column(at), positions) for at in chosen]
    if request.with_row_id:
        fields.append(ROW_ID_FIELD)
        columns.append(taken(table.row_ids, positions))
    narrowed = pa.schema(fields, metadata=schema.metadata)
    return pa.Table.from_arrays(columns, schema=narrowed).to_reader()


def sliced(table: TableState, request: ScanRequest, bytes_each: int) -> list[Slice]:
    """Ranges of rows of about so many bytes; one where order or limit need the whole."""
    rows, size = table.rows.num_rows, table.rows.nbytes
    count = min(rows, -(-size // bytes_each))
    if count < 2 or request.order_by or request.limit is not None or request.offset:
        return [Slice(None, rows, size)]
    bounds = [rows * at // count for at in range(count + 1)]
    return [
        Slice(f"{start}-{end}", end - start, size * (end - start) // rows)
        for start, end in itertools.pairwise(bounds)
    ]


def _positions(table: TableState, request: ScanRequest) -> list[int]:
    if request.slice is not None:
        return _positions_of_slice(table, request)
    positions = matching(table.rows, request.filter)
    if request.order_by:
        chosen = set(positions)
        positions = [at for at in ordered(table.rows, request.order_by) if at in chosen]
    end = None if request.limit is None else request.offset + request.limit
    return positions[request.offset : end]


def _positions_of_slice(table: TableState, request: ScanRequest) -> list[int]:
    start, dash, end = str(request.slice).partition("-")
    if not (dash and start.isdigit() and end.isdigit()):
        raise InvalidRequest(f"There is no slice '{request.slice}' of the table '{table.ref}'.")
    within = range(int(start), min(int(end), table.rows.num_rows))
    inside = select_rows(table, within)
    found = _positions(inside, replace(request, slice=None))
    return [within[at] for at in found]
