"""Rows of Arrow as the values that Pixeltable inserts, each checked to be of its column's type."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from flight_server.engines.pixeltable.worker import media
from flight_server.engines.pixeltable.worker.columns import Column, Shape
from flight_server.engines.pixeltable.worker.incoming import (
    arrays_of,
    assigned,
    inbound_of,
    invalid,
    is_cast,
    nested_of,
    nul,
    plain_of,
)
from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean


def matched(columns: Sequence[Column], schema: pa.Schema, is_whole: bool = True) -> list[Column]:
    """The columns that those of the schema are for, by name. InvalidRequest (schema_mismatch).

    `is_whole` says that rows are made of them, which need all that may not be null.
    """
    known = {column.name.lower(): column for column in columns}
    found: dict[str, Column] = {}
    for name in schema.names:
        column = known.get(name.lower())
        if column is None:
            raise _mismatch(f"The table has no column '{name}'.{did_you_mean(name, known)}")
        if column.is_computed:
            raise _mismatch(f"The column '{name}' is computed: leave it out.")
        if column.name in found:
            raise _mismatch(f"The column '{name}' stands twice in what was sent.")
        found[column.name] = column
    for column, kind in zip(found.values(), schema.types, strict=True) if is_whole else ():
        if is_cast(column):
            inbound_of(column, kind)
    missing = [
        column.name
        for column in columns
        if not (column.name in found or column.field.nullable or column.is_computed)
    ]
    if missing and is_whole:
        raise _mismatch(f"The column '{missing[0]}' allows no nulls, and was left out.")
    return list(found.values())


def rows_of(
    batch: pa.RecordBatch,
    columns: Sequence[Column],
    allowed: Sequence[str],
    is_assigned: bool = False,
) -> list[dict[str, Any]]:
    """The rows, ready to be inserted. `allowed` is where media may be read from.

    `is_assigned` says that SQL has computed them, which has types of its own.
    InvalidRequest (schema_mismatch, invalid_data).
    """
    names = [column.name for column in columns]
    values = [
        _values(column, assigned(column, array) if is_assigned else array, allowed)
        for column, array in zip(columns, batch.columns, strict=True)
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _values(column: Column, array: pa.Array, allowed: Sequence[str]) -> list[Any]:
    if column.shape in (Shape.PLAIN, Shape.BINARY):
        return list(plain_of(column, array).to_pylist())
    if is_cast(column):
        if column.shape is Shape.ARRAY:
            return arrays_of(column, array)
        return _without_nul(column, nested_of(column, array))
    if array.null_count and not column.field.nullable:
        raise invalid(f"Column '{column.name}' is declared not null and null values came in.")
    match column.shape:
        case Shape.JSON:
            return _without_nul(column, _json(column, array))
        case Shape.ARRAY:
            return _arrays(column, array)
        case _:
            return _media(column, array, allowed)


def _without_nul(column: Column, values: list[Any]) -> list[Any]:
    """PostgreSQL has no text with a NUL, and Pixeltable would make a blank of it."""
    if any(_has_nul(value) for value in values):
        raise nul(column)
    return values


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_has_nul(part) for part in value)


def _json(column: Column, array: pa.Array) -> list[Any]:
    """Texts are read; what is no text in Arrow is what it says."""
    storage = getattr(array, "storage", array)
    if not (pa.types.is_string(storage.type) or pa.types.is_large_string(storage.type)):
        return list(array.to_pylist())
    try:
        return [None if text is None else json.loads(text) for text in storage.to_pylist()]
    except ValueError as error:
        raise invalid(f"A value of the column '{column.name}' is no JSON: {error}.") from error


def _arrays(column: Column, array: pa.Array) -> list[Any]:
    arrow = column.kept
    whole = _cast(column, array, arrow)
    if pa.types.is_large_binary(arrow):
        return [None if file is None else _loaded(column, file) for file in whole.to_pylist()]
    kind: Mapping[str, Any] = {"dtype": column.type.dtype}
    shape = tuple(-1 if size is None else size for size in column.type.shape)
    return [
        None
        if value is None
        else np.array(value, **kind).reshape(shape)
        if shape.count(-1) < 2
        else np.array(value, **kind)
        for value in whole.to_pylist()
    ]


def _loaded(column: Column, file: bytes) -> np.ndarray[Any, Any]:
    try:
        loaded: np.ndarray[Any, Any] = np.load(io.BytesIO(file), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise invalid(
            f"A value of the column '{column.name}' is no array in NumPy's NPY format."
        ) from error
    return loaded


def _media(column: Column, array: pa.Array, allowed: Sequence[str]) -> list[Any]:
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        if not column.type.is_image_type():
            raise _mismatch(
                f"The column '{column.name}' takes URLs, and only images come as bytes."
            )
        return list(array.to_pylist())
    urls = _cast(column, array, pa.string()).to_pylist()
    return [None if url is None else media.checked(url, allowed) for url in urls]


def _cast(column: Column, array: pa.Array, arrow: pa.DataType) -> pa.Array:
    """The array in a type that loses nothing of it."""
    if array.type == arrow:
        return array
    plain = getattr(array, "storage", array)
    storage = getattr(arrow, "storage_type", arrow)
    try:
        cast = plain.cast(storage)
        return cast if storage is arrow else pa.ExtensionArray.from_storage(arrow, cast)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _mismatch(
            f"The column '{column.name}' is {arrow}, and {array.type} does not fit."
        ) from error


def _mismatch(text: str) -> InvalidRequest:
    return InvalidRequest(text, code=ErrorCode.SCHEMA_MISMATCH)
