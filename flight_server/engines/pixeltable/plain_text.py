"""Rows of plain columns as lines of CSV: Arrow writes them, and no value becomes one of Python's.

Texts stand in quotation marks and nulls are empty, as PostgreSQL's COPY reads them.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

_OPTIONS = pa.csv.WriteOptions(include_header=False)
_HEX = np.frombuffer(bytes(range(256)).hex().encode(), np.uint8).reshape(256, 2)
_PLAIN = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_date32,
    pa.types.is_timestamp,
    pa.types.is_null,
)


def is_plain(arrow: pa.DataType) -> bool:
    """Whether values of the type are written so."""
    return isinstance(arrow, pa.UuidType) or any(fits(arrow) for fits in _PLAIN)


def lines_of(batch: pa.RecordBatch) -> memoryview:
    """The rows of a batch whose columns are all plain."""
    arrays = [_hex(array) if isinstance(array, pa.UuidArray) else array for array in batch.columns]
    sink = pa.BufferOutputStream()
    with pa.csv.CSVWriter(sink, _schema(arrays), write_options=_OPTIONS) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=_schema(arrays)))
    return memoryview(sink.getvalue())


def _schema(arrays: list[pa.Array]) -> pa.Schema:
    return pa.schema([pa.field(f"{at}", array.type) for at, array in enumerate(arrays)])


def _hex(array: pa.UuidArray) -> pa.Array:
    """UUIDs as 32 digits."""
    storage, count = array.storage, len(array)
    data = np.frombuffer(storage.buffers()[1] or b"", np.uint8)
    first = 16 * storage.offset
    digits = _HEX[data[first : first + 16 * count]]
    ends = pa.py_buffer(np.arange(count + 1, dtype=np.int32) * 32)
    texts = pa.StringArray.from_buffers(count, ends, pa.py_buffer(np.ascontiguousarray(digits)))
    return cast(pa.Array, pc.if_else(storage.is_valid(), texts, None))
