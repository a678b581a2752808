"""Files in every format: whole, counted, hashed, and as they were where they are read again."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from flight_server.errors import InvalidRequest, Unsupported
from flight_server.testing.types import CASES, TypeCase, same_values
from flight_server.transfer.formats import FORMATS, codec_for, format_named, format_of_path
from flight_server.transfer.writers import WriteOptions, open_writer
from flight_server.transfer.writers import excel as excel_writer
from flight_server.transfer.writers.base import Written

ROWS = pa.table({"n": range(5000), "s": [f"text {n}" for n in range(5000)]})
EVERY_CODEC = [(kind.name, codec) for kind in FORMATS.values() for codec in kind.codecs]


def written(
    path: Path, table: pa.Table, name: str, rows_each: int = 1000, **how: Any
) -> list[Written]:
    writer = open_writer(format_named(name), path, table.schema, WriteOptions(**how))
    try:
        for batch in table.to_batches(max_chunksize=rows_each):
            writer.write(batch)
        return list(writer.close())
    except BaseException:
        writer.abandon()
        raise


def read(path: Path, name: str) -> pa.Table:
    """The table of a file, as its own library reads it."""
    if name == "parquet":
        return pq.ParquetFile(path).read()
    if name == "arrow":
        return pa.ipc.open_file(path.read_bytes()).read_all()
    if name == "lance":
        import lance

        return lance.dataset(str(path)).to_table()
    raise AssertionError(name)


@pytest.mark.parametrize(("name", "codec"), EVERY_CODEC)
def test_every_codec_of_every_format(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / f"rows{format_named(name).ending}"
    for one in written(path, ROWS, name, codec=codec):
        data = one.path.read_bytes()
        assert (one.bytes, one.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    if name in ("parquet", "arrow", "lance"):
        assert read(path, name).equals(ROWS)
    elif name != "excel":
        with pa.input_stream(str(path), compression=None if codec == "none" else codec) as stream:
            data = stream.read()
        if name == "csv":
            assert pa.csv.read_csv(pa.BufferReader(data)).equals(ROWS)
        elif name == "json":
            assert json.loads(data) == ROWS.to_pylist()
        else:
            assert [json.loads(line) for line in data.splitlines()] == ROWS.to_pylist()


@pytest.mark.parametrize("name", FORMATS)
def test_no_rows_make_a_file_all_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / "none"
    codec = format_named(name).codecs[-1]
    assert written(path, ROWS.slice(0, 0), name, codec=codec)
    if name in ("parquet", "arrow", "lance"):
        assert read(path, name).schema.equals(ROWS.schema)
    elif name != "excel":
        with pa.input_stream(str(path), compression=codec) as stream:
            expected = {"csv": b'"n","s"\n', "json": b"[\n]\n", "jsonl": b""}
            assert stream.read() == expected[name]


def test_csv_with_tabs_and_without_names(tmp_path: Path) -> None:
    table = pa.table({"a": [1, None], "b": ["x\ty", ""]})
    written(tmp_path / "a.tsv", table, "csv", header=False, delimiter="\t")
    assert (tmp_path / "a.tsv").read_bytes() == b'1\t"x\ty"\n\t""\n'


def test_gzip_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        written(tmp_path / name, ROWS, "jsonl", codec="gzip")
    one, two = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    assert one == two
    assert gzip.decompress(one).count(b"\n") == 5000


@pytest.mark.parametrize("name", ["parquet", "arrow", "lance"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_value_is_lost(tmp_path: Path, case: TypeCase, name: str) -> None:
    """Whatever the type has become, cast back it holds the same values, in slices as well."""
    table = case.table(case.values)
    written(tmp_path / "rows", table, name, rows_each=2)
    found = read(tmp_path / "rows", name)
    found.validate(full=True)
    kind = found["v"].type
    if kind == table["v"].type:
        assert same_values(found["v"], table["v"])
        return
    whole, before = found["v"].combine_chunks(), case.values
    if pa.types.is_dictionary(before.type) and not pa.types.is_dictionary(kind):
        before = before.dictionary_decode()
    if pa.types.is_union(before.type) or before.type == pa.struct([]):
        texts = [None if one is None else json.dumps(one) for one in before.to_pylist()]
        assert whole.to_pylist() == texts
    elif pa.types.is_interval(before.type):
        assert [one and tuple(one.values()) for one in whole.to_pylist()] == before.to_pylist()
    elif isinstance(before.type, pa.JsonType):
        assert whole.to_pylist() == before.storage.to_pylist()
    elif pa.types.is_timestamp(kind) or pa.types.is_decimal(kind):
        assert whole.cast(before.type).equals(before)
    else:
        assert repr(whole.to_pylist()) == repr(before.to_pylist())


def test_dictionaries_of_batches_become_one(tmp_path: Path) -> None:
    kind = pa.dictionary(pa.int8(), pa.string())
    nested = pa.list_(pa.struct([("d", kind)]))
    schema = pa.schema([("d", kind), ("l", nested), ("f", pa.list_(kind, 2))])
    rows = [
        {"d": "a", "l": [{"d": "x"}], "f": ["p", None]},
        {"d": None, "l": None, "f": None},
        {"d": "b", "l": [{"d": "y"}, {"d": None}, {"d": "x"}], "f": ["q", "p"]},
        {"d": "a", "l": [], "f": ["r", "q"]},
    ]
    batches = [pa.RecordBatch.from_pylist([row], schema) for row in rows]
    writer = open_writer(format_named("arrow"), tmp_path / "a.arrow", schema)
    for batch in batches:
        writer.write(batch)
    writer.close()
    found = read(tmp_path / "a.arrow", "arrow")
    assert (found.schema, found.to_pylist()) == (schema, rows)
    assert [path.name for path in tmp_path.iterdir()] == ["a.arrow"]


def test_a_dictionary_that_outgrows_its_index_gets_a_wider_one(tmp_path: Path) -> None:
    schema = pa.schema([("d", pa.dictionary(pa.int8(), pa.string()))])
    writer = open_writer(format_named("arrow"), tmp_path / "a.arrow", schema)
    rows = [[{"d": str(at)} for at in range(start, start + 100)] for start in (0, 100)]
    for some in rows:
        writer.write(pa.RecordBatch.from_pylist(some, schema))
    writer.close()
    found = read(tmp_path / "a.arrow", "arrow")
    assert found["d"].type == pa.dictionary(pa.int32(), pa.string())
    assert found.to_pylist() == rows[0] + rows[1]


def test_a_sheet_that_is_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_writer, "ROWS_MAX", 1000)
    writer = open_writer(format_named("excel"), tmp_path / "a.xlsx", ROWS.schema)
    with pytest.raises(InvalidRequest, match=r"999 rows at most .* rows_per_file"):
        writer.write(ROWS.to_batches()[0])
    writer.abandon()


def test_a_cell_that_is_too_long_is_named(tmp_path: Path) -> None:
    table = pa.table({"s": ["short", "x" * 32_768]})
    with pytest.raises(InvalidRequest, match="row 2 has 32,768 in 's'"):
        written(tmp_path / "a.xlsx", table, "excel")


def test_rows_without_columns_are_refused(tmp_path: Path) -> None:
    for name in ("parquet", "lance"):
        with pytest.raises(Unsupported, match="without columns"):
            open_writer(format_named(name), tmp_path / name, pa.schema([]))


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_abandoned_ends_at_once(tmp_path: Path, name: str) -> None:
    writer = open_writer(format_named(name), tmp_path / "a", ROWS.schema)
    for batch in ROWS.to_batches(max_chunksize=500):
        writer.write(batch)
    writer.abandon()


@pytest.mark.parametrize(
    ("path", "name", "around"),
    [
        ("a.csv", "csv", None),
        ("s3://b/a.CSV.GZ", "csv", "gzip"),
        ("a.ndjson.zst", "jsonl", "zstd"),
        ("out/a.lance/", "lance", None),
        ("a.xlsx", "excel", None),
    ],
)
def test_endings_tell_the_format(path: str, name: str, around: str | None) -> None:
    assert format_of_path(path) == (FORMATS[name], around)


def test_wrong_names_are_told_with_the_right_ones() -> None:
    assert format_of_path("a.gz") is None
    with pytest.raises(InvalidRequest, match=r"no format 'parket'\. Did you mean 'parquet'"):
        format_named("parket")
    with pytest.raises(
        InvalidRequest, match=r"csv has no compression 'lz4'\..* none, gzip and zstd"
    ):
        codec_for(FORMATS["csv"], "lz4")
    assert codec_for(FORMATS["csv"], None, compress=True) == "gzip"
