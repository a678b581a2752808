"""CSV of any kind: what is read in blocks is what a reader that looks at each byte reads.

The reader takes records to be lines until they are not, asks Arrow for whole blocks, and cuts them
by counting quotes. The one here does none of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flight_server.transfer.planning import Target, plan_for
from flight_server.transfer.readers import Block, ReadOptions, open_reader, records
from flight_server.transfer.readers.texts import File
from flight_server.transfer.sources.folders import LocalFile

TYPES = {"id": pa.int64(), "name": pa.string()}
BLOCK_SIZES = (3, 8, 21, 2**20)
MARKS = [
    *('"', '""', ",", "\n", "\r\n", "\r", "\n\n", "1", "7", "a", " ", "é", "x", '","', '"\n', "\0"),
    *("1,a\n", "2,b\r\n", "3\n", "4,c,d\n", "x,e\n", '5,"f\ng"\n', '6,"h""i"\n', '7,5" disk\n'),
]
TEXTS = st.lists(
    st.one_of(st.sampled_from([one.encode() for one in MARKS]), st.just(b"\xff")), max_size=30
).map(b"".join)


@dataclass
class Read:
    """Rows with their numbers and what the file says of them; those not taken with the reason."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    rejects: list[tuple[int, str | None, str, str]] = field(default_factory=list)
    count: int = 0


class Bytewise:
    """Reads records byte by byte."""

    def __init__(self, names: tuple[str, ...], text: bytes) -> None:
        self._names = names
        self._text = text if text.endswith((b"\n", b"\r")) else text + b"\n" * bool(text)
        self._at = 0

    def read(self) -> Read:
        found = Read()
        while self._at < len(self._text):
            start = self._at
            values = self._record()
            if values is None:
                # The quote never closes: its line is given up, and reading goes on behind it.
                self._at = start + len(self._text[start:].splitlines(keepends=True)[0])
            elif values == [None] and len(self._names) > 1:
                continue
            found.count += 1
            raw = shown(self._text[start : self._at])
            wrong = (None, "it ends within quotes") if values is None else self._wrong(values)
            if wrong is not None:
                found.rejects.append((found.count, *wrong, raw))
            else:
                found.rows.append((found.count, *self._typed(values or []), raw))
        return found

    def _record(self) -> list[bytes | None] | None:
        """The values of a record, null where nothing stands; None where a quote stays open."""
        values: list[bytes | None] = []
        while True:
            value, is_quoted = b"", self._next() == b'"'
            if is_quoted:
                self._at += 1
                quoted = self._quoted()
                if quoted is None:
                    return None
                value = quoted
            while (mark := self._next()) not in (b",", b"\n", b"\r", b""):
                value += mark
                self._at += 1
            values.append(value if value or is_quoted else None)
            if not self._next():
                return None
            mark = self._taken()
            if mark == b"\r" and self._next() == b"\n":
                self._at += 1
            if mark != b",":
                return values

    def _quoted(self) -> bytes | None:
        """What stands up to the closing quote."""
        value = b""
        while self._next():
            mark = self._taken()
            if mark == b'"':
                if self._next() != b'"':
                    return value
                self._at += 1
            value += mark
        return None

    def _next(self) -> bytes:
        return self._text[self._at : self._at + 1]

    def _taken(self) -> bytes:
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def _wrong(self, values: list[bytes | None]) -> tuple[str | None, str] | None:
        """The column that is wrong, and why."""
        if len(values) != len(self._names):
            return None, f"it has {len(values)} values"
        for name, value in zip(self._names, values, strict=True):
            try:
                (value or b"").decode()
            except UnicodeDecodeError:
                return name, "it is not UTF-8"
        for name, value in zip(self._names, values, strict=True):
            if TYPES[name] == pa.int64() and value is not None:
                digits = value.strip(b" ") or b"0"
                if not digits.isdigit() or int(digits) >= 2**63:
                    return name, "whole number"
        return None

    def _typed(self, values: list[bytes | None]) -> list[int | str | None]:
        return [
            None if value is None else _number(value) if name == "id" else value.decode()
            for name, value in zip(self._names, values, strict=True)
        ]


