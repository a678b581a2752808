"""Parquet's columns are encoded by what their values are like, and lose nothing by it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.transfer.formats import format_named
from flight_server.transfer.writers import WriteOptions, columnar, open_writer
from flight_server.transfer.writers.base import HashedFile

COUNT = 3000
START = dt.datetime(2024, 2, 29, tzinfo=dt.UTC)
ROWS = pa.table(
    {
        "id": range(COUNT),
        "at": [START + dt.timedelta(seconds=n) for n in range(COUNT)],
        "day": pa.array(range(COUNT), pa.int32()).cast(pa.date32()),
        "price": [n / 7 for n in range(COUNT)],
        "text": [f"text {n}" for n in range(COUNT)],
        "kind": [f"kind {n % 10}" for n in range(COUNT)],
        "bucket": [n % 10 for n in range(COUNT)],
        "none": pa.nulls(COUNT, pa.int64()),
        "list": [[n, n] for n in range(COUNT)],
        "a.b": [n % 10 for n in range(COUNT)],
        "c": [{"d": n} for n in range(COUNT)],
        "c.d": range(COUNT),
        "word": pa.array([f"word {n % 10}" for n in range(COUNT)]).dictionary_encode(),
    }
)


def parquet(path: Path, rows: pa.Table) -> pq.ParquetFile:
    writer = open_writer(format_named("parquet"), path, rows.schema, WriteOptions("zstd"))
    for batch in rows.to_batches(max_chunksize=1000):
        writer.write(batch)
    writer.close()
    return pq.ParquetFile(path)


def encodings(file: pq.ParquetFile) -> list[tuple[str, set[Any]]]:
    group = file.metadata.row_group(0)
    columns = (group.column(number) for number in range(group.num_columns))
    return [(column.path_in_schema, set(column.encodings)) for column in columns]


def test_only_values_that_repeat_have_a_dictionary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "GROUP_ROWS", 1000)
    file = parquet(tmp_path / "rows.parquet", ROWS)
    assert file.num_row_groups == 3
    assert file.read().equals(ROWS)
    found = encodings(file)
    deltas = [name for name, used in found if "DELTA_BINARY_PACKED" in used]
    dictionaries = [name for name, used in found if "RLE_DICTIONARY" in used]
    assert deltas == ["id", "at", "day"]
    # Two leaves are called c.d by Parquet: what suits the one would be done to the other.
    kept = ["kind", "bucket", "none", "list.list.element", "a.b", "c.d", "c.d", "word"]
    assert dictionaries == kept


def test_what_a_group_meets_is_raised_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "GROUP_ROWS", 1000)
    writer = open_writer(
        format_named("parquet"), tmp_path / "rows.parquet", ROWS.schema, WriteOptions("zstd")
    )
    first, second, *_ = ROWS.to_batches(max_chunksize=1000)
    to_disk = HashedFile.write

    def is_full(self: HashedFile, data: bytes) -> int:
        if data != b"PAR1":
            raise OSError("no space is left")
        return to_disk(self, data)

    monkeypatch.setattr(HashedFile, "write", is_full)
    writer.write(first)
    with pytest.raises(OSError, match="no space is left"):
        writer.write(second)
    writer.abandon()
