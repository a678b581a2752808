"""Finding nulls where a schema allows none, at any depth.

Databases have NOT NULL for whole columns only; Arrow declares it for every nested field as well.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.arrow_layouts import is_list_like, map_entries


def has_required(field: pa.Field) -> bool:
    """Whether the field, or one nested in it, is declared not null."""
    return not field.nullable or any(has_required(child) for child in _children(field.type))


def first_null(array: pa.Array, field: pa.Field) -> str | None:
    """The path of the first field declared not null that is null in some row, or None.

    The array holds the field's values in the storage of an engine, without encodings and
    extensions. What lies under a null parent does not count.
    """
    if not field.nullable and array.null_count:
        return str(field.name)
    return _nested_null(array, plain_type(field.type), field.name)


def child_path(path: str, data_type: pa.DataType, index: int) -> str:
    """The path of a nested field, as messages name it: `a.b`, `a[]`, `a.key`, `a.value`."""
    if kinds.is_map(data_type):
        return f"{path}.{('key', 'value')[index]}"
    return f"{path}.{data_type.field(index).name}" if kinds.is_struct(data_type) else f"{path}[]"


def plain_type(data_type: pa.DataType) -> pa.DataType:
    """The type under encodings and extensions."""
    if isinstance(data_type, pa.BaseExtensionType):
        return plain_type(data_type.storage_type)
    if kinds.is_dictionary(data_type) or kinds.is_run_end_encoded(data_type):
        return plain_type(data_type.value_type)
    return data_type


def _nested_null(array: pa.Array, data_type: pa.DataType, path: str) -> str | None:
    for index, child in enumerate(_children(data_type)):
        if not has_required(child):
            continue
        below = child_path(path, data_type, index)
        values, nulls_above = _child_values(array, index)
        if not child.nullable and values.null_count > nulls_above:
            return below
        if (found := _nested_null(values, plain_type(child.type), below)) is not None:
            return found
    return None


def _child_values(array: pa.Array, index: int) -> tuple[pa.Array, int]:
    """A child's values, null where a parent is, and how many of them are null by their parent."""
    if kinds.is_struct(array.type):
        return array.flatten()[index], array.null_count
    if kinds.is_map(array.type):
        return map_entries(array).flatten().field(index), 0
    return array.flatten(), 0


def _children(data_type: pa.DataType) -> list[pa.Field]:
    plain = plain_type(data_type)
    if is_list_like(plain):
        return [plain.value_field]
    if kinds.is_map(plain):
        return [plain.key_field, plain.item_field]
    return list(plain) if kinds.is_struct(plain) else []
