"""Finding nulls where a schema allows none, at any depth.

DuckDB has NOT NULL for whole columns only; Arrow declares it for every nested field as well.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.arrow_layouts import map_entries
from flight_server.engines.lake.instance import literal
from flight_server.engines.lake.types import child_path, is_list_like

_ITEM = re.compile(r"\binner_(\d+)\b")


def has_required(field: pa.Field) -> bool:
    """Whether the field, or one nested in it, is declared not null."""
    return not field.nullable or any(has_required(child) for child in _children(field.type))


def first_null(array: pa.Array, field: pa.Field) -> str | None:
    """The path of the first field declared not null that is null in some row, or None.

    The array holds the field's values in the storage of `types`. What lies under a null parent
    does not count.
    """
    if not field.nullable and array.null_count:
        return str(field.name)
    return _nested_null(array, _plain(field.type), field.name)


def null_condition(field: pa.Field, sql: str) -> str | None:
    """The same question in SQL: whether a kept value has a null where there must be none.

    None where there may be nulls everywhere. What lies under a null parent is null as well, which
    must not count: a condition that is null does not hold.
    """
    inside = _inner_condition(_plain(field.type), sql)
    if field.nullable:
        return inside
    return f"{sql} IS NULL" if inside is None else f"({sql} IS NULL OR {inside})"


def _inner_condition(data_type: pa.DataType, sql: str) -> str | None:
    if kinds.is_struct(data_type):
        parts = [
            null_condition(child, f"struct_extract({sql}, {literal(child.name)})")
            for child in data_type
        ]
        found = " OR ".join(part for part in parts if part is not None)
        return f"({sql} IS NOT NULL AND ({found}))" if found else None
    if kinds.is_map(data_type):
        sides = (("map_keys", data_type.key_field), ("map_values", data_type.item_field))
        # The keys of a map cannot be null.
        parts = [
            _any_item(child.with_nullable(child.nullable or name == "map_keys"), f"{name}({sql})")
            for name, child in sides
        ]
        found = " OR ".join(part for part in parts if part is not None)
        return f"({found})" if found else None
    return _any_item(data_type.value_field, sql) if is_list_like(data_type) else None


def _any_item(field: pa.Field, sql: str) -> str | None:
    """Whether the condition holds of an item of the list."""
    # Lambdas within lambdas have names of their own.
    item = f"inner_{1 + max(map(int, _ITEM.findall(sql)), default=0)}"
    condition = null_condition(field, item)
    return None if condition is None else f"len(list_filter({sql}, lambda {item}: {condition})) > 0"


def _nested_null(array: pa.Array, data_type: pa.DataType, path: str) -> str | None:
    for index, child in enumerate(_children(data_type)):
        if not has_required(child):
            continue
        below = child_path(path, data_type, index)
        values, nulls_above = _child_values(array, index)
        if not child.nullable and values.null_count > nulls_above:
            return below
        if (found := _nested_null(values, _plain(child.type), below)) is not None:
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
    plain = _plain(data_type)
    if is_list_like(plain):
        return [plain.value_field]
    if kinds.is_map(plain):
        return [plain.key_field, plain.item_field]
    return list(plain) if kinds.is_struct(plain) else []


def _plain(data_type: pa.DataType) -> pa.DataType:
    """The type under encodings and extensions."""
    if isinstance(data_type, pa.BaseExtensionType):
        return _plain(data_type.storage_type)
    if kinds.is_dictionary(data_type) or kinds.is_run_end_encoded(data_type):
        return _plain(data_type.value_type)
    return data_type
