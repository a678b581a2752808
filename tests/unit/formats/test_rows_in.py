"""Rows that do not fit are told by their number, or left out and listed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.formats import json_lines
from flight_server.formats.arrow_streams import ERROR, ArrowWriter, read_arrow
from flight_server.formats.csv_lines import read_csv_lines
from flight_server.formats.csv_rows import CsvWriter
from flight_server.formats.fitting import Fitting, Report
from flight_server.formats.json_lines import read_json_lines
from flight_server.formats.json_rows import JsonWriter

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("x", pa.float32()),
        pa.field("t", pa.timestamp("us")),
        pa.field("z", pa.timestamp("us", "UTC")),
        pa.field("b", pa.binary()),
        pa.field("m", pa.map_(pa.string(), pa.int8())),
        pa.field("n", pa.int8()),
    ]
)
Read = Callable[[Any, Fitting], tuple[pa.Schema, Iterator[pa.RecordBatch]]]


def come(read: Read, data: bytes, report: Report | None = None) -> list[dict[str, Any]]:
    schema, batches = read(io.BytesIO(data), Fitting(SCHEMA, report))
    rows: list[dict[str, Any]] = pa.Table.from_batches(list(batches), schema).to_pylist()
    return rows


def why_not(read: Read, data: bytes) -> str:
    with pytest.raises(InvalidRequest) as caught:
        come(read, data)
    assert caught.value.code in (ErrorCode.INVALID_DATA, ErrorCode.SCHEMA_MISMATCH)
    return caught.value.message


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('{"id":1}\n{"id":"a"}', "Row 2, column 'id': \"a\" is not a whole number"),
        ('{"id":1.5}', "Row 1, column 'id': \"1.5\" is not a whole number"),
        ('{"id":true}', "column 'id': true is not a whole number"),
        ('{"id":1}\n\n{"id":null}', "Row 2, column 'id': it must not be null"),
        ('{"id":1,"idd":2}', "no column 'idd'. Did you mean 'id'?"),
        ('{"id":1,"ID":2}', "stands there twice"),
        ('{"id":1}\n{', "Line 2 is not JSON"),
        ("[1]", "Line 1 is a list"),
        ('{"id":1}\n2', "Line 2 is a number"),
        ('{"id":NaN}', 'write "NaN"'),
        ('{"id":1}\n{"id":2,"x":1}', ""),
        ('{"id":1,"x":1e39}', "range"),
        ('{"id":1,"x":"1e999"}', "range"),
        ('{"id":1,"x":"a"}', "is not a number"),
        ('{"id":1,"t":"2020-13-01"}', "column 't': \"2020-13-01\" is not a timestamp"),
        ('{"id":1,"t":5}', "5 is not text"),
        ('{"id":1,"z":"2020-01-01T00:00:00"}', "names no zone"),
        ('{"id":1,"b":"%%"}', "is not base64"),
        ('{"id":1,"m":{"a":300}}', "in 'value', 300 is not between -128 and 127"),
        ('{"id":1,"m":3}', "3 is not a list"),
        ('{"id":1,"n":128}', "128 is not between -128 and 127"),
        ('{"id":1,"m":[{"key":null,"value":1}]}', "'key' must not be null"),
        ('{"id":"\\ud800"}', "is not a whole number"),
        ("\xff".encode("latin-1").decode("latin-1"), "is not JSON"),
    ],
)
def test_json_lines_say_what_is_wrong(data: str, told: str) -> None:
    if not told:
        assert len(come(read_json_lines, data.encode())) == 2
        return
    assert told in why_not(read_json_lines, data.encode("latin-1"))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("id,x\n1,a\n", "Row 1, column 'x': \"a\" is not a number"),
        ("id,x\n1\n", "Row 1 of the CSV does not fit: it has 1 values"),
        ("id,x\n1,2\n1,2,3\n", "Row 2 of the CSV does not fit: it has 3 values"),
        ("id,y\n1,2\n", "no column 'y'"),
        ("id,id\n1,2\n", "stands there twice"),
        ('id,x\n1,"2\n', "ends within quotes"),
        ('id,x\n1,2\n3,"', "ends within quotes"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("id,x\n,2\n", "Row 1, column 'id': it must not be null"),
        ("id,n\n1,300\n", "300"),
        ("id,m\n1,x\n", "is not JSON"),
        ("id,t\n1,soon\n", "is not a timestamp"),
    ],
)
def test_csv_says_what_is_wrong(data: str, told: str) -> None:
    assert told in why_not(read_csv_lines, data.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    assert "UTF-8" in why_not(read_csv_lines, b"\xff,x\n1,2\n")
    assert "UTF8" in why_not(read_csv_lines, b"id,x\n1,\xff\n")
    assert "UTF-8" in why_not(read_json_lines, b'{"id": "\xff"}')


def test_wrong_rows_are_left_out_and_listed() -> None:
    report = Report()
    lines = b'{"id":1}\n{"id":"a"}\n{"id":3,"x":"NaN"}\n{"x":1}\n{"id":5,"x":"b"}'
    assert [row["id"] for row in come(read_json_lines, lines, report)] == [1, 3]
    assert [(one["row"], one["column"]) for one in report.listed] == [
        (2, "id"),
        (4, "id"),
        (5, "x"),
    ]
    report = Report()
    assert come(read_csv_lines, b"id,x\n1,a\n2,3\n4\n,5\n6,7\n8,b\n", report) == [
        {"id": 2, "x": 3.0},
        {"id": 6, "x": 7.0},
    ]
    assert sorted(one["row"] for one in report.listed) == [1, 3, 4, 6]
    assert report.skipped == 4


def test_columns_are_those_of_the_first_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert come(read_json_lines, b'{"ID":1}\n{"id":2,"x":1}') == [
        {"id": 1, "x": None},
        {"id": 2, "x": 1.0},
    ]
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 9)
    lines = b'{"id":1}\n{"id":2}\n{"id":3,"x":1}'
    assert "Row 3 has the column 'x'" in why_not(read_json_lines, lines)


def test_values_are_taken_in_more_shapes_than_they_are_given() -> None:
    [row] = come(
        read_json_lines,
        b'{"id":"9007199254740993","x":"-inf","t":"2020-01-01t00:00:00+02:00",'
        b'"z":"2020-01-01 00:00:00-01:00","m":{"a":1}}',
    )
    assert row["id"] == 9007199254740993
    assert (row["x"], row["m"]) == (float("-inf"), [("a", 1)])
    assert str(row["t"]) == "2019-12-31 22:00:00"
    assert str(row["z"]) == "2020-01-01 01:00:00+00:00"
    [row] = come(read_csv_lines, b'\xef\xbb\xbfid,x,b\r\n"1","",""\r\n')
    assert row == {"id": 1, "x": None, "b": b""}


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(-(2**63), 2**63 - 1),
            "x": st.none() | st.floats(width=32),
            "s": st.none() | st.text(max_size=20),
            "l": st.none() | st.lists(st.none() | st.floats(), max_size=3),
            "o": st.none() | st.fixed_dictionaries({'"q"': st.none() | st.binary(max_size=4)}),
        }
    ),
    max_size=8,
)
MIXED = pa.schema(
    [
        ("id", pa.int64()),
        ("x", pa.float32()),
        ("s", pa.string()),
        ("l", pa.list_(pa.float64())),
        ("o", pa.struct([('"q"', pa.binary())])),
    ]
)


@given(ROWS)
def test_any_rows_come_back(rows: list[dict[str, Any]]) -> None:
    batch = pa.RecordBatch.from_pylist(rows, MIXED)
    lines = b"".join(JsonWriter(MIXED).rows(batch))
    csv = b"".join(CsvWriter(MIXED).rows(batch))
    for read, data in ((read_json_lines, lines), (read_csv_lines, csv)):
        schema, batches = read(io.BytesIO(data), Fitting(MIXED))
        found = pa.Table.from_batches(list(batches), schema)
        # NaN is not itself, but its text is.
        assert repr(found.to_pylist()) == repr(batch.to_pylist() if rows else [])


def stream(*batches: pa.RecordBatch, whole: bool = True) -> bytes:
    writer = ArrowWriter(MIXED)
    pieces = [*writer.begin(), *(piece for batch in batches for piece in writer.rows(batch))]
    return b"".join(pieces + (writer.end() if whole else []))


def test_a_stream_that_is_cut_is_refused_wherever_it_is_cut() -> None:
    batch = pa.RecordBatch.from_pylist([{"id": 1}, {"id": 2}], MIXED)
    whole = stream(batch, batch)
    assert read_arrow(io.BytesIO(whole)).read_all().num_rows == 4
    for end in range(0, len(whole) - 8, 7):
        with pytest.raises(InvalidRequest) as caught:
            read_arrow(io.BytesIO(whole[:end])).read_all()
        assert caught.value.code is ErrorCode.INVALID_DATA
    with pytest.raises(InvalidRequest, match="mark of its end"):
        read_arrow(io.BytesIO(stream(batch, whole=False))).read_all()


def test_what_is_no_stream_or_a_crafted_one_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="does not begin with an Arrow schema"):
        read_arrow(io.BytesIO(b"hello, this is no arrow"))
    sink = pa.BufferOutputStream()
    batch = pa.record_batch({"s": ["x", "yz"]})
    with pa.ipc.new_file(sink, batch.schema) as file:
        file.write_batch(batch)
    with pytest.raises(InvalidRequest, match="is an Arrow file, and a stream is needed"):
        read_arrow(io.BytesIO(sink.getvalue()))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    good = sink.getvalue().to_pybytes()
    offsets = b"".join(number.to_bytes(4, "little") for number in (0, 1, 3))
    assert offsets in good
    crafted = good.replace(offsets, offsets[:8] + b"\xff\xff\xff\x7f")
    with pytest.raises(InvalidRequest, match="Batch 1 of the stream is corrupt"):
        read_arrow(io.BytesIO(crafted)).read_all()


def test_an_error_of_the_source_is_raised_as_it_was() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise InvalidRequest("it broke")

    with pytest.raises(InvalidRequest, match="it broke"):
        read_arrow(Broken())


def test_an_error_in_a_stream_is_a_batch_without_rows_and_no_end() -> None:
    writer = ArrowWriter(MIXED)
    data = b"".join([*writer.begin(), *writer.error({"code": "internal"})])
    reader = pa.ipc.open_stream(data)
    batch, metadata = reader.read_next_batch_with_custom_metadata()
    assert batch.num_rows == 0
    assert json.loads(metadata[ERROR]) == {"code": "internal"}
    with pytest.raises(InvalidRequest, match="mark of its end"):
        read_arrow(io.BytesIO(data)).read_all()
