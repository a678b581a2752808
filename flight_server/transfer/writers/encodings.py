"""How Parquet's columns are encoded: by what their first values are like.

A dictionary is only worth its time where values repeat: Arrow's writer tries one for every column,
and gives it up when it has grown too large, in every group of rows anew. Whole numbers, dates and
times that do not repeat mostly follow each other, so that their differences are short.

https://parquet.apache.org/docs/file-format/data-pages/encodings/
"""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as kinds

SAMPLE_ROWS = 10_000
# So many of a sample's values are distinct where a dictionary would hold nearly all of them.
DISTINCT_LEAST = 0.95


def encodings(rows: pa.Table) -> dict[str, Any]:
    """The arguments of ParquetWriter that suit columns like these."""
    paths = _paths(rows)
    once = {path for path, times in Counter(paths).items() if times == 1}
    apart = {
        field.name: field.type
        for field, column in zip(rows.schema, rows.columns, strict=True)
        if field.name in once and _is_apart(column.slice(0, SAMPLE_ROWS))
    }
    deltas = {name: "DELTA_BINARY_PACKED" for name, kind in apart.items() if _is_counted(kind)}
    return {
        "use_dictionary": [path for path in paths if path not in apart],
        "column_encoding": deltas or None,
    }


def _paths(rows: pa.Table) -> list[str]:
    """Parquet's names of the leaves. A column that is none has another name than its leaves."""
    file = io.BytesIO()
    pq.write_table(rows.slice(0, 0), file)
    leaves = pq.ParquetFile(file).schema
    return [leaves.column(number).path for number in range(len(leaves))]


def _is_apart(values: pa.ChunkedArray) -> bool:
    if not len(values) or kinds.is_nested(values.type) or kinds.is_dictionary(values.type):
        return False
    try:
        distinct = pc.count_distinct(values).as_py()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return False
    return bool(distinct >= DISTINCT_LEAST * len(values))


def _is_counted(kind: pa.DataType) -> bool:
    """Whether Parquet keeps the values as whole numbers of 32 or 64 bits."""
    tests = (kinds.is_integer, kinds.is_timestamp, kinds.is_date, kinds.is_time)
    return any(test(kind) for test in tests)
