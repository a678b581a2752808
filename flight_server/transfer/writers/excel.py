"""Spreadsheets, written row by row in constant memory.

A cell is a number, a date or true and false where Excel holds the value; else it is the text that
CSV has for it. Text is never a formula or a link, whatever it looks like.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds
import xlsxwriter
from xlsxwriter.exceptions import FileSizeError

from flight_server.errors import ErrorCode, InvalidRequest, Unsupported
from flight_server.formats.csv_rows import simple, texts_of
from flight_server.transfer.writers.base import WriteOptions, Written, hashed

ROWS_MAX = 2**20
COLUMNS_MAX = 2**14
TEXT_UNITS_MAX = 32_767
# Numbers with more digits are others in Excel.
DIGITS_MAX = 15
WHOLE_MAX = 10**DIGITS_MAX
# Between these, up to the sign, Excel has numbers; 0 besides.
LEAST, GREATEST = 2.2251e-308, 9.9999e307
# Excel takes 1900 for a leap year: earlier days are others there.
FIRST_DAY = dt.date(1900, 3, 1)
DAY_MS = 86_400_000
FIRST_MS = (FIRST_DAY - dt.date(1970, 1, 1)).days * DAY_MS
LAST_MS = (dt.date(9999, 12, 31) - dt.date(1970, 1, 1)).days * DAY_MS + DAY_MS - 1

Cells = Callable[[pa.Array], Sequence[Any]]
_DATE, _MOMENT, _TIME = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss.000", "hh:mm:ss.000"


class ExcelFile:
    """One workbook with one sheet: the names of the columns, then the rows."""

    def __init__(self, path: Path, schema: pa.Schema, options: WriteOptions) -> None:
        if len(schema) > COLUMNS_MAX:
            raise Unsupported(
                f"A sheet has {COLUMNS_MAX:,} columns at most, and these are {len(schema):,}.",
                code=ErrorCode.UNSUPPORTED_TYPE,
            )
        self._path, self._names = path, schema.names
        self._book = xlsxwriter.Workbook(
            str(path), {"constant_memory": True, "tmpdir": str(path.parent)}
        )
        self._book.use_zip64()
        self._sheet = self._book.add_worksheet("Rows")
        self._columns = [_Column(field.type, self._book) for field in schema]
        self._row = 0
        self.bytes = 0
        if options.header:
            bold = self._book.add_format({"bold": True})
            for at, name in enumerate(schema.names):
                self._sheet.write_string(0, at, name[:TEXT_UNITS_MAX], bold)
            self._sheet.freeze_panes(1, 0)
            self._row = 1
        self._first = self._row

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one batch. InvalidRequest where a sheet or a cell cannot hold it."""
        if self._row + batch.num_rows > ROWS_MAX:
            raise InvalidRequest(
                f"A sheet has {ROWS_MAX - self._first:,} rows at most below its names, and here "
                "are more. Split them with rows_per_file, or choose another format."
            )
        pairs = zip(self._columns, batch.columns, strict=True)
        cells = [column.cells(values) for column, values in pairs]
        for at, row in enumerate(zip(*cells, strict=True), self._row):
            for place, value in enumerate(row):
                if value is not None:
                    self._put(at, place, value)
        self._row += batch.num_rows
        self.bytes += batch.nbytes

    def close(self) -> tuple[Written, ...]:
        """Writes the workbook."""
        try:
            self._book.close()
        except FileSizeError:
            raise InvalidRequest(
                "The rows are too many for one workbook. Split them with rows_per_file."
            ) from None
        return (hashed(self._path),)

    def abandon(self) -> None:
        """Stops."""
        self._book.fileclosed = 1
        self._sheet.row_data_fh.close()

    def _put(self, row: int, place: int, value: Any) -> None:
        sheet, form = self._sheet, self._columns[place].form
        if isinstance(value, str):
            if sheet.write_string(row, place, value) == -2:
                raise InvalidRequest(
                    f"A cell holds {TEXT_UNITS_MAX:,} characters at most, and row "
                    f"{row - self._first + 1:,} has {len(value):,} in '{self._names[place]}'.",
                    code=ErrorCode.INVALID_DATA,
                    details={"column": self._names[place]},
                )
        elif isinstance(value, bool):
            sheet.write_boolean(row, place, value)
        elif isinstance(value, int | float):
            sheet.write_number(row, place, value, form)
        else:
            sheet.write_datetime(row, place, value, form)


