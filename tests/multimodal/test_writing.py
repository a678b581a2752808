"""Rows written into Pixeltable's tables: all or nothing, once, as plain Pixeltable reads them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
import pytest

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unsupported,
)
from flight_server.model import (
    IngestRequest,
    NamespaceRef,
    TableRef,
    TableSpec,
)
from tests.fix_pixeltable import ANA, EVERY_KIND, NUMBERS, PICTURES, put, read


def test_every_type_comes_back_as_it_went(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    rows = read(writable, EVERY_KIND, order_by="n", version=1)
    schema = rows.schema
    copied = TableRef("pixeltable", "kinds", "copied")
    # What no schema of Arrow's says: arrays of other shapes, and JSON is told by its type alone.
    told = [name for name in schema.names if name not in ("ragged", "words", "any")]
    commit = put(writable, copied, rows.select(told), "create")
    assert commit.rows == commit.rows_inserted == 40
    again = read(writable, copied, order_by="n")
    assert again.schema.types == rows.select(told).schema.types
    assert [str(row) for row in again.drop(["json"]).to_pylist()] == [
        str(row) for row in rows.select(told).drop(["json"]).to_pylist()
    ]
    texts = zip(again["json"].to_pylist(), rows["json"].to_pylist(), strict=True)
    assert all((a and json.loads(a)) == (b and json.loads(b)) for a, b in texts)


def test_arrays_of_any_shape_come_back_as_they_went(writable: PixeltableEngine) -> None:
    rows = read(writable, EVERY_KIND, order_by="n", version=1)
    put(writable, EVERY_KIND, rows)
    again = read(writable, EVERY_KIND, order_by="n")
    assert again.num_rows == 80
    for name in ("ragged", "words", "any"):
        assert again[name].to_pylist()[::2] == again[name].to_pylist()[1::2]


def test_plain_pixeltable_reads_what_was_written(
    written_home: Path, writable: PixeltableEngine
) -> None:
    put(
        writable,
        NUMBERS,
        pa.table({"id": [9001], "x": [4.5], "name": ["ours"], "even": [False]}),
    )
    program = (
        "import os, json, sys\n"
        f"os.environ['PIXELTABLE_HOME'] = {str(written_home)!r}\n"
        "os.environ['PIXELTABLE_VERBOSITY'] = '0'\n"
        "import pixeltable as pxt\n"
        "table = pxt.get_table('numbers')\n"
        "rows = list(table.where(table.id == 9001).select(table.name, table.twice).collect())\n"
        "table.insert([{'id': 9002, 'x': 1.0, 'name': 'theirs', 'even': True}])\n"
        "print(json.dumps([dict(row) for row in rows]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [{"name": "ours", "twice": 9.0}], done.stderr
    assert read(writable, NUMBERS, filter="id = 9002")["name"].to_pylist() == ["theirs"]


def test_a_stream_of_several_parts_is_one_version(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"id": pa.int64(), "text": pa.string()})
    rows = pa.table({"id": range(45_000), "text": [f"row {n}" for n in range(45_000)]})
    before = writable.resolve(table).snapshot
    commit = put(writable, table, rows)
    assert (commit.rows, commit.offset) == (45_000, 45_000)
    assert commit.snapshot == writable.resolve(table).snapshot == before + 1
    assert put(writable, table, rows.slice(0, 0)).snapshot == commit.snapshot
    assert read(writable, table).num_rows == 45_000
    # The last of them does not fit.
    bad = pa.table({"id": range(45_001), "text": pa.array([""] * 45_000 + [None])})
    strict = TableRef("pixeltable", "main", "strict")
    columns = pa.schema([pa.field("id", pa.int64()), pa.field("text", pa.string(), False)])
    writable.create_table(strict, TableSpec(columns), ANA)
    with pytest.raises(InvalidRequest, match="'text' is declared not null"):
        put(writable, strict, bad)
    assert read(writable, strict).num_rows == 0


@pytest.mark.parametrize(
    "column", [pa.array(["a\0b"]), pa.array([[{"deep": ["\0"]}]]), pa.array(['{"a": "\\u0000"}'])]
)
def test_a_text_with_a_nul_is_refused(
    writable: PixeltableEngine, new_table: Callable[..., TableRef], column: pa.Array
) -> None:
    is_text = column[0].as_py() == "a\0b"
    table = new_table({"text": pa.string() if is_text else pa.json_()})
    with pytest.raises(InvalidRequest, match="'text' holds a NUL"):
        put(writable, table, pa.table({"text": column}))
    assert read(writable, table).num_rows == 0


def test_rows_are_replaced_by_their_key(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"id": pa.int64(), "a": pa.string(), "b": pa.string()}, key=("id",))
    put(writable, table, pa.table({"id": [1, 2], "a": ["a1", "a2"], "b": ["b1", "b2"]}))
    commit = put(writable, table, pa.table({"id": [3, 2], "a": ["A3", "A2"]}), "upsert")
    assert (commit.rows, commit.rows_updated, commit.rows_inserted) == (2, 1, 1)
    rows = read(writable, table, order_by="id").to_pylist()
    assert [(row["a"], row["b"]) for row in rows] == [("a1", "b1"), ("A2", None), ("A3", None)]
    put(writable, table, pa.table({"id": [1], "a": ["A1"]}), "merge")
    assert read(writable, table, filter="id = 1").to_pylist() == [{"id": 1, "a": "A1", "b": "b1"}]
    overwritten = put(writable, table, pa.table({"id": [7], "a": ["x"], "b": ["y"]}), "overwrite")
    assert overwritten.rows_deleted == 3
    assert read(writable, table)["id"].to_pylist() == [7]


def test_images_come_as_bytes_or_from_where_it_is_allowed(
    writable: PixeltableEngine, written_home: Path
) -> None:
    file = io.BytesIO()
    PIL.Image.new("RGB", (33, 5)).save(file, "PNG")
    put(writable, PICTURES, pa.table({"n": [10], "picture": pa.array([file.getvalue()])}))
    own = written_home.parent / "own.png"
    own.write_bytes(file.getvalue())
    put(writable, PICTURES, pa.table({"n": [11], "picture": [str(own)]}))
    rows = read(writable, PICTURES, columns=("n", "width"), filter="n >= 10", order_by="n")
    assert rows["width"].to_pylist() == [33, 33]


@pytest.mark.parametrize(
    "url",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "https://example.com/a.png",
        "s3://bucket/a.png",
        "gopher://127.0.0.1:70/",
        "../../../etc/passwd",
    ],
)
def test_media_from_elsewhere_are_refused(
    writable: PixeltableEngine, url: str, written_home: Path
) -> None:
    for tried in (url, f"{written_home.parent}/../../../../{url}" if url.startswith("/") else url):
        with pytest.raises(InvalidRequest) as told:
            put(writable, PICTURES, pa.table({"n": [99], "picture": [tried]}))
        assert told.value.code is ErrorCode.ADDRESS_REFUSED
    assert read(writable, PICTURES, columns=("n",), filter="n = 99").num_rows == 0


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"idd": [1]}, "no column 'idd'. Did you mean 'id'"),
        ({"id": [1], "twice": [1.0]}, "'twice' is computed"),
        ({"id": [1]}, "'name' allows no nulls, and was left out"),
        (
            {"id": ["x"], "name": ["n"], "even": [True]},
            "'id' has the type int64, and string came in",
        ),
        ({"id": [None], "name": ["n"], "even": [True]}, "'id' is declared not null"),
    ],
)
def test_rows_that_do_not_fit_are_told_why(
    writable: PixeltableEngine, columns: dict[str, list[Any]], said: str
) -> None:
    before = writable.resolve(NUMBERS).snapshot
    with pytest.raises(InvalidRequest, match=said):
        put(writable, NUMBERS, pa.table(columns))
    assert writable.resolve(NUMBERS).snapshot == before


def test_what_pixeltable_refuses_quotes_no_row(writable: PixeltableEngine) -> None:
    with pytest.raises(InvalidRequest) as told:
        put(writable, PICTURES, pa.table({"n": [5], "picture": pa.array([b"no image"])}))
    assert "no image" not in told.value.message
    assert "/" not in told.value.message, "a path of the server"


def test_what_cannot_be_written_to(writable: PixeltableEngine) -> None:
    rows = pa.table({"id": [1]})
    for name, kind in (("few", "view"), ("then", "snapshot")):
        with pytest.raises(Unsupported, match=kind):
            put(writable, TableRef("pixeltable", "views", name), rows)
    with pytest.raises(NotFound):
        put(writable, TableRef("pixeltable", "main", "nothing"), rows)
    with pytest.raises(AlreadyExists):
        put(writable, NUMBERS, rows, "create")
    with pytest.raises(InvalidRequest, match="has no key"):
        put(writable, PICTURES, pa.table({"n": [1]}), "upsert")


def test_a_stream_that_breaks_off_writes_nothing(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"id": pa.int64()})

    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"id": [1]})
        raise InvalidRequest("The client's stream broke.")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"id": pa.int64()}), broken())
    with pytest.raises(InvalidRequest, match="broke"):
        writable.ingest(table, IngestRequest(), reader, ANA)
    assert read(writable, table).num_rows == 0


def test_tables_and_directories_are_made_renamed_and_dropped(
    writable: PixeltableEngine,
) -> None:
    space = NamespaceRef("pixeltable", "made")
    writable.create_namespace(space, ANA)
    with pytest.raises(AlreadyExists):
        writable.create_namespace(space, ANA)
    table = TableRef("pixeltable", "made", "one")
    schema = pa.schema([pa.field("id", pa.int64(), False, {"comment": "The key."})])
    spec = TableSpec(schema, key=("id",), comment="Made.")
    writable.create_table(table, spec, ANA)
    found = writable.describe(table)
    assert (found.spec.key, found.spec.comment, found.rows) == (("id",), "Made.", 0)
    assert found.spec.schema.field("id").metadata == {b"comment": b"The key."}
    with pytest.raises(AlreadyExists):
        writable.create_table(table, spec, ANA)
    with pytest.raises(Conflict, match="not empty"):
        writable.drop_namespace(space, ANA)
    writable.rename_table(table, TableRef("pixeltable", "made", "ONE"), ANA)
    with pytest.raises(NotFound, match="no namespace"):
        writable.rename_table(table, TableRef("pixeltable", "nowhere", "one"), ANA)
    two = TableRef("pixeltable", "views", "two")
    writable.rename_table(table, two, ANA)
    assert two in writable.tables("views")
    writable.drop_table(two, ANA)
    with pytest.raises(NotFound):
        writable.resolve(two)
    with pytest.raises(InvalidRequest, match="root"):
        writable.drop_namespace(NamespaceRef("pixeltable", "main"), ANA)
    writable.drop_namespace(space, ANA)
    assert "made" not in writable.namespaces()
    with pytest.raises(Conflict, match="views"):
        writable.drop_table(NUMBERS, ANA)


def test_rows_are_changed_where_a_filter_holds(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    columns = {"id": pa.int64(), "x": pa.float64(), "text": pa.string(), "of": pa.json_()}
    table = new_table(columns | {"vector": pa.list_(pa.float32(), 2)})
    many = range(25_000)
    rows = pa.table({"id": many, "x": [n / 2 for n in many], "text": ["a"] * 25_000})
    first = put(writable, table, rows).snapshot
    set_ = {"X": "x + id", "text": "text || 'b'", "of": "'[1]'", "vector": "[1.5, id]"}
    commit = writable.update(table, set_, "id % 5 = 0 AND text LIKE 'a%'", ANA)
    assert (commit.rows, commit.rows_updated) == (5_000, 5_000)
    assert commit.snapshot == writable.resolve(table).snapshot
    expected = {"id": 10, "x": 15.0, "text": "ab", "of": "[1]", "vector": [1.5, 10.0]}
    assert read(writable, table, filter="id = 10").to_pylist() == [expected]
    assert read(writable, table, filter="text = 'ab'").num_rows == 5_000
    before = writable.resolve(table).snapshot
    commit = writable.delete(table, "id >= 1000 AND text <> 'c'", ANA)
    assert (commit.rows, commit.rows_deleted) == (24_000, 24_000)
    # What PostgreSQL can judge is deleted by it, in one version.
    assert commit.snapshot == before + 1
    assert read(writable, table).num_rows == 1000
    before = writable.resolve(table).snapshot
    assert writable.delete(table, "id < 0", ANA).rows == 0
    assert writable.resolve(table).snapshot == before
    assert writable.delete(table, None, ANA).rows_deleted == 1000
    assert read(writable, table, version=first).num_rows == 25_000


def test_what_is_computed_follows(writable: PixeltableEngine) -> None:
    writable.update(NUMBERS, {"x": "100.0"}, "id = 20", ANA)
    assert read(writable, NUMBERS, filter="id = 20")["twice"].to_pylist() == [200.0]
    few = TableRef("pixeltable", "views", "few")
    assert read(writable, few, filter="id = 20")["x"].to_pylist() == [100.0]


@pytest.mark.parametrize(
    ("assignments", "filter", "said"),
    [
        ({"twice": "1"}, None, "'twice' is computed"),
        ({"nmae": "1"}, None, "no column 'nmae'. Did you mean 'name'"),
        ({}, None, "names none"),
        ({"name": "NULL"}, "id = 1", "'name' is declared not null"),
        ({"x": "'much'"}, "id = 1", "'x' has the type double, and string came in"),
        ({"x": "1"}, "id / 0 > 'a'", "Conversion"),
    ],
)
def test_changes_that_cannot_be(
    writable: PixeltableEngine, assignments: dict[str, str], filter: str | None, said: str
) -> None:
    before = writable.resolve(NUMBERS).snapshot
    with pytest.raises(InvalidRequest, match=said):
        writable.update(NUMBERS, assignments, filter, ANA)
    assert writable.resolve(NUMBERS).snapshot == before


@pytest.mark.parametrize(
    ("arrow", "code"),
    [
        (pa.decimal256(10, 2), ErrorCode.UNSUPPORTED_TYPE),
        (pa.list_(pa.month_day_nano_interval()), ErrorCode.UNSUPPORTED_TYPE),
        (pa.struct([("a", pa.int8()), ("A", pa.int8())]), ErrorCode.UNSUPPORTED_TYPE),
        (None, ErrorCode.SCHEMA_MISMATCH),
    ],
)
def test_types_that_it_has_not(writable: PixeltableEngine, arrow: pa.DataType, code: Any) -> None:
    with pytest.raises(PixelflightError) as told:
        writable.create_table(
            TableRef("pixeltable", "main", "odd"),
            TableSpec(pa.schema({"a": arrow} if arrow else {})),
            ANA,
        )
    assert told.value.code is code


def test_large_arrays_of_several_writes_come_in_the_order_of_their_rows(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    large = pa.list_(pa.float32(), 300)
    table = new_table({"n": pa.int64(), "of": large})
    for first in (0, 3):
        # What was known of the table before is not what is there now.
        assert writable.describe(table).rows == first
        rows = [[float(n)] * 300 for n in range(first, first + 3)]
        part = pa.table({"n": range(first, first + 3), "of": pa.array(rows, large)})
        assert put(writable, table, part).snapshot == writable.resolve(table).snapshot
    for n in range(3):
        put(
            writable,
            table,
            pa.table({"n": [10 + n], "of": pa.array([None], pa.list_(pa.float32(), 300))}),
        )
    found = read(writable, table)
    whole = {row["n"]: row["of"] for row in found.to_pylist()}
    assert whole == {n: [float(n)] * 300 for n in range(6)} | dict.fromkeys((10, 11, 12))
    picked = read(writable, table, filter="n IN (4, 1)", order_by="n DESC")["of"].to_pylist()
    assert picked == [[4.0] * 300, [1.0] * 300]
