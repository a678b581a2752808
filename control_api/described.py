"""What OpenAPI says of bodies that routes read by themselves, and of rows in their forms."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from control_api.media_types import Form
from flight_server.bodies.actions import CreateTable

_ROW = {"tail": "N14228", "seats": 149, "price": 51000000.5, "seen": "2026-01-31T12:00:00Z"}
_LINE = '{"tail":"N14228","seats":149}\n{"tail":"N24211","seats":149}\n'
_CSV = '"tail","seats"\n"N14228",149\n"N24211",149\n'
_ANY_ROW: dict[str, Any] = {"type": "object", "additionalProperties": True}
_ROWS: dict[str, Any] = {"type": "array", "items": _ANY_ROW}
_BYTES = {"type": "string", "format": "binary"}


_UPLOADED = {"schema": _BYTES, "example": "id,name\n1,fig\n"}
BINARY_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/octet-stream": _UPLOADED}}
}
_TABLE = {
    "table": "sales.orders",
    "columns": [
        {"name": "id", "type": "int64", "nullable": False},
        {"name": "price", "type": "decimal128(10, 2)", "constraints": {"minimum": 0}},
        {"name": "placed", "type": "timestamp[us, tz=UTC]", "default": "now()"},
        {"name": "state", "type": "string", "constraints": {"enum": ["open", "paid"]}},
    ],
    "key": ["id"],
    "checks": {"paid_has_price": "state <> 'paid' OR price IS NOT NULL"},
    "comment": "One row for each order.",
}


def json_body(model: type[BaseModel], example: Any, required: bool = True) -> dict[str, Any]:
    """The body of a route as a model has it, for `openapi_extra`."""
    schema = model.model_json_schema(by_alias=True)
    content = {"schema": _inlined(schema, schema.get("$defs", {})), "example": example}
    return {"requestBody": {"required": required, "content": {Form.JSON.value: content}}}


def new_table_body() -> dict[str, Any]:
    """A new table: what it is to be in JSON, or rows as a sample of it."""
    schema = CreateTable.model_json_schema(by_alias=True)
    told = _inlined(schema, schema.get("$defs", {}))
    rows: dict[str, Any] = rows_body()
    content = rows["requestBody"]["content"]
    content[Form.JSON.value] = {"schema": {"anyOf": [told, _ROWS]}, "example": _TABLE}
    return rows


def row_body(example: Any) -> dict[str, Any]:
    """An object of columns and values."""
    content = {"schema": _ANY_ROW, "example": example}
    return {"requestBody": {"required": True, "content": {Form.JSON.value: content}}}


def rows_body() -> dict[str, Any]:
    """Rows in any of their forms."""
    wrapped = {"type": "object", "properties": {"rows": _ROWS}}
    one = {"anyOf": [_ROWS, wrapped, _ANY_ROW]}
    content = {
        Form.JSON.value: {"schema": one, "example": [_ROW]},
        Form.LINES.value: {"schema": {"type": "string"}, "example": _LINE},
        Form.CSV.value: {"schema": {"type": "string"}, "example": _CSV},
        Form.ARROW.value: {"schema": _BYTES},
    }
    return {"requestBody": {"required": True, "content": content}}


def rows_answered(
    is_paged: bool = False, is_one: bool = False, is_list: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Rows in any of their forms, for `responses`."""
    members: dict[str, Any] = {"rows": _ROWS, "version": {"type": "integer"}}
    example: dict[str, Any] = {"rows": [_ROW], "version": 17}
    if is_paged:
        members["next_cursor"] = {"type": ["string", "null"]}
        example = {"rows": [_ROW], "next_cursor": None, "version": 17}
    schema = _ANY_ROW if is_one else {"type": "object", "properties": members}
    whole: dict[str, Any] = {"schema": schema, "example": _ROW if is_one else example}
    if is_list:
        whole = {"schema": _ROWS, "example": [_ROW]}
    content = {
        Form.JSON.value: whole,
        Form.LINES.value: {"schema": {"type": "string"}, "example": _LINE},
        Form.CSV.value: {"schema": {"type": "string"}, "example": _CSV},
        Form.ARROW.value: {"schema": _BYTES},
    }
    named = "the body" if is_list else "Accept"
    return {200: {"description": f"Rows, in the form that {named} names.", "content": content}}


def rows_of(description: str) -> dict[int | str, dict[str, Any]]:
    """Rows of other columns than a table's in any of their forms, for `responses`."""
    content: dict[str, dict[str, Any]] = {
        Form.JSON.value: {},
        Form.LINES.value: {"schema": {"type": "string"}},
        Form.CSV.value: {"schema": {"type": "string"}},
        Form.ARROW.value: {"schema": _BYTES},
    }
    return {200: {"description": description, "content": content}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema without references, which would point to what OpenAPI keeps elsewhere."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {
        name: _inlined(one, definitions)
        for name, one in schema.items()
        if name not in ("$defs", "discriminator")
    }
