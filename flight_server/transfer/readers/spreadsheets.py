"""Excel: the values of one sheet, formulas by what they came to when the file was saved.

A sheet is read whole, so what it may unpack to is bounded before anything of it is unpacked: the
archive's own list of sizes is not believed, each part is counted as it is opened.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded, did_you_mean
from flight_server.formats.csv_lines import from_texts
from flight_server.formats.inference import type_of_texts
from flight_server.formats.text_values import MisfitError
from flight_server.transfer.readers.base import ROWS_MAX, Block, Plan, Probe, ReadOptions, Reject
from flight_server.transfer.readers.casting import fitted, without
from flight_server.transfer.readers.columnar import raw_of
from flight_server.transfer.readers.texts import CHUNK_BYTES, File

# What the parts of a workbook unpack to; its cells take several times as much.
UNPACKED_BYTES_MAX = 128 * 2**20
SAMPLE_ROWS = 10_000
_ERROR = re.compile(r"got 'Error\((\w+)\)'")
_MEANINGS = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
}


class ExcelReader:
    """One sheet of a workbook."""

    def __init__(self, file: File, options: ReadOptions) -> None:
        import fastexcel

        self._file = file
        self._options = options
        raw = file.seekable()
        _check_size(raw, file.name)
        raw.seek(0)
        try:
            self._workbook = fastexcel.read_excel(raw.read())
        except fastexcel.FastExcelError as error:
            raise _unreadable(file.name, error) from None
        self._sheet = self._loaded("string")

    def probe(self) -> Probe:
        """The columns of the header, and the types that the first values have."""
        table, _ = self._texts()
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
        texts, errors = self._texts()
        size = self._file.source.size
        for at in range(int(start.get("row", 0)), texts.num_rows, ROWS_MAX):
            part = texts.slice(at, ROWS_MAX)
            block = _block(part, plan, at, errors)
            block.position = size * (at + part.num_rows) // texts.num_rows
            yield block

    def _loaded(self, kind: Literal["string", "float"]) -> Any:
        sheet = self._options.sheet
        names = self._workbook.sheet_names
        if isinstance(sheet, int) and not 0 <= sheet < len(names):
            raise InvalidRequest(f"{self._file.name} has {len(names)} sheets, counted from 0.")
        if isinstance(sheet, str) and sheet not in names:
            raise InvalidRequest(
                f"{self._file.name} has no sheet '{sheet[:80]}'.{did_you_mean(sheet, names)} "
                f"It has {', '.join(names)[:300]}."
            )
        columns = list(self._options.columns)
        header = 0 if self._options.header and not columns else None
        skipped = self._options.skip_rows + (self._options.header and bool(columns))
        import fastexcel

        try:
            return self._workbook.load_sheet(
                sheet,
                header_row=None if header is None else self._options.skip_rows,
                column_names=columns or None,
                skip_rows=skipped if header is None else 0,
                dtypes=kind,
            )
        except fastexcel.FastExcelError as error:
            raise _unreadable(self._file.name, error) from None

    def _texts(self) -> tuple[pa.RecordBatch, Mapping[tuple[int, int], str]]:
        """The cells as text, and the errors that stand in some, by row and column."""
        batch, found = self._sheet.to_arrow_with_errors()
        if any(pc.any(_is_rounded(column)).as_py() for column in batch.columns):
            numbers, _ = self._loaded("float").to_arrow_with_errors()
            pairs = zip(batch.columns, numbers.columns, strict=True)
            exact = [_exactly(texts, one) for texts, one in pairs]
            batch = pa.RecordBatch.from_arrays(exact, schema=batch.schema)
        errors: dict[tuple[int, int], str] = {}
        for error in found.errors if found else ():
            code = _ERROR.search(error.detail)
            meaning = _MEANINGS.get(code[1], code[1]) if code else error.detail
            errors[error.offset_position] = f"the cell holds the error {meaning}"
        return batch, errors


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


def _is_rounded(texts: pa.Array) -> pa.Array:
    """Where a number may have lost digits: as text it has nine at most behind its point."""
    return pc.match_substring_regex(texts, r"^-?(0|\d+\.\d{9})$")


def _exactly(texts: pa.Array, numbers: pa.Array) -> pa.Array:
    """The texts, with all digits where they are those of a number."""
    rounded = pc.and_(_is_rounded(texts), pc.and_(numbers.is_valid(), pc.not_equal(numbers, 0)))
    if not pc.any(rounded).as_py():
        return texts
    triples = zip(texts.to_pylist(), rounded.to_pylist(), numbers.to_pylist(), strict=True)
    # What is text in the sheet and looks like another number stays as it is.
    found = [
        repr(number) if is_one and float(text) == round(number, 9) else text
        for text, is_one, number in triples
    ]
    return pa.array(found, texts.type)


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
        raise _unreadable(name, error) from None


def _too_large(name: str) -> LimitExceeded:
    return LimitExceeded(
        f"{name} unpacks to more than {UNPACKED_BYTES_MAX} bytes, and sheets are read whole. Save "
        "it as CSV.",
        code=ErrorCode.TOO_LARGE,
        details={"limit": UNPACKED_BYTES_MAX},
    )


def _unreadable(name: str, error: Exception) -> InvalidRequest:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return InvalidRequest(
        f"{name} cannot be read as Excel: {lines[0][:200].removesuffix('.')}.",
        code=ErrorCode.INVALID_DATA,
    )
