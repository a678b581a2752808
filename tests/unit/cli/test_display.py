"""Tables for people: they fit, say what they leave out, and obey nothing in the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pyarrow as pa
import pytest

from flight_server.cli.display import COUNTED_MAX, ROWS_OFF_TERMINAL, show, show_records
from flight_server.cli.options import Output


def shown(capsys: pytest.CaptureFixture[str], table: pa.Table, rows_max: int | None = None) -> str:
    show(table.schema, table.to_batches(), Output.TABLE, rows_max)
    return capsys.readouterr().out


def test_a_table_shows_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, pa.table({"n": [1, None], "s": ["[bold]x", "y"]}))
    assert "NULL" in text
    assert "[bold]x" in text
    assert text.rstrip().endswith("2 rows")


def test_rows_that_do_not_fit_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, pa.table({"n": range(1000)}))
    assert f"{ROWS_OFF_TERMINAL} rows of 1,000 shown (--limit for more" in text
    assert " 39 " in text
    assert " 40 " not in text.split("shown")[0].replace("40 rows", "")


def test_zero_shows_all(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, pa.table({"n": range(100)}), rows_max=0)
    assert "99" in text
    assert "100 rows" in text


def test_counting_ends_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    read = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal read
        while True:
            read += 1
            yield pa.record_batch([pa.array(range(500_000))], names=["n"])

    show(pa.schema([("n", pa.int64())]), batches(), Output.TABLE, 2)
    assert f"more than {COUNTED_MAX:,} others" in capsys.readouterr().out
    assert read == 3


def test_columns_that_do_not_fit_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, pa.table({f"column_{i:02}": ["x" * 20] for i in range(30)}))
    assert "7 of 30 columns shown" in text
    assert "column_06" in text
    assert "column_07" not in text


def test_what_a_terminal_would_obey_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, pa.table({"a\x1b[31m": ["two\nlines\x1b]0;title\x07"]}))
    assert "\x1b" not in text
    assert r"two\nlines\x1b]0;title\x07" in text


def test_long_values_are_cut_and_nested_ones_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, pa.table({"s": ["x" * 100], "l": [[1, 2]], "b": [b"\x01\xff"]}))
    assert "x" * 41 + "…" in text
    assert "[1, 2]" in text
    assert "01ff" in text


def test_records_are_whole_and_in_any_form(capsys: pytest.CaptureFixture[str]) -> None:
    schema = pa.schema([("at", pa.timestamp("s", "UTC")), ("text", pa.string())])
    records = [{"at": dt.datetime(2024, 1, 2, tzinfo=dt.UTC), "text": "long " * 60}]
    show_records(records, schema, Output.TABLE)
    text = capsys.readouterr().out
    assert "2024-01-02 00:00:00Z" in text
    assert text.count("long") == 60


def test_a_table_without_rows_has_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, pa.table({"n": pa.array([], pa.int64())}))
    assert "n" in text
    assert "0 rows" in text


def test_a_plan_is_shown_as_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown(capsys, pa.table({"plan": ["SCAN\n  · \x1b[1mt"]})) == "SCAN\n  · \\x1b[1mt\n"