def _number(value: bytes) -> int | None:
    """Blanks are no number, and none that is wrong."""
    return int(value) if value.strip(b" ") else None


def shown(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").rstrip("\r\n")


class Reading:
    """Reads with the reader that is judged."""

    def __init__(self, folder: Path, names: tuple[str, ...], text: bytes) -> None:
        self._path = folder / "a.csv"
        self._path.write_bytes(text)
        self._names = names

    def blocks(self, start: Mapping[str, Any] = {}) -> list[Block]:
        with closing(LocalFile.at("a.csv", self._path)) as source:
            file = File(source, None, self._path.parent, 2**30)
            reader = open_reader(file, "csv", ReadOptions(delimiter=","))
            types = {name: TYPES[name] for name in self._names}
            plan = plan_for(reader.probe(), Target(types=types))
            return list(reader.blocks(plan, start))


def whole(blocks: list[Block], before: int = 0) -> Read:
    found = Read(count=before)
    for block in blocks:
        assert block.first == found.count + 1
        for place, row in enumerate(block.batch.to_pylist()):
            found.rows.append((block.number(place), *row.values(), block.raw(place)))
        found.rejects += [(one.row, one.column, one.reason, one.raw) for one in block.rejects]
        found.count += block.rows
    return found


def check(found: Read, expected: Read, behind: int = 0) -> None:
    """That what was found is what was expected of the rows behind a number."""
    assert found.rows == [one for one in expected.rows if one[0] > behind]
    rejects = [one for one in expected.rejects if one[0] > behind]
    assert [(row, column, raw) for row, column, _, raw in found.rejects] == [
        (row, column, raw) for row, column, _, raw in rejects
    ]
    for (_, _, reason, _), (_, _, told, _) in zip(found.rejects, rejects, strict=True):
        assert told in reason
    assert found.count == expected.count


@pytest.mark.parametrize("names", [("id", "name"), ("name",)])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@given(text=TEXTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    line_end: bytes,
    text: bytes,
) -> None:
    header = ",".join(names).encode() + line_end
    text = text.lstrip(b"\n") if line_end == b"\r" else text
    # Where no line's end is another mark, a return within quotes becomes one, too.
    judged = text if b"\n" in header + text else text.replace(b"\r", b"\n")
    expected = Bytewise(names, judged).read()
    reading = Reading(tmp_path, names, header + text)
    for size in BLOCK_SIZES:
        monkeypatch.setattr(records, "BLOCK_BYTES", size)
        blocks = reading.blocks()
        check(whole(blocks), expected)
        for block in blocks[:: max(1, len(blocks) // 3)]:
            behind = block.first + block.rows - 1
            check(whole(reading.blocks(block.end), behind), expected, behind)


@given(text=TEXTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_with_records_that_are_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    """How much a record may have decides which are told; never is a row lost without a word."""
    names = ("id", "name")
    reading = Reading(tmp_path, names, b"id,name\n" + text)
    lines = {shown(line) for line in text.splitlines()} - {""}
    for size in (3, 8):
        monkeypatch.setattr(records, "BLOCK_BYTES", size)
        monkeypatch.setattr(records, "RECORD_BYTES_MAX", 2 * size)
        blocks = reading.blocks()
        found = whole(blocks)
        told = [one[-1] for one in (*found.rows, *found.rejects)]
        assert len(told) == found.count
        parts = tuple({line for raw in told for line in raw.splitlines()} - {""})
        parts = tuple(part.rstrip("\ufffd") for part in parts)
        assert all(line.startswith(parts) for line in lines)
        for block in blocks[:: max(1, len(blocks) // 3)]:
            behind = block.first + block.rows - 1
            check(whole(reading.blocks(block.end), behind), found, behind)
