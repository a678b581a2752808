"""Results of the shell: expanded, into files, by a pager."""

from __future__ import annotations

import json
import pydoc
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.cli.options import Output
from flight_server.cli.shell.printing import Printing, ResultFile
from flight_server.errors import InvalidRequest

ROWS = pa.table({"n": [1, 2], "name": ["fig", None]})


def batches(table: pa.Table = ROWS) -> Iterator[pa.RecordBatch]:
    return iter(table.to_batches())


def shown(printing: Printing, table: pa.Table = ROWS) -> None:
    printing.take(table.schema, batches(table))()


def test_rows_are_shown_one_below_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    shown(Printing(is_expanded=True))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("── row 1 ─")
    assert lines[1:3] == ["n    │ 1", "name │ fig"]
    assert lines[5:] == ["name │ NULL", "2 rows"]


def test_expanded_rows_are_bounded_too(capsys: pytest.CaptureFixture[str]) -> None:
    shown(Printing(is_expanded=True, rows_max=1))
    assert "1 row of 2 shown (\\limit N for more, \\limit 0 for all)" in capsys.readouterr().out


def test_a_table_says_how_to_get_more(capsys: pytest.CaptureFixture[str]) -> None:
    shown(Printing(rows_max=3), pa.table({"n": range(10)}))
    text = capsys.readouterr().out
    assert "3 rows of 10 shown (\\limit N for more, \\limit 0 for all)" in text


def test_long_tables_are_paged(monkeypatch: pytest.MonkeyPatch) -> None:
    paged: list[str] = []
    monkeypatch.setattr(pydoc, "pager", paged.append)
    shown(Printing(pages=True), pa.table({"n": range(500)}))
    shown(Printing(pages=True))
    assert len(paged) == 1
    assert "499" in paged[0]


def test_a_file_takes_results_one_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printing = Printing()
    printing.print_to(ResultFile(tmp_path / "out.jsonl", Output.TABLE))
    shown(printing)
    shown(printing)
    printing.print_to(None)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [1, 2, 1, 2]
    said = capsys.readouterr()
    assert (said.out, said.err.count("2 rows into ")) == ("", 2)


def test_a_file_without_a_known_ending_takes_tables(tmp_path: Path) -> None:
    printing = Printing()
    printing.print_to(ResultFile(tmp_path / "out.txt", Output.TABLE))
    shown(printing)
    printing.print_to(None)
    text = (tmp_path / "out.txt").read_text()
    assert "fig" in text
    assert text.endswith("2 rows\n")


def test_parquet_has_room_for_one_result(tmp_path: Path) -> None:
    printing = Printing()
    printing.print_to(ResultFile(tmp_path / "out.parquet", Output.TABLE))
    shown(printing)
    with pytest.raises(InvalidRequest, match="holds a result already"):
        shown(printing)
    printing.print_to(None)
    assert pq.read_table(tmp_path / "out.parquet").equals(ROWS)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot be written: Is a directory\."):
        ResultFile(tmp_path, Output.TABLE)