class _Column:
    """How the values of one type become cells."""

    def __init__(self, kind: pa.DataType, book: xlsxwriter.Workbook) -> None:
        plain = simple(pa.nulls(0, kind)).type
        self._cells, form = _cells_of(plain)
        self.form = book.add_format({"num_format": form}) if form else None

    def cells(self, array: pa.Array) -> Sequence[Any]:
        """A value for each cell, None for none."""
        return self._cells(simple(array))


def _cells_of(kind: pa.DataType) -> tuple[Cells, str | None]:
    if kinds.is_timestamp(kind):
        return _moments, _MOMENT
    if kinds.is_date(kind):
        return _dates, _DATE
    if kinds.is_time(kind):
        return _times, _TIME
    for is_one, cells in _CELLS:
        if is_one(kind):
            return cells, None
    return _texts, None


def _texts(array: pa.Array) -> Sequence[Any]:
    found: list[Any] = texts_of(array).to_pylist()
    return found


def _same(array: pa.Array) -> Sequence[Any]:
    found: list[Any] = array.to_pylist()
    return found


def _integers(array: pa.Array) -> Sequence[Any]:
    return [
        one if one is None or -WHOLE_MAX < one < WHOLE_MAX else str(one)
        for one in array.to_pylist()
    ]


def _floats(array: pa.Array) -> Sequence[Any]:
    values = _same(array)
    size = pc.abs(array.cast(pa.float64()))
    known = pc.or_(pc.equal(size, 0), _within(size, LEAST, GREATEST))
    if pc.all(known, skip_nulls=True).as_py() is not False:
        return values
    triples = zip(values, known.to_pylist(), texts_of(array).to_pylist(), strict=True)
    return [value if is_known else text for value, is_known, text in triples]


def _decimals(array: pa.Array) -> Sequence[Any]:
    pairs = zip(array.to_pylist(), texts_of(array).to_pylist(), strict=True)
    return [one if one is None else float(one) if _is_short(one) else text for one, text in pairs]


def _is_short(value: Decimal) -> bool:
    """Whether a number of Excel's has all of its digits."""
    return (
        len(value.as_tuple().digits) <= DIGITS_MAX and -DIGITS_MAX < value.adjusted() < DIGITS_MAX
    )


def _moments(array: pa.Array) -> Sequence[Any]:
    """Times of UTC, to the millisecond; as text those that Excel has no day for."""
    whole = array.cast(pa.timestamp(array.type.unit)).cast(pa.timestamp("ms"), safe=False)
    known = _within(whole.cast(pa.int64()), FIRST_MS, LAST_MS)
    return _mixed(array, whole, known)


def _dates(array: pa.Array) -> Sequence[Any]:
    whole = array.cast(pa.date32())
    days = whole.cast(pa.int32())
    return _mixed(array, whole, _within(days, FIRST_MS // DAY_MS, LAST_MS // DAY_MS))


def _times(array: pa.Array) -> Sequence[Any]:
    unit = array.type if kinds.is_time32(array.type) else pa.time64("us")
    return _same(array.cast(unit, safe=False).cast(pa.time32("ms"), safe=False))


def _within(numbers: pa.Array, least: float, most: float) -> pa.Array:
    return pc.and_(pc.greater_equal(numbers, least), pc.less_equal(numbers, most))


def _mixed(array: pa.Array, values: pa.Array, known: pa.Array) -> Sequence[Any]:
    if pc.all(known, skip_nulls=True).as_py() is not False:
        return _same(values)
    found = _same(pc.if_else(known, values, None))
    texts = _texts(array)
    return [text if value is None else value for value, text in zip(found, texts, strict=True)]


_CELLS: tuple[tuple[Callable[[pa.DataType], bool], Cells], ...] = (
    (kinds.is_boolean, _same),
    (kinds.is_integer, _integers),
    (kinds.is_floating, _floats),
    (kinds.is_decimal, _decimals),
    (kinds.is_string, _same),
    (kinds.is_large_string, _same),
    (kinds.is_string_view, _same),
)
