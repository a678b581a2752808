"""Tables of other libraries, in and out: polars, pandas, and everything that speaks Arrow.

Neither library is imported before somebody asks for it, and neither has to be installed.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from flight_server.client.columns import (
    from_columns,
    from_pandas,
    from_polars,
    from_rows,
    is_a,
)
from flight_server.errors import ErrorCode, InvalidRequest, Unsupported


def as_reader(data: Any) -> pa.RecordBatchReader:
    """The data as a stream of batches, without collecting what is a stream already.

    Takes Arrow tables, batches, readers and datasets, polars and pandas frames, anything with
    `__arrow_c_stream__`, a mapping of columns, a sequence of row mappings, or an iterable of
    batches. InvalidRequest names the type where it is none of these, and the column where one
    cannot be taken as it is.
    """
    if isinstance(data, pa.RecordBatchReader):
        return data
    if is_a(data, "polars", "Series") or is_a(data, "pandas", "Series"):
        raise InvalidRequest(
            "A Series is one column, not a table. Make it a frame: series.to_frame('NAME')."
        )
    table = _as_table(data)
    if table is not None:
        return table.to_reader()
    if hasattr(data, "__arrow_c_stream__"):
        return _from_stream(data)
    if hasattr(data, "scanner"):
        return data.scanner().to_reader()
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return _from_items(iter(data))
    raise InvalidRequest(
        f"A {type(data).__name__} cannot be put into a table. Give an Arrow table or reader, a "
        "polars or pandas frame, an iterable of record batches, or a list of dicts."
    )


def to_polars(table: pa.Table) -> Any:
    """The table as a polars frame. Unsupported where polars is not installed."""
    return _library("polars", "to_polars").from_arrow(table)


def to_pandas(table: pa.Table) -> Any:
    """The table as a pandas frame. Unsupported where pandas is not installed."""
    _library("pandas", "to_pandas")
    return table.to_pandas()


def _as_table(data: Any) -> pa.Table | None:
    """The data as a table where it is one, whole in memory."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if is_a(data, "pandas", "DataFrame"):
        return from_pandas(data)
    if is_a(data, "polars", "DataFrame", "LazyFrame"):
        return from_polars(data)
    if isinstance(data, Mapping):
        return from_columns(data)
    if isinstance(data, Sequence) and data and isinstance(data[0], Mapping):
        return from_rows(data)
    return None


def _from_stream(data: Any) -> pa.RecordBatchReader:
    try:
        return pa.RecordBatchReader.from_stream(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidRequest(
            f"A {type(data).__name__} gives no rows: {str(error).splitlines()[0]}. Give an Arrow "
            "table or reader."
        ) from None


def _from_items(items: Iterator[Any]) -> pa.RecordBatchReader:
    """Batches, or tables of them, that somebody makes one by one."""
    first = next(items, None)
    if not isinstance(first, pa.RecordBatch | pa.Table):
        what = "is empty" if first is None else f"begins with a {type(first).__name__}"
        raise InvalidRequest(
            f"The iterable {what}; it must give record batches. To send a schema without rows, "
            "give schema.empty_table()."
        )
    batches = _batches(first.schema, itertools.chain([first], items))
    return pa.RecordBatchReader.from_batches(first.schema, batches)


def _batches(schema: pa.Schema, items: Iterable[Any]) -> Iterator[pa.RecordBatch]:
    """The batches, as long as they have the schema. InvalidRequest (schema_mismatch)."""
    for number, item in enumerate(items, start=1):
        if not isinstance(item, pa.RecordBatch | pa.Table):
            raise InvalidRequest(
                f"Item {number} of the iterable is a '{type(item).__name__}'; it must give record "
                "batches."
            )
        if not item.schema.equals(schema):
            raise InvalidRequest(
                f"Item {number} of the iterable has the columns {_told(item.schema)}, the first "
                f"has {_told(schema)}. All must have the same: cast it, or put it by itself.",
                code=ErrorCode.SCHEMA_MISMATCH,
            )
        yield from item.to_batches() if isinstance(item, pa.Table) else (item,)


def _told(schema: pa.Schema) -> str:
    return ", ".join(f"'{field.name}' {field.type}" for field in schema)[:300]


def _library(name: str, method: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Unsupported(
            f"{method}() needs {name}, which is not installed: pip install {name}."
        ) from None
