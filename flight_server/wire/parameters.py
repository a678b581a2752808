"""Parameters as Arrow within text: rows of them in a ticket, one row in a request."""

from __future__ import annotations

import base64
import binascii

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded
from flight_server.wire.guard import arrow_message

# What a ticket may carry along; more is better sent as a table.
TICKET_BYTES_MAX = 16 * 2**20


def as_text(table: pa.Table) -> str:
    """The rows as text within a ticket. LimitExceeded (too_large)."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue()
    if data.size > TICKET_BYTES_MAX:
        raise LimitExceeded(
            f"The parameters have {data.size} bytes; {TICKET_BYTES_MAX} are allowed. "
            "Put them into a temporary table, and join it.",
            code=ErrorCode.TOO_LARGE,
        )
    return base64.b64encode(data).decode()


def from_text(text: str) -> pa.Table:
    """What `as_text` wrote."""
    return pa.ipc.open_stream(base64.b64decode(text)).read_all()


def from_ipc(text: str) -> dict[str, pa.Scalar]:
    """The parameters that a client sent as one row, by name. InvalidRequest (invalid_data)."""
    try:
        table = pa.ipc.open_stream(base64.b64decode(text, validate=True)).read_all()
        # A crafted batch can crash the process; see `incoming`.
        table.validate(full=True)
    except (binascii.Error, pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
        raise _refused(arrow_message(error)) from None
    if table.num_rows != 1:
        raise _refused(f"it has {table.num_rows} rows")
    if len(set(table.schema.names)) < len(table.schema):
        raise _refused("a name stands there twice")
    return {name: column[0] for name, column in zip(table.schema.names, table.columns, strict=True)}


def _refused(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"'parameters_ipc' holds no parameters: {why}. Send base64 of an Arrow IPC stream with one "
        "row, whose columns are called as the parameters; those without names are '1', '2', ….",
        code=ErrorCode.INVALID_DATA,
    )
