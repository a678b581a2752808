"""Rows of parameters: bound to a statement as Arrow, row by row, by value."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded

# What a ticket may carry along; more is better sent as a table.
TICKET_BYTES_MAX = 16 * 2**20


def rows_of(table: pa.Table, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Each row as Arrow scalars by the statement's names of its parameters.

    Columns are matched by name where the statement names its parameters, and by position
    otherwise. InvalidRequest where their number differs.
    """
    columns = matched(table.schema, names)
    for batch in table.to_batches():
        for row in range(batch.num_rows):
            yield {name: batch.column(place)[row] for name, place in columns.items()}


def matched(schema: pa.Schema, names: Sequence[str]) -> dict[str, int]:
    """For each parameter, the place of its column. InvalidRequest."""
    given = {name.lstrip("$:@").lower(): place for place, name in enumerate(schema.names)}
    if names and not names[0].isdigit() and all(name.lower() in given for name in names):
        return {name: given[name.lower()] for name in names}
    if len(schema) != len(names):
        raise InvalidRequest(
            f"The statement has {len(names)} parameters, and {len(schema)} columns were bound "
            f"to them ({', '.join(schema.names)[:200]})."
        )
    return {name: place for place, name in enumerate(names)}


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
