"""Excel: the values of one sheet, formulas by what they came to when the file was saved.

A sheet is read whole, so what it may unpack to is bounded before anything of it is unpacked: the
archive's own list of sizes is not believed, each part is counted as it is opened.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded
from flight_server.formats.csv_lines import from_texts
from flight_server.formats.inference import type_of_texts
from flight_server.formats.text_values import MisfitError
from flight_server.transfer.readers.base import ROWS_MAX, Block, Plan, Probe, ReadOptions, Reject
from flight_server.transfer.readers.casting import fitted, without
from flight_server.transfer.readers.columnar import raw_of
from flight_server.transfer.readers.texts import CHUNK_BYTES, File
from flight_server.transfer.readers.workbooks import read_sheet, unreadable

# What the parts of a workbook unpack to; its cells take several times as much.
UNPACKED_BYTES_MAX = 128 * 2**20
SAMPLE_ROWS = 10_000


class ExcelReader:
    """One sheet of a workbook."""

    def __init__(self, file: File, options: ReadOptions) -> None:
        self._file = file
        raw = file.seekable()
        _check_size(raw, file.name)
        raw.seek(0)
        path = file.scratch / "workbook"
        with path.open("wb") as target:
            while data := raw.read(CHUNK_BYTES):
                target.write(data)
        self._sheet = read_sheet(path, file.name, options)

    def probe(self) -> Probe:
        """The columns of the header, and the types that the first values have."""
        table = self._sheet.texts
        fields = [
            pa.field(name, type_of_texts(_known(column.slice(0, SAMPLE_ROWS))))
            for name, column in zip(table.schema.names, table.columns, strict=True)
        ]
        if not fields:
            raise InvalidRequest(
                f"{self._file.name} has no cell in this sheet.", code=ErrorCode.INVALID_DATA
            )
        return Probe(pa.schema(fields), rows=table.num_rows)

    def blocks(self, plan: Plan, start: Mapping[str, Any]) -> Iterator[Block]:
        """The rows."""
        texts, errors = self._sheet.texts, self._sheet.errors
        size = self._file.source.size
        for at in range(int(start.get("row", 0)), texts.num_rows, ROWS_MAX):
            part = texts.slice(at, ROWS_MAX)
            block = _block(part, plan, at, errors)
            block.position = size * (at + part.num_rows) // texts.num_rows
            yield block


def _block(
    texts: pa.RecordBatch, plan: Plan, before: int, errors: Mapping[tuple[int, int], str]
) -> Block:
    names = texts.schema.names
    places = [names.index(name) for name in plan.sources]
    batch, wrong = fitted([texts.column(at) for at in places], plan.schema, _from_cells)
    for (row, column), reason in errors.items():
        if column in places and before <= row < before + texts.num_rows:
            field = plan.schema.field(places.index(column))
            wrong[row - before] = (field.name, reason)
    kept = [at for at in range(texts.num_rows) if at not in wrong]
    first = before + 1
    rejects = [
        Reject(first + at, wrong[at][0], wrong[at][1], raw_of(texts, at)) for at in sorted(wrong)
    ]
    return Block(
        without(batch, wrong),
        first,
        texts.num_rows,
        {"row": before + texts.num_rows},
        0,
        lambda at: raw_of(texts, kept[at]),
        rejects,
        [first + at for at in kept],
    )


def _from_cells(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """As `from_texts`; a date of Excel's has a time too, a time a date, and neither has a zone."""
    if kinds.is_date(kind):
        texts = pc.replace_substring_regex(texts, r"[ T]00:00:00(\.0+)?$", "")
    elif kinds.is_time(kind):
        texts = pc.replace_substring_regex(texts, r"^1899-12-3[01][ T]", "")
    elif kinds.is_timestamp(kind) and kind.tz is not None:
        texts = pc.replace_substring_regex(texts, r"^(\d{4}-\d\d-\d\d \d\d:\d\d:[\d.]+)$", r"\1Z")
    try:
        return from_texts(texts, kind)
    except pa.ArrowInvalid as error:
        raise MisfitError(str(error).splitlines()[0][:200]) from None


def _known(texts: pa.Array) -> pa.Array:
    """The values that say something of a column's type; days where no value has a time."""
    known = texts.drop_null()
    known = known.filter(pc.not_equal(known, ""))
    days = pc.match_substring_regex(known, r"^\d{4}-\d\d-\d\d 00:00:00$")
    if len(known) and pc.all(days).as_py():
        return pc.utf8_slice_codeunits(known, 0, 10)
    return known


def _check_size(raw: pa.NativeFile, name: str) -> None:
    """LimitExceeded where the workbook would unpack to too much."""
    if raw.read(2) != b"PK":
        return
    left = UNPACKED_BYTES_MAX
    try:
        with zipfile.ZipFile(raw) as archive:
            for one in archive.infolist():
                with archive.open(one) as part:
                    while data := part.read(CHUNK_BYTES):
                        left -= len(data)
                        if left < 0:
                            raise _too_large(name)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
    ) as error:
        raise unreadable(name, error) from None


def _too_large(name: str) -> LimitExceeded:
    return LimitExceeded(
        f"{name} unpacks to more than {UNPACKED_BYTES_MAX} bytes, and sheets are read whole. Save "
        "it as CSV.",
        code=ErrorCode.TOO_LARGE,
        details={"limit": UNPACKED_BYTES_MAX},
    )
