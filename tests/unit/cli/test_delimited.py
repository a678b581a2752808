"""CSV in: types, delimiters, nulls, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from flight_server.arrow_types import parse_type
from flight_server.cli.formats import Hints, InputFile, delimited, format_of, open_source
from flight_server.errors import ErrorCode, InvalidRequest


def read(path: Path, content: bytes | str, hints: Hints | None = None) -> pa.Table:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    file = InputFile(str(path), *format_of(str(path)))
    return open_source([file], hints or Hints()).reader().read_all()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def test_types_are_inferred(path: Path) -> None:
    table = read(path, "i,f,s,d,t\n1,1.5,x,2024-01-01,2024-01-01T10:00:00Z\n,,,,\n")
    assert [str(field.type) for field in table.schema] == [
        "int64",
        "double",
        "string",
        "date32[day]",
        "timestamp[s, tz=UTC]",
    ]
    assert [list(row.values())[:3] for row in table.to_pylist()] == [
        [1, 1.5, "x"],
        [None, None, None],
    ]


def test_an_empty_field_is_null_and_empty_quotes_are_empty_text(path: Path) -> None:
    known = {"i": pa.int64(), "s": pa.string()}
    for hints in (Hints(), Hints(types=known)):
        table = read(path, 'i,s\n1,x\n2,\n,""\n', hints)
        assert table.to_pydict() == {"i": [1, 2, None], "s": ["x", None, ""]}


def test_nothing_else_is_null_that_was_not_named(path: Path) -> None:
    table = read(path, "s,f\nNA,nan\nnull,NaN\n")
    assert table.column("s").to_pylist() == ["NA", "null"]
    assert [str(value) for value in table.column("f").to_pylist()] == ["nan", "nan"]


def test_empty_quotes_are_null_where_that_is_asked_for(path: Path) -> None:
    with pytest.raises(InvalidRequest, match="--null ''"):
        read(path, '"i"\n"1"\n""\n', Hints(types={"i": pa.int64()}))
    table = read(path, '"i","s"\n"1","a"\n"",""\n', Hints(nulls=("",)))
    assert table.to_pydict() == {"i": [1, None], "s": ["a", None]}


@pytest.mark.parametrize("text", ["x\n{}\n\n{}\n\n", "\r\n\r\nx\r\n{}\r\n\r\n{}\r\n\r\n"])
@pytest.mark.parametrize("value", ["1", "a"])
def test_an_empty_line_is_a_row_of_one_column(path: Path, text: str, value: str) -> None:
    table = read(path, text.format(value, value))
    assert [row and str(row) for row in table.column("x").to_pylist()] == [value, None, value, None]
    assert len(read(path, "x,y\n1,2\n\n3,4\n\n")) == 2


def test_a_type_seen_late_is_seen_all_the_same(path: Path) -> None:
    lines = "".join(f"{i}\n" for i in range(1_000_000))
    assert len(lines) > delimited.BLOCK_BYTES
    table = read(path, f"x\n{lines}1.5\n")
    assert table.schema.field("x").type == pa.float64()
    assert len(table) == 1_000_001


def test_a_column_without_values_is_text(path: Path) -> None:
    assert read(path, "a,b\n1,\n2,\n").schema.field("b").type == pa.string()
    assert read(path, "a,b\n").schema.types == [pa.string(), pa.string()]


def test_the_table_that_exists_gives_the_types(path: Path) -> None:
    known = {"A": pa.int32(), "b": pa.string(), "l": pa.list_(pa.int64())}
    table = read(path, "a,b,l\n1,007,x\n", Hints(types=known))
    assert table.schema.types == [pa.int32(), pa.string(), pa.string()]
    assert table.to_pylist() == [{"a": 1, "b": "007", "l": "x"}]


def test_a_chosen_type_counts_most(path: Path) -> None:
    hints = Hints(types={"a": pa.int32()}, chosen={"a": pa.string()})
    assert read(path, "a\n007\n", hints).to_pylist() == [{"a": "007"}]


def test_a_spelling_of_null_counts_in_text_too_unless_quoted(path: Path) -> None:
    table = read(path, 'n,s\nNA,NA\n1,"NA"\n', Hints(nulls=("NA",)))
    assert table.to_pylist() == [{"n": None, "s": None}, {"n": 1, "s": "NA"}]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_header_shows_the_delimiter(path: Path, mark: str) -> None:
    assert read(path, f"a{mark}b\n1{mark}2\n").to_pylist() == [{"a": 1, "b": 2}]


def test_values_may_hold_lines_and_delimiters(path: Path) -> None:
    text = 'a,b\n1,"two\nlines, one value"\n'
    assert read(path, text).to_pylist() == [{"a": 1, "b": "two\nlines, one value"}]


GOOD = "1,y\n" * 300_000


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('a,b\n1,"x\n2,y\n3,z\n', 2),
        ('a,b\n"1\n2",x\n"3\n4","y\n5,z', 5),
        ('a,b\n1,x\n"2,y\n', 3),
        ('a,"b\n1,x\n', 1),
        ('a\n1\n"2\n', 3),
        (f'a,b\n{GOOD}1,"x\n{GOOD}', 300_002),
        (f'a,b\n{GOOD}1,"x\n{GOOD * 10}', 300_002),
        (f'a,b\n{GOOD}"1,x\n{GOOD * 20}', 300_002),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_quote_that_is_not_closed_is_told_with_its_line(
    path: Path, content: str, line: int
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(path, content)
    assert f"data.csv, line {line}: the quote that opens here is not" in caught.value.message
    assert caught.value.code is ErrorCode.INVALID_DATA


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("value", ['5" pipe', '"5"" pipe"', '"5 pipe"', '""""'])
def test_quotes_within_a_value_are_its_own(path: Path, value: str, end: str) -> None:
    expected = value[1:-1].replace('""', '"') if value.startswith('"') else value
    assert read(path, f"a,b\n1,x\n2,{value}{end}").to_pylist()[1] == {"a": 2, "b": expected}


