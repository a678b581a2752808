"""Which files a command line means, and what is said of those it cannot mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flight_server.cli.formats import find_files, format_of
from flight_server.errors import InvalidRequest, NotFound, PixelflightError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.csv", "a.csv", "flights.csv.gz", "odd[1].csv"):
        (tmp_path / name).write_bytes(b"x\n1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.csv", ("csv", None)),
        ("a.TSV", ("csv", None)),
        ("a.csv.gz", ("csv", "gzip")),
        ("a.jsonl.zst", ("json", "zstd")),
        ("a.ndjson", ("json", None)),
        ("a.pq", ("parquet", None)),
        ("a.feather", ("arrow", None)),
        ("a.2024.csv.bz2", ("csv", "bz2")),
        ("a.csv.zip", ("csv", "zip")),
    ],
)
def test_the_ending_tells_format_and_compression(
    path: str, expected: tuple[str, str | None]
) -> None:
    assert format_of(path) == expected


def test_a_format_that_is_named_counts_more_than_the_ending() -> None:
    assert format_of("a.txt", "csv") == ("csv", None)
    assert format_of("a.txt.gz", "csv") == ("csv", "gzip")


def test_patterns_are_sorted_and_paths_are_taken_as_they_are() -> None:
    assert [file.path for file in find_files(["?.csv"], None)] == ["a.csv", "b.csv"]
    assert [file.path for file in find_files(["b.csv", "a.csv"], None)] == ["b.csv", "a.csv"]
    assert [file.path for file in find_files(["odd[1].csv"], None)] == ["odd[1].csv"]


@pytest.mark.parametrize(
    ("pattern", "format", "kind", "message"),
    [
        ("a.cvs", None, NotFound, "The file 'a.cvs' does not exist. Did you mean 'a.csv'?"),
        ("x*.csv", None, NotFound, "No file matches 'x*.csv'."),
        (".", None, InvalidRequest, "'.' is a folder. Name its files: './*.parquet'."),
        ("-", None, InvalidRequest, "Say what comes on standard input: --format csv"),
        ("a.csv", "cvs", InvalidRequest, "There is no format 'cvs'. Did you mean 'csv'? Formats"),
    ],
)
def test_mistakes_are_told_with_the_remedy(
    pattern: str, format: str | None, kind: type[PixelflightError], message: str
) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        find_files([pattern], format)


def test_an_unknown_ending_lists_the_formats(folder: Path) -> None:
    (folder / "book.xlsx").write_bytes(b"")
    with pytest.raises(InvalidRequest) as caught:
        find_files(["book.xlsx"], None)
    for word in ("'book.xlsx'", "ends in '.xlsx'", ".parquet", ".jsonl", ".arrow", "--format"):
        assert word in caught.value.message


def test_standard_input_is_given_once() -> None:
    with pytest.raises(InvalidRequest, match="once only"):
        find_files(["-", "-"], "csv")
