"""Records of CSV as rows: read by Arrow into the columns' own types, and judged where it cannot.

Arrow reads a part of a file at a time, as one block: its own cutting of blocks loses rows without
a word where a quote is left open. What is wrong costs time in the part where it stands, and there
only the columns that Arrow refuses are read as text, to find the values that are wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.types as kinds

from flight_server.formats.csv_lines import from_texts
from flight_server.formats.inference import Dialect
from flight_server.formats.text_values import MisfitError
from flight_server.transfer.readers.base import Block, Plan, Reject, shortened
from flight_server.transfer.readers.casting import (
    ANY_NUMBER,
    CrowdedError,
    Wrong,
    fitted,
    kept_of,
    without,
)
from flight_server.transfer.readers.records import Quoted, has_returns
from flight_server.transfer.readers.values import values_of

_TRUE, _FALSE = ["true", "True", "TRUE", "1"], ["false", "False", "FALSE", "0"]
# Beyond so many wrong rows a part is read in smaller ones, or what is told of them takes too much.
WRONG_MAX = 4096
SMALL_BYTES = 2**16
_ESCAPED = re.compile("[\udc80-\udcff]")
_COLUMN = re.compile(r"In CSV column #(\d+)")


@dataclass(frozen=True)
class Crowded:
    """A part in which much is wrong: it is read bit by bit, as its rows are asked for."""

    data: bytes


class DelimitedRows:
    """Reads parts of whole records for one plan; from any number of threads."""

    def __init__(
        self, names: tuple[str, ...], plan: Plan, dialect: Dialect, quoted: Quoted
    ) -> None:
        self._names = list(names)
        self._plan = plan
        self._dialect = dialect
        self._quoted = quoted
        kinds_ = [_quick(field.type) for field in plan.schema]
        self._types = dict(zip(plan.sources, kinds_, strict=True))

    def read(self, data: bytes) -> Block | Crowded:
        """The rows of whole records, numbered from 1."""
        if len(data) <= SMALL_BYTES:
            return self._by_arrow(data) or self._one_by_one(data)
        try:
            return self._by_arrow(data, WRONG_MAX) or Crowded(data)
        except CrowdedError:
            return Crowded(data)

    def read_lines(self, data: bytes) -> Block | Crowded | None:
        """The rows of lines that begin with a record; None where they do not end with one."""
        found = self.read(data)
        are_lines = isinstance(found, Block) and self._are_lines(data, found.rows)
        return found if are_lines or self._quoted.cut(data) == len(data) else None

    def apart(self, crowded: Crowded) -> Iterator[tuple[Block, int]]:
        """The rows in small blocks, each numbered from 1, and how many bytes each is of."""
        data, at = crowded.data, 0
        while at < len(data):
            size = SMALL_BYTES
            while not (cut := self._quoted.cut(data[at : at + size])) and at + size < len(data):
                size *= 2
            part = data[at : at + cut] if cut else data[at:]
            at += len(part)
            yield self._by_arrow(part) or self._one_by_one(part), len(part)

    def broken(self, data: bytes, reason: str) -> Block:
        """The one row of a record that does not end."""
        raw = _shown(data)
        return Block(self._empty(), 1, 1, {}, 0, lambda at: raw, [Reject(1, None, reason, raw)], [])

    def _are_lines(self, data: bytes, rows: int) -> bool:
        """Whether each line is a record, of lines which Arrow has found to be so many rows."""
        if rows != data.count(b"\n"):
            return False
        # A return alone ends a row, too, and would make up for a line's end within quotes.
        if has_returns(data):
            return False
        # Arrow takes the end of what it reads for a closing quote.
        last = data[data.rfind(b"\n", 0, len(data) - 1) + 1 :]
        return self._quoted.cut(last) == len(last)

    def _records(self, data: bytes, count: int | None = None) -> list[bytes]:
        """The records that are rows: of more than one column an empty line is none.

        `count` is how many there are, where Arrow has told: of as many lines each is one.
        """
        lines = data.splitlines(keepends=True)
        if len(lines) == count:
            return lines
        records = self._quoted.split(data)
        if len(self._names) == 1:
            return records
        return [one for one in records if one not in (b"\n", b"\r\n", b"\r")]

    def _by_arrow(self, data: bytes, wrong_max: int = ANY_NUMBER) -> Block | None:
        """What Arrow reads, columns that it refuses as text; None where it still does not.

        None or CrowdedError where more rows are wrong than may be.
        """
        try:
            table = self._parsed(data, self._types)
            pairs = zip(map(_whole, table.columns), self._plan.schema, strict=True)
            columns = [_typed(_trimmed(one, field.type), field.type) for one, field in pairs]
        except pa.ArrowInvalid as error:
            return self._by_columns(data, wrong_max, str(error))
        except (MisfitError, UnicodeDecodeError):
            return self._by_columns(data, wrong_max)
        batch = pa.RecordBatch.from_arrays(columns, schema=self._plan.schema)
        count = batch.num_rows
        return Block(batch, 1, count, {}, 0, _Raw(lambda: self._records(data, count)))

    def _parsed(
        self,
        data: bytes,
        types: Mapping[str, pa.DataType],
        judge: Callable[[Any], str] | None = None,
    ) -> pa.Table:
        return pa.csv.read_csv(
            pa.BufferReader(data),
            pa.csv.ReadOptions(
                # One block: nothing is cut, and values may have lines.
                block_size=len(data) + 1,
                column_names=self._names,
                use_threads=False,
            ),
            pa.csv.ParseOptions(
                delimiter=self._dialect.delimiter,
                quote_char=self._dialect.quote,
                ignore_empty_lines=len(self._names) > 1,
                invalid_row_handler=judge,
            ),
            pa.csv.ConvertOptions(
                column_types=types,
                include_columns=list(self._plan.sources),
                null_values=["", *self._dialect.null_values],
                true_values=_TRUE,
                false_values=_FALSE,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _by_columns(self, data: bytes, wrong_max: int, error: str = "") -> Block | None:
        """What Arrow reads once the columns that its errors name are read as text."""
        if not _is_text(data):
            return None
        wrong: Wrong = {}

        def judge(row: pa.csv.InvalidRow) -> str:
            if len(wrong) >= wrong_max:
                return "error"
            wrong[(row.number or 0) - 1] = (None, self._miscounted(row.actual_columns))
            return "skip"

        types = dict(self._types)
        while True:
            if refused := self._refused(error):
                if types[refused] == pa.string():
                    return None
                types[refused] = pa.string()
            wrong.clear()
            try:
                table = self._parsed(data, types, judge)
                break
            except pa.ArrowInvalid as found:
                error = str(found)
                if self._refused(error) is None:
                    return None
        count = table.num_rows + len(wrong)
        records = self._records(data, count)
        if count != len(records):
            return None
        places = np.flatnonzero(kept_of(count, wrong))
        columns = [_whole(one) for one in table.columns]
        return self._judged(records, columns, places, wrong, wrong_max)

    def _judged(
        self,
        records: list[bytes],
        columns: list[pa.Array],
        places: Any,
        wrong: Wrong,
        wrong_max: int = ANY_NUMBER,
    ) -> Block:
        """The block of columns from the records at these places; the others are wrong already."""
        schema = self._plan.schema
        trimmed = [_trimmed(one, field.type) for one, field in zip(columns, schema, strict=True)]
        batch, misfits = fitted(trimmed, schema, _typed, wrong_max)
        wrong |= {int(places[at]): told for at, told in misfits.items()}
        rejects = [Reject(at + 1, *wrong[at], _shown(records[at])) for at in sorted(wrong)]
        kept = np.flatnonzero(kept_of(len(records), wrong))
        raw = _Raw(lambda: [records[at] for at in kept])
        batch = without(batch, misfits)
        return Block(batch, 1, len(records), {}, 0, raw, rejects, kept + 1)

    def _refused(self, error: str) -> str | None:
        """The column that Arrow's error names; None where it is of another kind."""
        found = _COLUMN.search(error)
        return None if found is None else self._names[int(found[1])]

    def _miscounted(self, count: int) -> str:
        return f"it has {count} values, and there are {len(self._names)} columns"

    def _one_by_one(self, data: bytes) -> Block:
        """What can be read of each record by itself."""
        records = self._records(data)
        wrong: Wrong = {}
        rows: list[list[str | None]] = []
        places: list[int] = []
        chosen = [self._names.index(name) for name in self._plan.sources]
        for place, record in enumerate(records):
            # Bytes that are no text stay what they are until it is known where they stand.
            text = record.decode("utf-8", "surrogateescape")
            values = values_of(text, self._dialect, self._dialect.null_values)
            if len(values) != len(self._names):
                wrong[place] = (None, self._miscounted(len(values)))
            elif told := self._undecoded((at, values[at]) for at in chosen):
                wrong[place] = told
            else:
                rows.append(values)
                places.append(place)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self._names)
        texts = [pa.array(columns[at], pa.string()) for at in chosen]
        return self._judged(records, texts, places, wrong)

    def _undecoded(self, values: Iterable[tuple[int, str | None]]) -> tuple[str, str] | None:
        """The first column whose value is not UTF-8, and the byte that is not."""
        for at, value in values:
            if found := _ESCAPED.search(value or ""):
                byte = ord(found[0]) - 0xDC00
                return self._names[at], f"it is not UTF-8: the byte 0x{byte:02X}"
        return None

    def _empty(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([], self._plan.schema)


class _Raw:
    """What the records of a block say, taken apart when the first of them is asked for."""

    def __init__(self, records: Callable[[], list[bytes]]) -> None:
        self._split = records
        self._records: list[bytes] | None = None

    def __call__(self, at: int) -> str:
        if self._records is None:
            self._records = self._split()
        return _shown(self._records[at])


def _shown(record: bytes) -> str:
    return shortened(record.decode("utf-8", "replace").rstrip("\r\n"))


def _is_text(data: bytes) -> bool:
    """Whether it is UTF-8: of rows that are not, Arrow cannot tell why they are wrong."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _whole(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _trimmed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts without the blanks around what is no text: Arrow's reader does not count them."""
    is_text = kinds.is_string(kind) or kinds.is_large_string(kind)
    if is_text or column.type != pa.string():
        return column
    return pa.compute.utf8_trim_whitespace(column)


def _typed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column as it is, or what its trimmed texts mean. MisfitError."""
    if column.type == kind:
        return column
    try:
        return from_texts(column, kind)
    except pa.ArrowInvalid as error:
        raise MisfitError(str(error).splitlines()[0][:200]) from None


def _quick(kind: pa.DataType) -> pa.DataType:
    """The type in which Arrow's reader is to read a column; text where another reads it then."""
    is_one = (
        kinds.is_integer,
        kinds.is_float32,
        kinds.is_float64,
        kinds.is_boolean,
        kinds.is_decimal128,
        kinds.is_date32,
        kinds.is_large_string,
    )
    return kind if any(check(kind) for check in is_one) or _is_moment(kind) else pa.string()


def _is_moment(kind: pa.DataType) -> bool:
    return bool(kinds.is_timestamp(kind) and kind.tz in (None, "UTC"))
