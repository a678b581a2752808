"""What the lake keeps each Arrow type as: the table in docs/types.md."""

from __future__ import annotations

import pyarrow as pa

from flight_server.engines.lake.types import storage_type
from flight_server.errors import InvalidRequest
from flight_server.testing.types import CASES, render_types


def types() -> str:
    """A line for each case that the conformance suite proves."""
    return render_types(CASES, kept_as)


def kept_as(field: pa.Field) -> tuple[str, str]:
    """What the lake stores the field as, and what to say about it."""
    try:
        storage = storage_type(field)
    except InvalidRequest as refusal:
        return "—", "refused: " + refusal.message.rpartition(": ")[2]
    return f"`{storage}`", _note(field.type)


def _note(kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "all null"
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return "from 1677-09-22 on"
    if pa.types.is_duration(kind):
        return f"counts of its unit, `{kind.unit}`"
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return "nanoseconds since midnight"
    if pa.types.is_timestamp(kind) and kind.tz not in (None, "UTC"):
        return "the moment; the zone is kept beside"
    return ""
