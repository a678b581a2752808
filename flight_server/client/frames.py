"""Tables of other libraries, in and out: polars, pandas, and everything that speaks Arrow.

Neither library is imported before somebody asks for it, and neither has to be installed.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from flight_server.errors import InvalidRequest, Unsupported


def as_reader(data: Any) -> pa.RecordBatchReader:
    """The data as a stream of batches, without collecting what is a stream already.

    Takes Arrow tables, batches, readers and datasets, polars and pandas frames, anything with
    `__arrow_c_stream__`, a mapping of columns, a sequence of row mappings, or an iterable of
    batches. InvalidRequest names the type where it is none of these.
    """
    if isinstance(data, pa.RecordBatchReader):
        return data
    table = _as_table(data)
    if table is not None:
        return table.to_reader()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data)
    if hasattr(data, "scanner"):
        return data.scanner().to_reader()
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return _from_batches(iter(data))
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
    if _is_frame(data, "pandas"):
        named = any(name is not None for name in data.index.names)
        table = pa.Table.from_pandas(data, preserve_index=named)
        # What pandas notes in the metadata is of use to pandas alone, and changes with the index.
        return table.replace_schema_metadata(None)
    if _is_frame(data, "polars"):
        return (data.collect() if hasattr(data, "collect") else data).to_arrow()
    if isinstance(data, Mapping):
        return pa.table(dict(data))
    if isinstance(data, Sequence) and data and isinstance(data[0], Mapping):
        return pa.Table.from_pylist(list(data))
    return None


def _is_frame(data: Any, library: str) -> bool:
    """Whether the data is a frame of a library, which then has been imported by somebody."""
    module = sys.modules.get(library)
    names = ("DataFrame", "LazyFrame")
    kinds = tuple(getattr(module, name) for name in names if hasattr(module, name))
    return isinstance(data, kinds)


def _from_batches(batches: Iterator[Any]) -> pa.RecordBatchReader:
    first = next(batches, None)
    if isinstance(first, pa.Table):
        tables = itertools.chain([first], batches)
        parts = itertools.chain.from_iterable(table.to_batches() for table in tables)
        return pa.RecordBatchReader.from_batches(first.schema, parts)
    if not isinstance(first, pa.RecordBatch):
        what = "is empty" if first is None else f"begins with a {type(first).__name__}"
        raise InvalidRequest(
            f"The iterable {what}; it must give record batches. To send a schema without rows, "
            "give schema.empty_table()."
        )
    return pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], batches))


def _library(name: str, method: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Unsupported(
            f"{method}() needs {name}, which is not installed: pip install {name}."
        ) from None
