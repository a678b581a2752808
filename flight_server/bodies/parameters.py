"""Parameters as one row of Arrow within a JSON body: so they keep their types."""

from __future__ import annotations

import base64
import binascii

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest


def arrow_message(error: Exception) -> str:
    """What Arrow says is wrong with data, in one line and without where in Arrow it was found."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].removesuffix(".")[:200]


def from_ipc(text: str) -> dict[str, pa.Scalar]:
    """The parameters that a client sent as one row, by name. InvalidRequest (invalid_data)."""
    try:
        table = pa.ipc.open_stream(base64.b64decode(text, validate=True)).read_all()
        # A crafted batch can crash the process; validate before use.
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
