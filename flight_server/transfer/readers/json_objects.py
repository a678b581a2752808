"""JSON lines, and JSON that is read as such: blocks of lines, each read by Arrow where that can.

A block that Arrow refuses is read again in small parts, and a part that it refuses row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean
from flight_server.formats.inference import SAMPLE_BYTES_MAX, from_rows
from flight_server.formats.json_lines import loaded_object, read_quickly
from flight_server.formats.json_values import array_of
from flight_server.transfer.readers.base import (
    Block,
    Plan,
    Probe,
    ReadOptions,
    Reject,
    shortened,
)
from flight_server.transfer.readers.casting import Wrong, fitted, kept_of, without
from flight_server.transfer.readers.json_arrays import JsonLines
from flight_server.transfer.readers.records import Piece, Pieces, cut_lines
from flight_server.transfer.readers.texts import File, Text

PART_BYTES = 2**17
_OPEN = "it is longer than one row may be"


class JsonReader:
    """A file of objects: one a line, or, where it `is_lines` not, a list or one after another."""

    def __init__(self, file: File, options: ReadOptions, is_lines: bool) -> None:
        self._file = file
        self._options = options
        self._is_lines = is_lines

    def probe(self) -> Probe:
        """The columns that the first rows name, and the types of their values."""
        stream, parts, left = self._stream(), [], SAMPLE_BYTES_MAX
        while left > 0 and (part := stream.read(left)):
            parts.append(part)
            left -= len(part)
        data = b"".join(parts)
        if left <= 0:
            data = data[: data.rfind(b"\n") + 1] or data
        rows = [row for line in data.splitlines() if (row := _row_or_none(line)) is not None]
        spelled: dict[str, str] = {}
        for name in (name for row in rows for name in row):
            spelled.setdefault(name.lower(), name)
        if not rows:
            raise InvalidRequest(
                f"{self._file.name} has no row to tell the columns from: JSON lines are one object "
                "a line, JSON is a list of objects.",
                code=ErrorCode.INVALID_DATA,
            )
        return Probe(from_rows([_with_names(row, spelled) for row in rows]).schema, is_open=True)

    def blocks(self, plan: Plan, start: Mapping[str, Any]) -> Iterator[Block]:
        """The rows."""
        at, number = int(start.get("offset", 0)), int(start.get("row", 0)) + 1
        stream = self._stream()
        stream.skip(at)
        rows = _Rows(plan)
        for piece in Pieces(stream, at, cut_lines, _OPEN):
            for block, end in _numbered(rows, piece, number):
                number += block.rows
                block.end = {"offset": end, "row": number - 1}
                block.position = self._file.position
                yield block

    def _stream(self) -> Any:
        text = Text(self._file.stream(), self._file.name, self._options.encoding)
        return text if self._is_lines else JsonLines(text, self._file.name)


def _numbered(rows: _Rows, piece: Piece, number: int) -> Iterator[tuple[Block, int]]:
    """The rows of a piece, and where each block of them ends."""
    if piece.broken:
        yield rows.broken(piece, number), piece.end
        return
    end = piece.end - len(piece.data)
    for block, size in rows.read(piece.data, number):
        end += size
        yield block, end


def _with_names(row: dict[str, Any], spelled: Mapping[str, str]) -> dict[str, Any]:
    """The row with each name as it was spelled first."""
    return {spelled[name.lower()]: value for name, value in row.items()}


def _row_or_none(line: bytes) -> dict[str, Any] | None:
    try:
        return loaded_object(line, "It") if line.strip() else None
    except InvalidRequest:
        return None


class _Rows:
    """Reads blocks of lines for one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._places = {name.lower(): at for at, name in enumerate(plan.sources)}

    def read(self, data: bytes, first: int) -> Iterator[tuple[Block, int]]:
        """The rows of whole lines, and how many bytes each block is of.

        Only a part of what Arrow refuses is told of at a time: as much may be wrong with it.
        """
        batch = self._quickly(data)
        if batch is not None:
            yield Block(batch, first, batch.num_rows, {}, 0, _Raw(data)), len(data)
            return
        for part in _parts(data):
            block = self._part(part, first)
            first += block.rows
            yield block, len(part)

    def broken(self, piece: Piece, first: int) -> Block:
        """The one row of a line that is too long."""
        raw = shortened(piece.data.decode("utf-8", "replace").rstrip("\r\n"))
        reject = Reject(first, None, piece.broken or "", raw)
        return Block(self._empty(), first, 1, {}, 0, lambda at: raw, [reject], [])

    def _quickly(self, data: bytes) -> pa.RecordBatch | None:
        plan = self._plan
        return read_quickly(data, plan.sources, plan.schema, plan.only_these)

    def _part(self, part: bytes, first: int) -> Block:
        lines = _lines(part)
        batch = self._quickly(part)
        if batch is not None and batch.num_rows == len(lines):
            return Block(batch, first, len(lines), {}, 0, lambda place: _shown(lines[place]))
        batch, wrong = self._one_by_one(lines)
        rejects = [
            Reject(first + place, *wrong[place], _shown(lines[place])) for place in sorted(wrong)
        ]
        kept = np.flatnonzero(kept_of(len(lines), wrong))
        return Block(
            batch,
            first,
            len(lines),
            {},
            0,
            lambda place: _shown(lines[kept[place]]),
            rejects,
            kept + first,
        )

    def _one_by_one(self, lines: list[bytes]) -> tuple[pa.RecordBatch, Wrong]:
        wrong: Wrong = {}
        rows: list[list[Any]] = []
        places: list[int] = []
        for place, line in enumerate(lines):
            values = self._values(line)
            if isinstance(values, list):
                rows.append(values)
                places.append(place)
            else:
                wrong[place] = values
        columns: list[Any] = (
            [list(column) for column in zip(*rows, strict=True)]
            if rows
            else [[] for _ in self._plan.sources]
        )
        batch, misfits = fitted(columns, self._plan.schema, array_of)
        wrong |= {places[at]: told for at, told in misfits.items()}
        return without(batch, misfits), wrong

    def _values(self, line: bytes) -> list[Any] | tuple[str | None, str]:
        """The values of a row in the plan's order, or the column that is wrong, and why."""
        try:
            row = loaded_object(line, "the row")
        except InvalidRequest as error:
            return None, error.message.removesuffix(".")
        values: list[Any] = [None] * len(self._places)
        for name, value in row.items():
            place = self._places.get(name.lower())
            if place is not None:
                values[place] = value
            elif not self._plan.only_these:
                near = did_you_mean(name, self._plan.sources)
                return name[:200], f"there is no column '{name[:200]}' to take it.{near}".rstrip(
                    "."
                )
        return values

    def _empty(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([], self._plan.schema)


class _Raw:
    """The lines of a block, taken apart when the first of them is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._found: list[bytes] | None = None

    def __call__(self, at: int) -> str:
        if self._found is None:
            self._found = _lines(self._data)
        return _shown(self._found[at])


def _parts(data: bytes) -> Iterator[bytes]:
    """The lines in parts of about the same size."""
    at = 0
    while at < len(data):
        cut = cut_lines(data[at : at + PART_BYTES])
        cut = cut or (data.find(b"\n", at) + 1 or len(data)) - at
        yield data[at : at + cut]
        at += cut


def _lines(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\n") if line.strip()]


def _shown(line: bytes) -> str:
    return shortened(line.decode("utf-8", "replace").strip())
