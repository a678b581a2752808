"""The Arrow types that columns were declared with, and what Pixeltable keeps their values as.

Pixeltable has fewer types than Arrow. What a client declared stands in the metadata that it keeps
for users, and the values are kept as what loses nothing of them: decimals as text, times of day,
durations and nanoseconds as counts, what is nested as JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.arrow_layouts import is_list_like
from flight_server.engines.pixeltable.media_fields import KIND, MEDIA
from flight_server.model import COMPUTED_WITH

# Of metadata of users', the part that is ours.
_NAME = "pixelflight.arrow"
# What is said of a column by whoever keeps it.
_NOT_DECLARED = (COMPUTED_WITH, MEDIA, KIND)


class Unkept(Exception):
    """Nothing of Pixeltable's keeps the values of a type."""


def metadata_of(schema: pa.Schema) -> dict[str, str]:
    """Metadata that keep fields, and what is said of them together."""
    return {_NAME: base64.b64encode(schema.serialize()).decode()}


def schema_in(metadata: Any) -> pa.Schema | None:
    """What metadata keep; None where they are nobody's or somebody else's."""
    text = metadata.get(_NAME) if isinstance(metadata, dict) else None
    return None if text is None else pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text)))


def declared_field(field: pa.Field) -> pa.Field:
    """The field as it is kept of a column that is not one of media."""
    said = {name: v for name, v in (field.metadata or {}).items() if name not in _NOT_DECLARED}
    return field.with_metadata(said or None)


def storage_of(kind: pa.DataType, path: str = "", top: bool = False) -> pa.DataType:
    """What lies between a type and the kept values: the same ones in plain layouts. Unkept."""
    if isinstance(kind, pa.UuidType) and top:
        return kind
    if isinstance(kind, pa.BaseExtensionType):
        return storage_of(kind.storage_type)
    if kinds.is_dictionary(kind):
        return storage_of(kind.value_type)
    if kinds.is_struct(kind):
        names = [field.name for field in kind]
        if not names or len({name.lower() for name in names}) < len(names):
            raise Unkept
        return pa.struct([field.with_type(storage_of(field.type)) for field in kind])
    if kinds.is_map(kind):
        return pa.map_(storage_of(kind.key_type), storage_of(kind.item_type))
    if is_list_like(kind) and not (kinds.is_list_view(kind) or kinds.is_large_list_view(kind)):
        return pa.list_(kind.value_field.with_type(storage_of(kind.value_type)))
    if kinds.is_decimal(kind) and not kinds.is_decimal256(kind) and kind.scale >= 0:
        return pa.string()
    for are, stored in _STORED:
        if are(kind):
            return kind if stored is None else stored
    raise Unkept


_STORED: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType | None], ...] = (
    (kinds.is_string_view, pa.large_string()),
    (kinds.is_binary_view, pa.large_binary()),
    (kinds.is_float16, pa.float32()),
    (kinds.is_time32, pa.int32()),
    (kinds.is_time64, pa.int64()),
    (kinds.is_duration, pa.int64()),
    (lambda kind: kinds.is_timestamp(kind) and kind.unit == "ns", pa.int64()),
    (kinds.is_fixed_size_binary, pa.binary()),
    (kinds.is_boolean, None),
    (kinds.is_integer, None),
    (kinds.is_floating, None),
    (kinds.is_string, None),
    (kinds.is_large_string, None),
    (kinds.is_binary, None),
    (kinds.is_large_binary, None),
    (kinds.is_date, None),
    (kinds.is_timestamp, None),
)
