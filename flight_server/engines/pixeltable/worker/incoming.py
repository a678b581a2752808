"""Values on their way in: cast to the types that columns were declared with, then as they are kept.

What may be cast is what the lake casts. Nothing that is said of a value quotes it.
"""

from __future__ import annotations

import base64
import json
import uuid
from datetime import MAXYEAR, MINYEAR
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flight_server.engines.inbound import Inbound
from flight_server.engines.pixeltable.worker.columns import Column, Shape
from flight_server.engines.pixeltable.worker.declared import storage_of
from flight_server.engines.required_values import plain_type
from flight_server.engines.safe_casts import is_text
from flight_server.errors import ErrorCode, InvalidRequest


def is_cast(column: Column) -> bool:
    """Whether what comes in is cast to the type of the column's field."""
    match column.shape:
        case Shape.MEDIA:
            return False
        case Shape.JSON:
            return not isinstance(column.field.type, pa.JsonType)
        case Shape.ARRAY:
            kept = getattr(column.kept, "storage_type", column.kept)
            return bool(pa.types.is_fixed_size_list(kept))
    return True


def inbound_of(column: Column, kind: pa.DataType) -> Inbound:
    """How values of a type become the column's. InvalidRequest (schema_mismatch)."""
    return Inbound(pa.schema([(column.name, kind)]), pa.schema([column.field]), storage_of)


def assigned(column: Column, array: pa.Array) -> pa.Array:
    """What SQL has computed for a column, as its type where SQL has another that means the same."""
    if not is_cast(column):
        return array
    kind = plain_type(column.field.type)
    if pa.types.is_nested(kind):
        kind = storage_of(kind)
    try:
        return array.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # What is wrong with it, casts to the column's type say.
        return array


def plain_of(column: Column, array: pa.Array) -> pa.Array:
    """Values for a column that is cast and holds no arrays or JSON, in the type that is kept.

    InvalidRequest (schema_mismatch, invalid_data).
    """
    stored, kept = _stored(column, array), column.kept
    try:
        values = _uuids(stored) if isinstance(kept, pa.UuidType) else stored.cast(kept)
    except (pa.ArrowInvalid, ValueError) as error:
        raise _no_fit(column) from error
    if pa.types.is_string(kept) and pc.any(pc.match_substring(values, "\0")).as_py():
        raise nul(column)
    if pa.types.is_temporal(kept):
        _check_years(column, values)
    return values


def arrays_of(column: Column, array: pa.Array) -> list[np.ndarray[Any, Any] | None]:
    """Arrays of one shape. InvalidRequest (schema_mismatch, invalid_data)."""
    stored = _stored(column, array)
    flat = stored.flatten()
    if flat.null_count:
        raise invalid(f"A value of the column '{column.name}' holds nulls, and is to be an array.")
    values = flat.to_numpy(zero_copy_only=False).astype(column.type.dtype)
    present = iter(values.reshape(-1, *column.type.shape))
    return [next(present) if is_valid else None for is_valid in stored.is_valid().to_pylist()]


def nested_of(column: Column, array: pa.Array) -> list[Any]:
    """Nested values as JSON has them. InvalidRequest (schema_mismatch, invalid_data)."""
    try:
        values = _stored(column, array).to_pylist()
        # JSON has no number for those that are none, or have no end.
        text = json.dumps(values, default=_text, allow_nan=False)
    except (ValueError, OverflowError) as error:
        raise _no_fit(column) from error
    nested: list[Any] = json.loads(text)
    return nested


def nul(column: Column) -> InvalidRequest:
    """PostgreSQL has no text with a NUL, and Pixeltable would make a blank of it."""
    return invalid(
        f"A value of the column '{column.name}' holds a NUL, which Pixeltable cannot keep."
    )


def invalid(text: str) -> InvalidRequest:
    """The error of values that do not fit."""
    return InvalidRequest(text, code=ErrorCode.INVALID_DATA)


def _stored(column: Column, array: pa.Array) -> pa.Array:
    batch = pa.RecordBatch.from_arrays([array], [column.name])
    return inbound_of(column, array.type).convert(batch).column(0)


def _uuids(array: pa.Array) -> pa.Array:
    """UUIDs, which may have come as text. ValueError."""
    if not is_text(array.type):
        return array
    parsed = [None if text is None else uuid.UUID(text).bytes for text in array.to_pylist()]
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(parsed, pa.binary(16)))


def _check_years(column: Column, array: pa.Array) -> None:
    """Pixeltable reads dates as Python's, and no row with another one could be read again."""
    years = pc.min_max(pc.year(array)).as_py()
    if years["min"] is not None and not MINYEAR <= years["min"] <= years["max"] <= MAXYEAR:
        raise invalid(
            f"A value of the column '{column.name}' is of no year from {MINYEAR} to {MAXYEAR}."
        )


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value.isoformat())


def _no_fit(column: Column) -> InvalidRequest:
    # The cause's text quotes the value.
    return invalid(
        f"Column '{column.name}' cannot take these rows: Pixeltable keeps {column.field.type} as "
        f"{column.type}, and a value does not fit."
    )