def test_a_row_longer_than_can_be_read_is_told(path: Path) -> None:
    with pytest.raises(InvalidRequest, match="a row longer than 4194304 bytes"):
        read(path, f'a,b\n1,x\n2,"{GOOD * 10}"\n')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3,4,5\n", "data.csv, line 3: 3 values, but the header names 2 columns."),
        ("", "is empty; a CSV file begins with a line of column names."),
        ("a,a\n1,2\n", "names the column 'a' 2 times."),
        ("a,,b\n1,2,3\n", "holds a column without a name."),
        (b"Gr\xf6\xdfe,b\n1,2\n", "is not UTF-8. Convert it first, for example: iconv -f latin1"),
        ("a,b\n1,x\n".encode("utf-16"), "is UTF-16. Convert it first: iconv -f utf-16 -t utf-8"),
        ("a,b\n1,x\n".encode("utf-16-be"), "is UTF-16. Convert it first: iconv -f utf-16be"),
        (b"PAR1\x15\x04\xff", "is a Parquet file, whatever its name says: --format parquet"),
        (b"ARROW1\0\0\xff\xff", "is an Arrow file, whatever its name says: --format arrow"),
        (b"a\nM\xfcller\n", "is not UTF-8. Convert it first, for example: iconv -f latin1"),
    ],
)
def test_what_is_no_csv_is_told_with_its_place(
    path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(path, content)
    assert message in caught.value.message
    assert caught.value.code is ErrorCode.INVALID_DATA


@pytest.mark.parametrize(
    ("value", "advice"), [("1.5", "double"), ("1e3", "double"), ("x", "string")]
)
def test_the_type_that_is_advised_holds_both(path: Path, value: str, advice: str) -> None:
    with pytest.raises(InvalidRequest, match=f"--type 'x={advice}'"):
        read(path, f"x\n1\n{value}\n", Hints(types={"x": pa.int64()}))
    assert len(read(path, f"x\n1\n{value}\n", Hints(chosen={"x": parse_type(advice)}))) == 2


def test_a_value_that_does_not_fit_is_told_with_line_column_and_remedy(path: Path) -> None:
    known = {"id": pa.int64(), "name": pa.string()}
    with pytest.raises(InvalidRequest) as caught:
        read(path, 'id,name\n1,"a\nb"\nx1,c\n', Hints(types=known))
    message = caught.value.message
    assert "data.csv, line 4: the column 'id' is int64, but here it holds 'x1'." in message
    assert "--null 'x1'" in message
    assert "--type 'id=string'" in message
