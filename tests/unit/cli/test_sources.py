"""Files as one stream: formats there and back, several files, compressed and damaged ones."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import os
import sys
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from flight_server.cli.formats import (
    Hints,
    Source,
    find_files,
    format_of,
    open_sink,
    open_source,
    replaced,
)
from flight_server.cli.formats.pipes import WAIT_SECONDS
from flight_server.errors import ErrorCode, InvalidRequest, Unsupported

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "name": pa.array(["a", None, 'c, "quoted"\nline']),
        "at": pa.array(
            [dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)] * 3, pa.timestamp("s", "UTC")
        ),
        "price": pa.array([1.5, None, -2.0]),
    }
)


def opened(*paths: object, **hints: object) -> Source:
    return open_source(find_files([str(path) for path in paths], None), Hints(**hints))  # type: ignore[arg-type]


def written(path: Path, table: pa.Table, format: str | None = None) -> Path:
    kind, compression = format_of(str(path))
    with (
        replaced(path) as stream,
        open_sink(stream, format or kind, table.schema, compression) as sink,
    ):
        for batch in table.to_batches():
            sink.write_batch(batch)
    return path


@pytest.mark.parametrize("compression", ["", ".gz", ".zst", ".bz2", ".lz4"])
@pytest.mark.parametrize(
    ("ending", "format"),
    [
        (".csv", None),
        (".jsonl", None),
        (".parquet", None),
        (".arrow", "arrow_file"),
        (".arrows", None),
    ],
)
def test_what_is_written_is_read_back(
    tmp_path: Path, ending: str, format: str | None, compression: str
) -> None:
    path = written(tmp_path / f"rows{ending}{compression}", ROWS, format)
    types = {field.name: field.type for field in ROWS.schema}
    source = opened(path, types=types)
    assert source.reader().read_all().to_pylist() == ROWS.to_pylist()
    assert source.position == source.size == path.stat().st_size


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", None, "", "NA", "null", " ", '"', "x\ny"]),
        pa.array([1, None, 2]),
        pa.array([1.5, None, float("inf")]),
        pa.array([None, "", None, None]),
    ],
    ids=["text", "whole numbers", "numbers", "empty"],
)
@pytest.mark.parametrize("width", [1, 2])
def test_null_and_empty_text_survive_a_csv(tmp_path: Path, column: pa.Array, width: int) -> None:
    table = pa.table({f"c{i}": column for i in range(width)})
    path = written(tmp_path / "rows.csv", table)
    assert opened(path).reader().read_all().to_pydict() == table.to_pydict()


def test_other_programs_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x\n1\n"))
    (tmp_path / "b.csv.bz2").write_bytes(bz2.compress(b"x\n2\n"))
    with zipfile.ZipFile(tmp_path / "c.csv.zip", "w") as archive:
        archive.writestr("c.csv", "x\n3\n")
    table = opened(tmp_path / "*.csv.*").reader().read_all()
    assert table.column("x").to_pylist() == [1, 2, 3]


def test_several_files_become_one_stream_in_the_first_ones_schema(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,one\n")
    (tmp_path / "b.csv").write_text("y,x\n2,2\n")
    written(tmp_path / "c.parquet", pa.table({"y": ["three"], "x": pa.array([3], pa.int32())}))
    table = (
        opened(tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.parquet").reader().read_all()
    )
    assert table.to_pylist() == [{"x": 1, "y": "one"}, {"x": 2, "y": "2"}, {"x": 3, "y": "three"}]


def test_files_of_other_columns_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x\n1\n")
    with pytest.raises(InvalidRequest) as caught:
        opened(tmp_path / "a.csv", tmp_path / "b.csv").reader().read_all()
    assert "b.csv has no column 'y', which" in caught.value.message
    assert caught.value.code is ErrorCode.SCHEMA_MISMATCH


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.csv.gz", "x.csv.zip"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is none of it")
    with pytest.raises(InvalidRequest, match=f"{name}'? cannot be read") as caught:
        opened(tmp_path / name).reader().read_all()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input_is_read_once_and_whole(
    monkeypatch: pytest.MonkeyPatch, compress: type[bytes]
) -> None:
    content = compress(b"x\n" + b"12345\n" * 500_000)
    stdin = SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(content)))
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr("flight_server.cli.formats.delimited.SAMPLE_BYTES", 1000)
    source = open_source(find_files(["-"], "csv"), Hints())
    assert len(source.reader().read_all()) == 500_000
    assert source.size == 0


def test_a_header_that_comes_before_the_rows_tells_no_types(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x,y\n")

    def write() -> None:
        os.write(writing, b"1,1.5\n2,2.5\n")
        os.close(writing)

    later = threading.Timer(3 * WAIT_SECONDS, write)
    later.start()
    with open(reading, "rb") as raw:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=raw))
        table = open_source(find_files(["-"], "csv", is_live=True), Hints()).reader().read_all()
    later.join()
    assert table.to_pydict() == {"x": [1, 2], "y": [1.5, 2.5]}


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replaced(path) as stream:
        stream.write(b"%d" % (1 // 0))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be written: No such file"):
        written(tmp_path / "no" / "rows.csv", ROWS)


def test_a_type_without_a_place_in_the_format_is_told(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array([None], pa.month_day_nano_interval())})
    with pytest.raises(Unsupported, match="The format parquet cannot hold these columns"):
        written(tmp_path / "x.parquet", table)
    assert list(tmp_path.iterdir()) == []
