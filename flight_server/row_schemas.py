"""A table as a JSON Schema: what one of its rows is in JSON, with all that its columns must meet.

What stands here fits what `formats` writes, so every row that a table answers with is valid by its
schema. Rows that are sent may say less: what has a default, or may be null, can be left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.constraints import KEYWORDS, Kind, format_of, kind_of, plain_type
from flight_server.model import COLUMN_COMMENT, TableSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Numbers that JSON has no number for, and the keywords that none of them can meet.
_UNBOUNDED = {
    "NaN": {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"},
    "Infinity": {"maximum", "exclusiveMaximum"},
    "-Infinity": {"minimum", "exclusiveMinimum"},
}
_NEVER = {"enum", "const", "multipleOf"}


def row_schema(title: str, spec: TableSpec) -> dict[str, Any]:
    """The schema of one row. What only SQL can say of it, checks and the key, is told beside it."""
    found: dict[str, Any] = {
        "$schema": DIALECT,
        "title": title,
        "type": "object",
        "properties": {field.name: _column(field, spec) for field in spec.schema},
        "required": [
            field.name
            for field in spec.schema
            if not field.nullable and field.name not in spec.defaults
        ],
        "additionalProperties": False,
    }
    if spec.comment:
        found["description"] = spec.comment
    if spec.key:
        found["x-key"] = list(spec.key)
    if spec.checks:
        found["x-checks"] = dict(spec.checks)
    return found


def _column(field: pa.Field, spec: TableSpec) -> dict[str, Any]:
    found = _value(field, spec.constraints.get(field.name, {}))
    comment = (field.metadata or {}).get(COLUMN_COMMENT, b"").decode(errors="replace")
    return {"description": comment, **found} if comment else found


def _value(field: pa.Field, constraint: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a field's values, null among them where it may be."""
    found = _of_type(field.type, constraint)
    if "const" in found and field.nullable:
        found["enum"] = [found.pop("const")]
    told = {name: found.pop(name) for name in list(found) if name in _TOLD}
    if field.nullable and found:
        found = _or_null(found)
    return {**told, **found}


def _or_null(found: dict[str, Any]) -> dict[str, Any]:
    if "type" not in found:
        return {"anyOf": [*found["anyOf"], {"type": "null"}]}
    if found["type"] == "null":
        return found
    enum = {"enum": [*found["enum"], None]} if None not in found.get("enum", [None]) else {}
    return {**found, **enum, "type": [found["type"], "null"]}


def _of_type(data_type: pa.DataType, constraint: Mapping[str, Any]) -> dict[str, Any]:
    plain, kind = plain_type(data_type), kind_of(data_type)
    said = {name: value for name, value in constraint.items() if name not in ("type", "items")}
    if kind is Kind.INTEGER:
        return {"type": "integer", **_range(plain), **said}
    if kind is Kind.NUMBER:
        return _number(plain, said)
    if kind is Kind.LIST:
        return _list(plain, constraint.get("items", {}), said)
    if kind in _NAMES:
        own = format_of(plain)
        return {"type": _NAMES[kind], **({"format": own} if own else {}), **said}
    return {**_other(plain), **said}


def _list(plain: pa.DataType, items: Mapping[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    found = {"type": "array", "items": _value(plain.value_field, items)}
    if kinds.is_fixed_size_list(plain):
        found |= {"minItems": plain.list_size, "maxItems": plain.list_size}
    return found | said


def _range(plain: pa.DataType) -> dict[str, int]:
    width = plain.bit_width
    if kinds.is_signed_integer(plain):
        return {"minimum": -(2 ** (width - 1)), "maximum": 2 ** (width - 1) - 1}
    return {"minimum": 0, "maximum": 2**width - 1}


def _number(plain: pa.DataType, said: dict[str, Any]) -> dict[str, Any]:
    """A number, or the text that stands for one that JSON does not have."""
    found = {"type": "number", **said}
    texts = [text for text, unmet in _UNBOUNDED.items() if not (unmet | _NEVER).intersection(said)]
    if kinds.is_decimal(plain) or not texts:
        return found
    told = {name: found.pop(name) for name in list(found) if name in _TOLD}
    return {**told, "anyOf": [found, {"enum": texts}]}


def _other(plain: pa.DataType) -> dict[str, Any]:
    """What is neither a number, a text nor a list."""
    if isinstance(plain, pa.JsonType) or kinds.is_union(plain):
        return {}
    if isinstance(plain, pa.Bool8Type):
        return {"type": "boolean"}
    if isinstance(plain, pa.BaseExtensionType):
        return _of_type(plain.storage_type, {})
    if kinds.is_map(plain):
        entry = {"key": plain.key_field, "value": plain.item_field}
        return {"type": "array", "items": _object(entry)}
    if kinds.is_struct(plain):
        return _object({field.name: field for field in plain})
    if kinds.is_null(plain):
        return {"type": "null"}
    if kinds.is_duration(plain):
        return {"type": "integer"}
    if kinds.is_interval(plain):
        parts = {name: {"type": "integer"} for name in ("months", "days", "nanoseconds")}
        return {"type": "object", "properties": parts, "required": list(parts)}
    return {"type": "string", "contentEncoding": "base64"}


def _object(fields: Mapping[str, pa.Field]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _value(field, {}) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if not field.nullable],
        "additionalProperties": False,
    }


_NAMES = {Kind.TEXT: "string", Kind.BOOLEAN: "boolean", Kind.MOMENT: "string"}
# What is said to readers stays outside of what is said of the values.
_TOLD = frozenset(name for name, one in KEYWORDS.items() if not one.is_enforced)
