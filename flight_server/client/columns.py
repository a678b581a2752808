"""Tables from rows and columns of Python, polars and pandas: all that was given, or a refusal.

Errors name the column and the types in it: Arrow's own do not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest

# What pyarrow raises where values do not make a column.
_UNFIT = (pa.ArrowException, OverflowError, TypeError, ValueError)
# Types of polars that Arrow has none for.
_OF_POLARS_ALONE = ("Object", "Int128", "UInt128", "Unknown")


def from_rows(rows: Sequence[Any]) -> pa.Table:
    """The rows as a table of all the columns that any of them has. InvalidRequest."""
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise InvalidRequest(f"Row {number} is a '{_kind(row)}', where a dict is needed.")
    names = dict.fromkeys(chain.from_iterable(rows))
    return from_columns({name: [row.get(name) for row in rows] for name in names})


def from_columns(columns: Mapping[Any, Any]) -> pa.Table:
    """The columns as a table. InvalidRequest where they are none, or differ in length."""
    arrays = {name: _column(name, values) for name, values in columns.items()}
    lengths = {len(array): name for name, array in arrays.items()}
    if len(lengths) > 1:
        (first, one), (second, other) = list(lengths.items())[:2]
        raise InvalidRequest(
            f"The lengths of the columns differ: {first} ('{one}') and {second} ('{other}'). "
            "Give a value for each row, None where there is none."
        )
    return pa.table(arrays)


def from_pandas(frame: Any) -> pa.Table:
    """A pandas frame with its named index as columns. InvalidRequest where data would be lost."""
    unnamed = any(name is None for name in frame.index.names)
    is_counted = unnamed and type(frame.index).__name__ == "RangeIndex"
    if unnamed and not is_counted:
        raise InvalidRequest(
            "The index of the frame has no name to be a column by. Keep it with "
            "frame.rename_axis('NAME'), or leave it out with frame.reset_index(drop=True)."
        )
    for name in frame.columns[frame.columns.duplicated()]:
        raise InvalidRequest(f"The frame has two columns '{name}'; rename one.")
    for name in set(frame.index.names) & set(frame.columns):
        raise InvalidRequest(
            f"'{name}' is the name of a column and of the index. Name the index otherwise with "
            "frame.rename_axis('NAME')."
        )
    try:
        table = pa.Table.from_pandas(frame, preserve_index=not is_counted)
    except _UNFIT:
        for name in frame.columns:
            _column(str(name), frame[name])
        raise
    # What pandas notes in the metadata is of use to pandas alone, and changes with the index.
    return table.replace_schema_metadata(None)


def from_polars(frame: Any) -> pa.Table:
    """A polars frame, collected where it is lazy. InvalidRequest (unsupported_type)."""
    found = frame.collect() if hasattr(frame, "collect") else frame
    for name, kind in found.schema.items():
        _check_polars_type(name, kind)
    return found.to_arrow()


def is_a(data: Any, library: str, *names: str) -> bool:
    """Whether the data is of a class of a library, which then has been imported by somebody."""
    module = sys.modules.get(library)
    kinds = tuple(getattr(module, name) for name in names if hasattr(module, name))
    return isinstance(data, kinds)


def _column(name: Any, values: Any) -> pa.Array | pa.ChunkedArray:
    """The values as Arrow's, of one type. InvalidRequest names the column."""
    if not isinstance(name, str):
        raise InvalidRequest(f"The name {name!r} of a column is a '{_kind(name)}'; make it a text.")
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if is_a(values, "polars", "Series"):
        _check_polars_type(name, values.dtype)
        return values.to_arrow()
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        raise InvalidRequest(
            f"The column '{name}' is a '{_kind(values)}'; give a list of its values."
        )
    try:
        return pa.array(values)
    except _UNFIT as error:
        raise _unfit(name, values, error) from None


def _unfit(name: str, values: Any, error: Exception) -> InvalidRequest:
    """Why values make no column: they differ in type, else what Arrow says of them."""
    kinds = list(dict.fromkeys(_kind(value) for value in values if value is not None))
    if len(kinds) > 1:
        return InvalidRequest(
            f"The column '{name}' holds values of the types '{kinds[0]}' and '{kinds[1]}'. "
            "Convert them to one type.",
            code=ErrorCode.INVALID_DATA,
        )
    reason = str(error.args[0] if error.args else error).split("\n")[0][:200].removesuffix(".")
    return InvalidRequest(
        f"The column '{name}' of the type '{''.join(kinds)}' cannot be made Arrow's: {reason}. "
        "Convert its values to numbers, texts, bytes or times, or to lists or dicts of one kind.",
        code=ErrorCode.INVALID_DATA,
    )


def _check_polars_type(name: str, kind: Any) -> None:
    for part in _parts(kind):
        if type(part).__name__ in _OF_POLARS_ALONE or str(part) in _OF_POLARS_ALONE:
            raise InvalidRequest(
                f"The column '{name}' is of polars' type {kind}, which Arrow does not have. Cast "
                f"it: frame.with_columns(pl.col('{name}').cast(…)).",
                code=ErrorCode.UNSUPPORTED_TYPE,
            )


def _parts(kind: Any) -> Iterator[Any]:
    """A type of polars and the types within it."""
    yield kind
    for inner in (getattr(kind, "inner", None), *getattr(kind, "fields", ())):
        if inner is not None:
            yield from _parts(getattr(inner, "dtype", inner))


def _kind(value: Any) -> str:
    return type(value).__name__
