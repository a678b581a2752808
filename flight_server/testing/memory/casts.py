"""Which values may enter a column of another type, and how.

A cast is safe when both types are of one family and every value fits. Floats are never narrowed
nor made integers; text is never parsed. Knows Arrow only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flight_server.errors import ErrorCode, InvalidRequest

FAMILIES = {
    "integer": (pa.types.is_integer,),
    "float": (pa.types.is_floating,),
    "decimal": (pa.types.is_decimal,),
    "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    "bytes": (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    ),
    "date": (pa.types.is_date,),
    "time": (pa.types.is_time,),
    "timestamp": (pa.types.is_timestamp,),
    "duration": (pa.types.is_duration,),
    "boolean": (pa.types.is_boolean,),
    "list": (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    ),
    "map": (pa.types.is_map,),
    "struct": (pa.types.is_struct,),
}


def cast_column(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """The values as the field's type. SCHEMA_MISMATCH, INVALID_DATA naming column and types."""
    if column.type == field.type:
        return column
    if column.type == pa.null():
        return nulls(field.type, len(column))
    source = plain(column)
    if not related(source.type, field.type):
        raise InvalidRequest(
            f"The column '{field.name}' is {field.type}; {column.type} cannot be put into it.",
            code=ErrorCode.SCHEMA_MISMATCH,
        )
    try:
        return _cast(source, field.type)
    except pa.ArrowNotImplementedError as error:
        code, why = ErrorCode.SCHEMA_MISMATCH, error
    except pa.ArrowInvalid as error:
        code, why = ErrorCode.INVALID_DATA, error
    raise InvalidRequest(
        f"A value of the column '{field.name}' does not fit from {column.type} "
        f"into {field.type}: {why}",
        code=code,
    )


def nulls(kind: pa.DataType, count: int) -> pa.ChunkedArray:
    """So many nulls of a type."""
    return pa.chunked_array([pa.nulls(count, kind)], kind)


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without dictionary, run ends or extension: the values themselves."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        return plain(pa.chunked_array(chunks, kind.storage_type))
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if pa.types.is_run_end_encoded(kind):
        chunks = [pc.run_end_decode(chunk) for chunk in column.chunks]
        return plain(pa.chunked_array(chunks, kind.value_type))
    return column


def related(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether values of one type mean the same in the other."""
    source, target = _values_of(source), _values_of(target)
    if source == target or source == pa.null():
        return True
    kinds = _family(source), _family(target)
    if kinds == ("date", "timestamp"):
        return bool(target.tz is None)
    if kinds == ("integer", "float"):
        # Of the integers only the shortest all fit the shortest floats; the others are checked.
        return bool(target.bit_width > 16 or source.bit_width == 8)
    if kinds == ("float", "float"):
        return bool(target.bit_width > source.bit_width)
    if kinds == ("integer", "decimal"):
        return True
    if kinds[0] != kinds[1] or kinds[0] is None:
        return False
    if kinds[0] == "timestamp":
        return (source.tz is None) == (target.tz is None)
    return _children_related(source, target)


def _cast(source: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if not pa.types.is_decimal(target):
        return source.cast(target)
    # By way of Python's numbers: exact, and judged by value.
    values = [None if value is None else Decimal(value) for value in source.to_pylist()]
    return pa.chunked_array([pa.array(values, target)])


def _children_related(source: Any, target: Any) -> bool:
    if pa.types.is_struct(source):
        names = [field.name for field in source]
        return names == [field.name for field in target] and all(
            related(mine.type, theirs.type) for mine, theirs in zip(source, target, strict=True)
        )
    if pa.types.is_map(source):
        return related(source.key_type, target.key_type) and related(
            source.item_type, target.item_type
        )
    return not hasattr(source, "value_field") or related(source.value_type, target.value_type)


def _values_of(kind: Any) -> Any:
    if isinstance(kind, pa.BaseExtensionType):
        return _values_of(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _values_of(kind.value_type)
    return kind


def _family(kind: Any) -> str | None:
    for name, tests in FAMILIES.items():
        if any(test(kind) for test in tests):
            return name
    return None
