"""Rows laid into files that a lake can take: what a file holds, and where the next one begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.model import Staged, TableSpec
from flight_server.setting_values import Compression, Durability
from flight_server.settings import Settings
from flight_server.transfer import staging
from flight_server.transfer.staging import StagedFiles, can_be_told, suits, taken_until

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), ("v", pa.float64())])
NAN = float("nan")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "lake" / "files").mkdir(parents=True)
    return Settings(data=tmp_path)


def batch(*values: float | None) -> pa.RecordBatch:
    columns = [pa.array(range(len(values))), pa.array(values, pa.float64())]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def written(folder: Path, settings: Settings, *batches: pa.RecordBatch) -> Staged:
    files = StagedFiles(folder, SCHEMA, settings)
    for one in batches:
        files.write(one)
    return files.close()


def opened(folder: Path, staged: Staged) -> list[pq.ParquetFile]:
    return [pq.ParquetFile(folder.parent / name) for name in staged.files]


@pytest.mark.parametrize("codec", Compression)
def test_files_are_as_the_lake_writes_them(
    tmp_path: Path, settings: Settings, codec: Compression
) -> None:
    changed = settings.model_copy(update={"lake_compression": codec, "durability": Durability.NONE})
    staged = written(tmp_path, changed, batch(1.0, None), batch(2.0))
    [file] = opened(tmp_path, staged)
    assert (staged.rows, staged.bytes) == (3, 3 * 16 + 1)
    assert file.read().column("v").to_pylist() == [1.0, None, 2.0]
    named = file.metadata.row_group(0).column(0).compression
    assert named.startswith(codec.value.upper())


def test_groups_of_a_file_are_alike(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a column with NaN it tells nothing; one of nulls is nothing but that in a file."""
    monkeypatch.setattr(staging, "GROUP_ROWS", 2)
    groups = [(1.0, 2.0), (None, 3.0), (NAN, 4.0), (5.0, NAN), (None, None), (6.0, None), (7.0,)]
    staged = written(tmp_path, settings, *(batch(*group) for group in groups))
    files = opened(tmp_path, staged)
    assert [file.metadata.num_row_groups for file in files] == [2, 2, 1, 2]
    told = [file.metadata.row_group(0).column(1).statistics for file in files]
    assert [one is not None for one in told] == [True, False, True, True]
    assert [file.metadata.row_group(0).column(0).statistics.null_count for file in files] == [0] * 4
    read = [value for file in files for value in file.read().column("v").to_pylist()]
    assert repr(read) == repr([value for group in groups for value in group])


def test_a_file_that_is_large_ends(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "GROUP_BYTES", 1)
    monkeypatch.setattr(staging, "FILE_BYTES_MAX", 1)
    staged = written(tmp_path, settings, batch(1.0), batch(2.0))
    assert [file.metadata.num_rows for file in opened(tmp_path, staged)] == [1, 1]


def test_what_cannot_be_written_is_told(tmp_path: Path, settings: Settings) -> None:
    files = StagedFiles(tmp_path / "none", SCHEMA, settings)
    files.write(batch(1.0))
    with pytest.raises(FileNotFoundError):
        files.close()
    files.abandon()


def test_which_rows_are_many() -> None:
    batches = iter([batch(1.0)] * 3)
    assert taken_until(batches, 20) == ([batch(1.0)] * 2, True)
    assert taken_until(batches, 20) == ([batch(1.0)], False)
    assert taken_until(iter([batch(), batch(1.0), batch()]), 0) == ([batch(), batch(1.0)], True)
    assert taken_until(iter([batch()]), 0) == ([batch()], False)


def test_of_long_texts_nothing_is_told() -> None:
    schema = pa.schema([("t", pa.string()), ("b", pa.binary())])
    short, long = "é" * 2048, "é" * 2049
    assert can_be_told(
        [pa.RecordBatch.from_pydict({"t": [short, None], "b": [b"x" * 9_999] * 2}, schema)]
    )
    assert not can_be_told([pa.RecordBatch.from_pydict({"t": [long], "b": [None]}, schema)])


SPEC = TableSpec(SCHEMA)
LISTED = SCHEMA.append(pa.field("list", pa.list_(pa.int8())))


@pytest.mark.parametrize(
    ("settled", "schema", "spec", "does"),
    [
        ({}, SCHEMA, None, True),
        ({}, SCHEMA, SPEC, True),
        ({}, LISTED, None, False),
        ({}, SCHEMA, TableSpec(LISTED), False),
        ({}, SCHEMA, TableSpec(SCHEMA, checks={"c": "n > 0"}), False),
        ({}, SCHEMA, TableSpec(SCHEMA, constraints={"n": {"minimum": 0}}), False),
        ({}, SCHEMA, TableSpec(SCHEMA, partition_by=("n",)), False),
        ({}, SCHEMA.set(1, pa.field("v", pa.float32())), SPEC, False),
        ({"lake_encrypted": True}, SCHEMA, None, False),
        ({"lake_files": "s3://bucket/lake/"}, SCHEMA, None, False),
        ({"lake_files": "/none"}, SCHEMA, None, False),
        ({"lake_files": "/dev/shm"}, SCHEMA, None, False),
    ],
)
def test_what_it_suits(
    settings: Settings,
    tmp_path: Path,
    settled: dict[str, Any],
    schema: pa.Schema,
    spec: TableSpec | None,
    does: bool,
) -> None:
    assert suits(settings.model_copy(update=settled), tmp_path, schema, spec) is does
