"""Files as they come: what is wrong with them is told row by row, and costs those rows alone."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from flight_server.errors import InvalidRequest, LimitExceeded, PixelflightError
from flight_server.transfer.planning import Target
from flight_server.transfer.readers import ReadOptions, records
from flight_server.transfer.validation import ColumnRules
from tests.fix_imports import ImportedFiles

TYPES = {"id": pa.int64(), "name": pa.string(), "price": pa.float64()}
TARGET = Target(types=TYPES)


def test_rows_of_csv_that_do_not_fit(imported: ImportedFiles) -> None:
    content = b"id,name,price\n1,fig,1.5\nx,pear,2\n3,plum\n4,kiwi,2,9\n5,lime,cheap\n6,,\n"
    read = imported.read("a.csv", content, target=TARGET)
    assert [row["id"] for row in read.rows] == [1, 6]
    assert read.rows[1] == {"id": 6, "name": None, "price": None}
    assert [(one.row, one.column, one.raw) for one in read.rejects] == [
        (2, "id", "x,pear,2"),
        (3, None, "3,plum"),
        (4, None, "4,kiwi,2,9"),
        (5, "price", "5,lime,cheap"),
    ]
    reasons = [one.reason for one in read.rejects]
    assert '"x" is not a whole number' in reasons[0]
    assert reasons[1] == "it has 2 values, and there are 3 columns"
    assert reasons[2] == "it has 4 values, and there are 3 columns"
    assert '"cheap" is not a number' in reasons[3]


def test_quotes_hold_delimiters_line_ends_and_quotes(imported: ImportedFiles) -> None:
    content = b'id,name\n1,"a, ""b""\nc"\n2,5" disk\n3,""\n4,x\n'
    read = imported.read("a.csv", content)
    assert [row["name"] for row in read.rows] == ['a, "b"\nc', '5" disk', "", "x"]
    assert not read.rejects


@pytest.mark.parametrize("size", [7, 16, 33, 64])
def test_a_quote_that_is_not_closed_costs_its_row(
    imported: ImportedFiles, small_blocks: Callable[[int], None], size: int
) -> None:
    small_blocks(size)
    lines = [f"{number},fig" for number in range(1, 40)]
    lines[4] = '5,"never closed'
    read = imported.read("a.csv", "\n".join(["id,name", *lines]).encode() + b"\n")
    assert [one.row for one in read.rejects] == [5]
    assert "quote" in read.rejects[0].reason
    assert read.rejects[0].raw == lines[4]
    assert [row["id"] for row in read.rows] == [n for n in range(1, 40) if n != 5]


def test_a_quote_that_is_not_closed_at_the_end(imported: ImportedFiles) -> None:
    read = imported.read("a.csv", b'id,name\n1,a\n2,"b\n3,c\n')
    assert [row["id"] for row in read.rows] == [1, 3]
    assert [(one.row, one.raw) for one in read.rejects] == [(2, '2,"b')]


def test_a_line_that_is_too_long_is_passed_over(
    imported: ImportedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK_BYTES", 2**16)
    monkeypatch.setattr(records, "RECORD_BYTES_MAX", 2**18)
    content = b"id,name\n1,a\n2," + b"x" * 2**21 + b"\n3,c\n"
    read = imported.read("a.csv", content)
    assert [row["id"] for row in read.rows] == [1, 3]
    [reject] = read.rejects
    assert (reject.row, len(reject.raw) < 70_000) == (2, True)
    assert reject.reason == f"it has {2**21 + 3} bytes, and one row may have {2**18}"
    lines = b'{"id": 1}\n{"id": "' + b"x" * 2**21 + b'"}\n{"id": 3}\n'
    read = imported.read("a.jsonl", lines)
    assert [row["id"] for row in read.rows] == [1, 3]


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-32", None),
        ("latin-1", "latin-1"),
        ("cp1252", "cp1252"),
        ("utf-16-le", "utf-16-le"),
        ("shift-jis", "shift-jis"),
    ],
)
def test_encodings(imported: ImportedFiles, encoding: str, said: str | None) -> None:
    name = "テスト" if encoding == "shift-jis" else "Käse"
    content = f"id,name\n1,{name}\n".encode(encoding)
    read = imported.read("a.csv", content, options=ReadOptions(encoding=said))
    assert read.rows == [{"id": 1, "name": name}]
    lines = json.dumps({"id": 1, "name": name}, ensure_ascii=False).encode(encoding)
    read = imported.read("a.jsonl", lines, options=ReadOptions(encoding=said))
    assert read.rows == [{"id": 1, "name": name}]


def test_rows_in_another_encoding_are_found(imported: ImportedFiles) -> None:
    content = "id,name\n1,fig\n2,Käse\n3,kiwi\n".encode("latin-1")
    read = imported.read("a.csv", content)
    assert read.told == [(2, "name", "it is not UTF-8: the byte 0xE4")]
    assert [row["id"] for row in read.rows] == [1, 3]
    wrong = "id,name\n1,fig\n2,テ".encode("shift-jis") + b"\xff\xff\n3,kiwi\n"
    read = imported.read("a.csv", wrong, options=ReadOptions(encoding="shift-jis"))
    assert [one.row for one in read.rejects] == [2]


def test_headers_that_name_nothing(imported: ImportedFiles) -> None:
    for header, told in (
        (b"id,\n", "without a name"),
        (b"id,ID\n", "twice"),
        (b"", "is empty"),
        ("id,Käse\n".encode("latin-1"), "not UTF-8"),
    ):
        with pytest.raises(InvalidRequest, match=told):
            imported.read("a.csv", header + b"1,2\n" * bool(header))


def test_dialects(imported: ImportedFiles) -> None:
    read = imported.read("a.csv", b"id;name\r\n1;a,b\r\n\r\n2;c\r\n")
    assert read.rows == [{"id": 1, "name": "a,b"}, {"id": 2, "name": "c"}]
    read = imported.read("a.tsv", b"id\tname\n1\ta\n")
    assert read.rows == [{"id": 1, "name": "a"}]
    read = imported.read("a.csv", b"id,name\r1,a\r2,b\r")
    assert [row["id"] for row in read.rows] == [1, 2]
    options = ReadOptions(header=False, null_values=("NA",), skip_rows=1)
    read = imported.read("a.csv", b"# made by hand\n1,NA\n2,b\n", options=options)
    assert read.rows == [{"column_1": 1, "column_2": None}, {"column_1": 2, "column_2": "b"}]
    options = ReadOptions(quote="'")
    read = imported.read("a.csv", b"id,name\n1,'a,b'\n", options=options)
    assert read.rows == [{"id": 1, "name": "a,b"}]


def test_rows_that_the_sample_cuts_say_nothing_of_types(imported: ImportedFiles) -> None:
    for pad in range(12):
        content = b"id,day" + b"x" * pad + b"\n" + b"1,2026-01-31\n" * 90_000
        assert imported.read("a.csv", content).schema.types == [pa.int64(), pa.date32()]


def test_files_without_a_row_that_is_whole(imported: ImportedFiles) -> None:
    read = imported.read("a.csv", b"id,name\n1\n2,a,b\n", target=Target(types={"id": pa.int64()}))
    assert [one.row for one in read.rejects] == [1, 2]
    with pytest.raises(InvalidRequest, match="does not end"):
        imported.read("a.csv", b"x" * 2**21)


def test_values_that_are_not_utf8_are_told_by_their_column(imported: ImportedFiles) -> None:
    read = imported.read("a.csv", b'id,name,price\n1,"a,b",\xff\n2,"\xe4,",3\n', target=TARGET)
    assert [(one.row, one.column) for one in read.rejects] == [(1, "price"), (2, "name")]
    ignored = Target(types={"id": pa.int64()}, mapping={"name": None, "price": None})
    read = imported.read("a.csv", b"id,name,price\n1,\xff,\nx,b,2\n", target=ignored)
    assert ([row["id"] for row in read.rows], [one.row for one in read.rejects]) == ([1], [2])


def test_returns_alone_end_lines(imported: ImportedFiles) -> None:
    read = imported.read("a.csv", b'id,name\n1,a\r2,b\r3,"open\r4,d\r')
    assert [row["id"] for row in read.rows] == [1, 2, 4]
    assert [(one.row, one.raw) for one in read.rejects] == [(3, '3,"open')]


@pytest.mark.parametrize(
    ("name", "head", "line"),
    [
        ("a.csv", "id,name,price\n1,a,2\n", "3\n"),
        ("a.csv", "id,name,price\n1,a,2\n", '"3\n4"\n'),
        ("a.csv", "id,name,price\n1,a,2\n", "x,b,2\n"),
        ("a.jsonl", '{"id": 1}\n', '{"id": "x"}\n'),
    ],
)
def test_much_that_is_wrong_is_told_bit_by_bit(
    imported: ImportedFiles, name: str, head: str, line: str
) -> None:
    # More than two parts that are told by their number, or by the bytes of what they quote.
    count = min(2**19 // len(line), 12_000 if line == "x,b,2\n" else 110_000)
    content = (head + line * count).encode()
    read = imported.read(name, content, target=TARGET)
    assert [row["id"] for row in read.rows] == [1]
    assert [one.row for one in read.rejects] == list(range(2, count + 2))
    assert max(len(part.rejects) for part in read.parts) < 50_000
    starts = [part.begin for part in read.parts]
    again = imported.read(name, content, target=TARGET, start=starts[-1])
    assert again.rejects == read.parts[-1].rejects


def test_mixed_types_in_json(imported: ImportedFiles) -> None:
    lines = [
        '{"id": 1, "name": "fig", "price": 1}',
        '{"id": 2.5, "name": "pear"}',
        '["id", 3]',
        '{"id": 4, "name": 7}',
        '{"id": 5, "colour": "red"}',
        '{"id": 6, "price": 2.5',
        '{"ID": 7}',
    ]
    read = imported.read("a.jsonl", "\n".join(lines).encode(), target=TARGET)
    assert [row["id"] for row in read.rows] == [1, 7]
    assert [(one.row, one.column) for one in read.rejects] == [
        (2, "id"),
        (3, None),
        (4, "name"),
        (5, "colour"),
        (6, None),
    ]
    assert [one.raw for one in read.rejects] == lines[1:6]


def test_json_lists_and_objects_over_several_lines(
    imported: ImportedFiles, small_blocks: Callable[[int], None]
) -> None:
    chosen = random.Random(7)
    rows = [
        {"id": n, "name": chosen.choice(['a "q" \\', "b,\n{[", "]}", "é\u2028"]), "tags": [n, [n]]}
        for n in range(50)
    ]
    for size in (5, 64, 2**20):
        small_blocks(max(size, 64))
        for indent in (None, 2):
            read = imported.read("a.json", json.dumps(rows, indent=indent).encode())
            found = [
                {**row, "tags": json.loads(row["tags"])} if isinstance(row["tags"], str) else row
                for row in read.rows
            ]
            assert [(row["id"], row["name"]) for row in found] == [
                (row["id"], row["name"]) for row in rows
            ]
        text = "\n".join(json.dumps(row, indent=1) for row in rows)
        assert len(imported.read("a.json", text.encode()).rows) == len(rows)


def test_json_that_is_cut_or_goes_on(imported: ImportedFiles) -> None:
    for content, told in (
        (b'[{"id": 1}, {"id": 2', "does not end"),
        (b'[{"id": 1}] [{"id": 2}]', "goes on"),
        (b'[{"id": 1}]]', "closed"),
        (b'"id"', "begins with neither"),
        (b"", "no row"),
    ):
        with pytest.raises(InvalidRequest, match=told):
            imported.read("a.json", content)


def test_json_that_is_nested_without_end(imported: ImportedFiles) -> None:
    deep = b'{"id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    read = imported.read("a.jsonl", b'{"id": 1}\n' + deep + b"\n", target=TARGET)
    assert [one.row for one in read.rejects] == [2]


def workbook(rows: list[list[object]]) -> bytes:
    target = io.BytesIO()
    with xlsxwriter.Workbook(target) as book:
        sheet = book.add_worksheet("Fruit")
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for at, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, tuple):
                    sheet.write_formula(at, column, value[0], None, value[1])
                elif hasattr(value, "year"):
                    sheet.write_datetime(at, column, value, day)
                else:
                    sheet.write(at, column, value)
    return target.getvalue()


def test_spreadsheets_with_formulas_dates_and_errors(imported: ImportedFiles) -> None:
    day = dt.date(2026, 1, 31)
    content = workbook(
        [
            ["id", "name", "price", "day", "twice"],
            [1, "fig", 1.5, day, ("=A2*2", 2)],
            [2, "pear", ("=1/0", "#DIV/0!"), day, ("=A3*2", 4)],
            ["three", "plum", 3, day, ("=A4*2", 6)],
            [4, "kiwi", 4, "soon", 8],
        ]
    )
    types = {"id": pa.int64(), "day": pa.date32(), "twice": pa.int64(), "price": pa.float64()}
    read = imported.read("a.xlsx", content, target=Target(types=types))
    assert read.rows == [{"id": 1, "name": "fig", "price": 1.5, "day": day, "twice": 2}]
    assert [(one.row, one.column) for one in read.rejects] == [(2, "price"), (3, "id"), (4, "day")]
    assert read.rejects[0].reason == "the cell holds the error #DIV/0!"
    assert json.loads(read.rejects[1].raw)["id"] == "three"
    assert imported.read("a.xlsx", options=ReadOptions(sheet="Fruit")).table.num_rows == 4 - 1
    with pytest.raises(InvalidRequest, match=r"no sheet 'Frit'. Did you mean 'Fruit'"):
        imported.read("a.xlsx", options=ReadOptions(sheet="Frit"))


def test_bombs(imported: ImportedFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fix_imports.UNPACKED_MAX", 2**24)
    bomb = b"id,name\n" + b"1,x\n" * 2**23
    with pytest.raises(LimitExceeded, match="decompresses to more"):
        imported.read("a.csv.gz", gzip.compress(bomb, 1))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", bomb)
    with pytest.raises(LimitExceeded, match="decompresses to more"):
        imported.read("a.csv.zip", packed.getvalue())
    sheet = io.BytesIO()
    with zipfile.ZipFile(sheet, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (129 * 2**20))
    with pytest.raises(LimitExceeded, match="unpacks to more"):
        imported.read("a.xlsx", sheet.getvalue())


def test_workbooks_with_a_cell_far_away(imported: ImportedFiles) -> None:
    target = io.BytesIO()
    with xlsxwriter.Workbook(target) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "id")
        sheet.write(1_048_575, 16_383, "far")
    with pytest.raises(LimitExceeded, match="one that stands far away"):
        imported.read("a.xlsx", target.getvalue(), memory_max=2**28)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"PAR1 no PAR1"),
        ("a.parquet", b""),
        ("a.arrow", b"ARROW1"),
        ("a.arrow", b"no arrow at all"),
        ("a.xlsx", b"PK\x03\x04 broken"),
        ("a.xlsx", b""),
        ("a.csv.gz", b"\x1f\x8b broken"),
        ("a.csv.zip", b"PK"),
        ("a.csv.gz", gzip.compress(b"id\n" + b"1\n" * 9999, mtime=0)[:-9]),
    ],
)
def test_damaged_files(imported: ImportedFiles, name: str, content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot be read as|is empty"):
        imported.read(name, content)


def test_any_damage_ends_in_an_error_of_ours(imported: ImportedFiles) -> None:
    table = pa.table({"id": range(500), "name": [f"n{n % 7}" for n in range(500)]})
    chosen = random.Random(11)
    for name in ("a.parquet", "a.arrow", "a.arrows"):
        target = io.BytesIO()
        if name == "a.parquet":
            pq.write_table(table, target)
        else:
            make = pa.ipc.new_file if name == "a.arrow" else pa.ipc.new_stream
            with make(target, table.schema) as writer:
                writer.write_table(table)
        whole = target.getvalue()
        for _ in range(60):
            broken = bytearray(whole)
            for _ in range(chosen.randint(1, 4)):
                broken[chosen.randrange(len(broken))] = chosen.randrange(256)
            cut = chosen.choice([len(broken), chosen.randrange(len(broken))])
            with contextlib.suppress(PixelflightError):
                imported.read(name, bytes(broken[:cut]))


def test_rules_and_keys(imported: ImportedFiles) -> None:
    content = b"id,name,price\n1,fig,1\n2,,2\n3,plum,-1\n1,kiwi,3\n5,x,4\n6,lime,5000\n7,FIG,6\n"
    rules = {
        "price": ColumnRules(minimum=0, maximum=1000),
        "name": ColumnRules(is_nullable=False, length_min=2, pattern="^[a-z]+$"),
        "id": ColumnRules(allowed=[1, 2, 3, 4, 5, 6, 7]),
    }
    read = imported.read("a.csv", content, target=TARGET, rules=rules, keys=[("id",)])
    assert [row["id"] for row in read.rows] == [1]
    assert read.told == [
        (2, "name", "it must not be null"),
        (3, "price", "-1.0 is below 0, the least that is allowed"),
        (4, "id", "the value of id came before"),
        (5, "name", '"x" is shorter than 2'),
        (6, "price", "5000.0 is above 1000, the most that is allowed"),
        (7, "name", '"FIG" does not match ^[a-z]+$'),
    ]
    assert [one.raw for one in read.rejects][2] == "1,kiwi,3"
