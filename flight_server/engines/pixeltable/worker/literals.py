"""Constants of a filter as values that a column of Pixeltable's can be compared with.

None wherever PostgreSQL might compare them otherwise than DuckDB.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import duckdb
from pixeltable import type_system as types

from flight_server.engines.pixeltable.worker import trees
from flight_server.engines.pixeltable.worker.trees import Constant

_WHOLE = frozenset({"INTEGER", "BIGINT"})
# Whole numbers up to this one, and quotients of them by such powers of ten, are the same however
# they are made into floating-point numbers.
_EXACT_MAX, _EXACT_POWER_MAX = 2**53, 22
# A whole number of 64 bits and one with so many decimals have a common type in DuckDB.
_DECIMALS_MAX = 18

_MOMENT = "TIMESTAMP WITH TIME ZONE"
# What DuckDB makes of a constant of these types beside a column of this one, and how that is read.
_CASTS: Mapping[type[types.ColumnType], tuple[frozenset[str], str, Callable[[str], Any]]] = {
    types.IntType: (frozenset({"VARCHAR"}), "BIGINT", int),
    types.FloatType: (frozenset({"VARCHAR"}), "DOUBLE", float),
    types.BoolType: (frozenset({"VARCHAR", "BOOLEAN"}), "BOOLEAN", lambda text: text == "true"),
    types.DateType: (frozenset({"VARCHAR", "DATE"}), "DATE", dt.date.fromisoformat),
    types.TimestampType: (
        frozenset({"VARCHAR", "DATE", "TIMESTAMP", _MOMENT}),
        _MOMENT,
        dt.datetime.fromisoformat,
    ),
    types.UUIDType: (frozenset({"VARCHAR", "UUID"}), "UUID", uuid.UUID),
}


def values_of(kind: types.ColumnType, constants: Sequence[Constant]) -> list[Any] | None:
    """The constants that stand together beside a column of this type."""
    if isinstance(kind, types.StringType):
        return _texts(constants)
    if isinstance(kind, types.IntType) and all(one.kind in _WHOLE for one in constants):
        return [one.value for one in constants]
    if isinstance(kind, types.BoolType) and all(isinstance(one.value, bool) for one in constants):
        return [one.value for one in constants]
    if isinstance(kind, types.FloatType) and not any(one.kind == "VARCHAR" for one in constants):
        return _finite([_floating(one) for one in constants])
    return _finite(_cast(kind, constants))


def bound_of(constant: Constant, rounded: Callable[[Any], int]) -> int | None:
    """A whole number in the place of one that need not be one, beside a column of whole ones."""
    value = constant.value
    if isinstance(value, float):
        # Beyond these DuckDB takes neighbours in the column for equal.
        return rounded(value) if abs(value) < _EXACT_MAX else None
    if isinstance(value, Decimal) and _decimals(value) <= _DECIMALS_MAX:
        return rounded(value)
    return None


def _texts(constants: Sequence[Constant]) -> list[Any] | None:
    texts = [one.value for one in constants]
    # PostgreSQL has no text with a NUL, and Pixeltable would make a blank of it.
    if all(one.kind == "VARCHAR" and "\0" not in str(one.value) for one in constants):
        return texts
    return None


def _floating(constant: Constant) -> float | None:
    value = constant.value
    if constant.kind == "DOUBLE":
        return float(value)
    if constant.kind in _WHOLE and abs(int(value)) <= _EXACT_MAX:
        return float(value)
    if isinstance(value, Decimal):
        whole, power = int(value.scaleb(_decimals(value))), _decimals(value)
        if abs(whole) <= _EXACT_MAX and power <= _EXACT_POWER_MAX:
            return float(whole / 10**power)
    return None


def _decimals(value: Decimal) -> int:
    return -int(value.as_tuple().exponent)


def _cast(kind: types.ColumnType, constants: Sequence[Constant]) -> list[Any] | None:
    accepted, name, read = _CASTS.get(type(kind), (frozenset[str](), "", str))
    kinds = {one.kind for one in constants}
    if len(kinds) != 1 or not kinds <= accepted:
        return None
    if not all(isinstance(one.value, str) for one in constants):
        return None
    try:
        return [read(text) for text in trees.cast(constants, name)]
    except (duckdb.Error, ValueError):
        # It is no such value, which DuckDB says again; or Python has none so far away.
        return None


def _finite(values: list[Any] | None) -> list[Any] | None:
    """Pixeltable writes infinity and what is no number in a way that no SQL reads."""
    if values is None or None in values:
        return None
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        return None
    return values
