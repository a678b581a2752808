"""Rows of parameters as Arrow within the text of a ticket."""

from __future__ import annotations

import base64

import pyarrow as pa

from flight_server.errors import ErrorCode, LimitExceeded

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
