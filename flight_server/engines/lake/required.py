"""Whether values that are kept have nulls where a schema allows none, asked in SQL."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.arrow_layouts import is_list_like
from flight_server.engines.lake.instance import literal
from flight_server.engines.required_values import plain_type

_ITEM = re.compile(r"\binner_(\d+)\b")


def null_condition(field: pa.Field, sql: str) -> str | None:
    """What is true of a kept value that has a null where there must be none.

    None where there may be nulls everywhere. What lies under a null parent is null as well, which
    must not count: a condition that is null does not hold.
    """
    inside = _inner_condition(plain_type(field.type), sql)
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
