"""Columns brought to the types that they are to have; where a value does not fit, all others do.

A column is cast as a whole. Only one that fails is halved, and its halves, until the values that
do not fit are alone: a few wrong ones among many cost little.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.formats.csv_lines import from_texts
from flight_server.formats.json_rows import decoded
from flight_server.formats.json_values import intervals_of
from flight_server.formats.text_values import MisfitError, shown

ANY_NUMBER = sys.maxsize
Wrong = dict[int, tuple[str | None, str]]
# A whole column cast to a type. MisfitError where a value does not fit.
Cast = Callable[[Any, pa.DataType], pa.Array]


class CrowdedError(Exception):
    """More rows are wrong than may be."""


def fitted(
    columns: Sequence[Any], schema: pa.Schema, cast: Cast, wrong_max: int = ANY_NUMBER
) -> tuple[pa.RecordBatch, Wrong]:
    """The columns in the types of the schema, and which rows do not fit: a column, and why.

    Where a row does not fit, its value is null. Of several reasons the first column's counts.
    CrowdedError where more rows are wrong than may be.
    """
    wrong: Wrong = {}
    arrays = []
    for column, field in zip(columns, schema, strict=True):
        parts: list[pa.Array] = []
        _halved(column, 0, field, cast, parts, wrong, wrong_max)
        arrays.append(parts[0] if len(parts) == 1 else pa.concat_arrays(parts))
    return pa.RecordBatch.from_arrays(arrays, schema=schema), wrong


def _halved(
    column: Any,
    first: int,
    field: pa.Field,
    cast: Cast,
    parts: list[pa.Array],
    wrong: Wrong,
    wrong_max: int,
) -> None:
    count = len(column)
    try:
        parts.append(cast(column, field.type))
    except MisfitError as error:
        if count == 1:
            parts.append(pa.nulls(1, field.type))
            wrong.setdefault(first, (field.name, str(error)))
            if len(wrong) > wrong_max:
                raise CrowdedError from None
            return
        half = count // 2
        _halved(column[:half], first, field, cast, parts, wrong, wrong_max)
        _halved(column[half:], first + half, field, cast, parts, wrong, wrong_max)


def without(batch: pa.RecordBatch, wrong: Collection[int]) -> pa.RecordBatch:
    """The batch without the rows at these places."""
    if not wrong:
        return batch
    return batch.filter(pa.array(kept_of(batch.num_rows, wrong)))


def kept_of(count: int, wrong: Collection[int]) -> Any:
    """Which of so many rows are not at these places, as a mask of numpy's."""
    kept = np.ones(count, bool)
    kept[list(wrong)] = False
    return kept


def from_values(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values that have a type already, in another one; nothing is lost. MisfitError.

    InvalidRequest (schema_mismatch) where no value of the one type is one of the other.
    """
    if values.type.equals(kind):
        return values
    plain = _plain(values)
    if kinds.is_null(plain.type):
        return pa.nulls(len(plain), kind)
    if kinds.is_string(plain.type) or kinds.is_large_string(plain.type):
        return from_texts(plain.cast(pa.string()), kind)
    if kinds.is_interval(kind) and kinds.is_struct(plain.type) and _is_interval(plain.type):
        return intervals_of(plain)
    try:
        return _into(plain, kind)
    except pa.ArrowInvalid as error:
        if len(plain) == 1:
            reason = str(error).splitlines()[0].removesuffix(".")[:200]
            raise MisfitError(f"{shown(plain[0].as_py())} is no {kind}: {reason}") from None
        raise MisfitError(f"a value is no {kind}") from None
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise InvalidRequest(
            f"Values of the type {values.type} cannot become {kind}.",
            code=ErrorCode.SCHEMA_MISMATCH,
        ) from None


def _is_interval(kind: pa.StructType) -> bool:
    """Whether it has what formats without intervals have in their place."""
    return {field.name for field in kind} == {"months", "days", "nanoseconds"}


def _plain(values: pa.Array) -> pa.Array:
    """The same values without encodings, and of extensions what they are stored in."""
    found = decoded(values)
    if kinds.is_dictionary(found.type):
        found = decoded(found.dictionary_decode())
    if kinds.is_run_end_encoded(found.type):
        found = found.cast(found.type.value_type)
    if kinds.is_string_view(found.type):
        found = found.cast(pa.string())
    return found


def _into(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, values.cast(kind.storage_type))
    return values.cast(kind)
