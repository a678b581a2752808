"""Changes of rows as JSON: values and expressions to set, and which rows are meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds
from pydantic import Field

from flight_server import operations
from flight_server.auth import Action
from flight_server.bodies.filters import Where, filter_sql
from flight_server.bodies.requests import Body
from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean
from flight_server.formats.csv_lines import from_texts
from flight_server.formats.json_values import array_of, taken
from flight_server.formats.text_values import MisfitError, shown
from flight_server.model import ROW_ID, Commit, TableRef
from flight_server.operations import Call, Services

EXPRESSION = "expr"


class UpdateRows(Body):
    """`{"where": …, "set": {…}}`; `all` has to be said where there is no `where`."""

    where: dict[str, Any] | str | None = None
    values: dict[str, Any] = Field(alias="set")
    all: bool = False


class DeleteRows(Body):
    """`{"where": …}`, or `{"all": true}`; `soft` lets the rows be brought back."""

    where: dict[str, Any] | str | None = None
    all: bool = False
    soft: bool = False


def where_sql(services: Services, call: Call, table: TableRef, where: Where) -> str | None:
    """The filter as SQL, for the columns that the principal may read."""
    if where is None or isinstance(where, str):
        return where
    return filter_sql(where, operations.readable_schema(services, call, table))


def set_columns(
    services: Services,
    call: Call,
    table: TableRef,
    given: Mapping[str, Any],
    where: str | None,
    all_rows: bool = False,
) -> Commit:
    """Sets columns to values of JSON, or to `{"expr": "…"}`. Errors as `update`."""
    known = operations.writable_schema(services, call, table, Action.UPDATE)
    values, expressions = _split(given, known, table)
    return operations.set_values(services, call, table, values, expressions, where, all_rows)


def _split(
    given: Mapping[str, Any], known: pa.Schema, table: TableRef
) -> tuple[pa.RecordBatch, dict[str, str]]:
    """The values as one row, and the expressions."""
    fields = {field.name.lower(): field for field in known}
    names, arrays, expressions = [], [], {}
    for name, value in given.items():
        field = fields.get(name.lower())
        if field is None:
            raise InvalidRequest(
                f"The table '{table}' has no column '{name[:200]}'."
                f"{did_you_mean(name, known.names)}",
                code=ErrorCode.COLUMN_NOT_FOUND,
                details={"column": name[:200]},
            )
        if _is_expression(value, field.type):
            expressions[name] = value[EXPRESSION]
            continue
        names.append(name)
        try:
            arrays.append(array_of([value], taken(field.type)))
        except MisfitError as error:
            raise InvalidRequest(
                f"The column '{field.name}' cannot be set so: {error}.",
                code=ErrorCode.INVALID_DATA,
                details={"column": field.name},
            ) from None
    return pa.RecordBatch.from_arrays(arrays, names), expressions


def _is_expression(value: Any, kind: pa.DataType) -> bool:
    """Columns that hold objects take one as a value, whatever its members are called."""
    if kinds.is_struct(kind) or kinds.is_map(kind) or isinstance(kind, pa.JsonType):
        return False
    return (
        isinstance(value, dict)
        and list(value) == [EXPRESSION]
        and isinstance(value[EXPRESSION], str)
    )


def row_of_id(text: str) -> str:
    """The filter that a row id in a URL means. InvalidRequest."""
    if not text.isdecimal() or len(text) > 18:
        raise InvalidRequest(
            f"'{text[:80]}' is no row id. A row is named by its _row_id, or by its key as in "
            "…/rows/key/VALUE."
        )
    return f"{ROW_ID} = {int(text)}"


def row_of_key(key: Sequence[pa.Field], table: TableRef, values: Sequence[str]) -> str:
    """The filter that the values of a key in a URL mean, in the order of the key's columns."""
    names = ", ".join(field.name for field in key)
    if not key:
        raise InvalidRequest(
            f"The table '{table}' has no key: name the row by its _row_id, as in …/rows/0."
        )
    if len(key) != len(values):
        raise InvalidRequest(
            f"The key of '{table}' is ({names}), and {len(values)} values are given. Write one "
            "for each, with slashes between them."
        )
    schema = pa.schema(key)
    parts = [
        filter_sql({field.name: _value(text, field)}, schema)
        for field, text in zip(key, values, strict=True)
    ]
    return " AND ".join(f"({part})" for part in parts)


def _value(text: str, field: pa.Field) -> Any:
    if not kinds.is_boolean(taken(field.type)):
        return text
    try:
        return from_texts(pa.array([text]), pa.bool_())[0].as_py()
    except MisfitError:
        raise InvalidRequest(f"{shown(text)} is not a {field.type}.") from None
