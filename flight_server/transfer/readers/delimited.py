"""CSV: blocks of whole records, each read by Arrow into the columns' own types.

A block that Arrow refuses is read again in small parts, and a part that it refuses row by row: what
is wrong costs time where it stands, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.formats.csv_lines import from_texts
from flight_server.formats.inference import SAMPLE_BYTES_MAX, Dialect, from_delimited
from flight_server.formats.text_values import MisfitError
from flight_server.transfer.readers.base import (
    Block,
    Plan,
    Probe,
    ReadOptions,
    Reject,
    shortened,
)
from flight_server.transfer.readers.casting import Wrong, fitted, kept_of, without
from flight_server.transfer.readers.records import Piece, Pieces, Quoted
from flight_server.transfer.readers.texts import File, Text
from flight_server.transfer.readers.values import values_of

DELIMITERS = ",;\t|"
THREAD_BYTES = 2**20
PART_BYTES = 2**18
_OPEN = (
    "it ends within quotes: a quote that opens a value is not closed. A quote within quotes is "
    "written twice"
)
_TRUE, _FALSE = ["true", "True", "TRUE", "1"], ["false", "False", "FALSE", "0"]


class DelimitedReader:
    """A file of CSV."""

    def __init__(self, file: File, options: ReadOptions) -> None:
        self._file = file
        self._options = options
        self._head = self._sample()
        self._dialect = self._told()
        self._quoted = Quoted(self._dialect.delimiter, self._dialect.quote)

    def probe(self) -> Probe:
        """The columns of the header, and the types of the first values."""
        cut = self._quoted.cut(self._head + b"\n" * (not self._head.endswith(b"\n")))
        sample = (self._head[:cut] or self._head).decode("utf-8", "replace").encode()
        sample = self._after_skipped(sample)
        names = self._names()
        _check_names(names, self._file.name)
        body = sample[self._header_bytes(sample) :]
        if not body.strip():
            return Probe(pa.schema([(name, pa.string()) for name in names]))
        dialect = Dialect(
            self._dialect.delimiter, self._dialect.quote, names, self._dialect.null_values
        )
        return Probe(from_delimited(body, dialect).schema)

    def blocks(self, plan: Plan, start: Mapping[str, Any]) -> Iterator[Block]:
        """The rows."""
        text = self._text()
        at, number = int(start.get("offset", 0)), int(start.get("row", 0)) + 1
        if not at:
            at = self._before_rows()
        text.skip(at)
        rows = _Rows(self._names(), plan, self._dialect, self._quoted)
        for piece in Pieces(text, at, self._quoted.cut, _OPEN):
            block = rows.broken(piece, number) if piece.broken else rows.read(piece.data, number)
            number += block.rows
            block.end = {"offset": piece.end, "row": number - 1}
            block.position = self._file.position
            yield block

    def _text(self) -> Text:
        return Text(self._file.stream(), self._file.name, self._options.encoding)

    def _sample(self) -> bytes:
        text, parts, left = self._text(), [], SAMPLE_BYTES_MAX
        while left > 0 and (part := text.read(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _told(self) -> Dialect:
        """The dialect; the delimiter is what stands most often in the first line."""
        delimiter = self._options.delimiter
        if delimiter is None:
            line = self._after_skipped(self._head).lstrip(b"\r\n").split(b"\n", 1)[0]
            header = line.decode("utf-8", "replace")
            delimiter = max(DELIMITERS, key=lambda mark: (header.count(mark), mark == ","))
        return Dialect(delimiter, self._options.quote, (), self._options.null_values)

    def _names(self) -> tuple[str, ...]:
        """The names in the header, or those that are given."""
        if self._options.columns:
            return self._options.columns
        head = self._after_skipped(self._head)
        size = _first_record(self._quoted, head)
        record = head[:size] if size else head
        if not record.strip():
            raise _invalid(f"{self._file.name} is empty: CSV begins with a line of column names.")
        try:
            values = values_of(record.decode(), self._dialect)
        except UnicodeDecodeError:
            raise _invalid(
                f"The header of {self._file.name} is not UTF-8. Say which encoding it is: "
                '"options": {"encoding": "latin-1"}.'
            ) from None
        if self._options.header:
            return tuple(values)
        return tuple(f"column_{number}" for number in range(1, len(values) + 1))

    def _before_rows(self) -> int:
        """How many bytes come before the first row."""
        rest = self._after_skipped(self._head)
        return len(self._head) - len(rest) + self._header_bytes(rest)

    def _header_bytes(self, head: bytes) -> int:
        return _first_record(self._quoted, head) if self._options.header else 0

    def _after_skipped(self, head: bytes) -> bytes:
        for _ in range(self._options.skip_rows):
            head = head[head.find(b"\n") + 1 :] if b"\n" in head else b""
        return head[len(head) - len(head.lstrip(b"\r\n")) :]


class _Rows:
    """Reads blocks of records for one plan."""

    def __init__(
        self, names: tuple[str, ...], plan: Plan, dialect: Dialect, quoted: Quoted
    ) -> None:
        self._names = list(names)
        self._plan = plan
        self._dialect = dialect
        self._quoted = quoted
        self._types = [_quick(field.type) for field in plan.schema]

    def read(self, data: bytes, first: int) -> Block:
        """The rows of whole records."""
        batch = self._quickly(data, THREAD_BYTES)
        if batch is None:
            return self._in_parts(data, first)
        return Block(batch, first, batch.num_rows, {}, 0, _Raw(self, data))

    def broken(self, piece: Piece, first: int) -> Block:
        """The one row of a record that does not end."""
        raw = shortened(piece.data.decode("utf-8", "replace").rstrip("\r\n"))
        reject = Reject(first, None, piece.broken or "", raw)
        return Block(self._empty(), first, 1, {}, 0, lambda at: raw, [reject], [])

    def records(self, data: bytes) -> list[bytes]:
        """The records that are rows: of more than one column an empty line is none."""
        found = self._quoted.split(data)
        if len(self._names) == 1:
            return found
        return [one for one in found if one not in (b"\n", b"\r\n", b"\r")]

    def _quickly(self, data: bytes, bytes_each: int) -> pa.RecordBatch | None:
        """What Arrow reads by itself; None where it does not."""
        types = dict(zip(self._plan.sources, self._types, strict=True))
        try:
            table = self._parsed(data, types, bytes_each)
            columns = [_whole(column) for column in table.columns]
            schema = self._plan.schema
            for at, field in enumerate(schema):
                if columns[at].type != field.type:
                    columns[at] = from_texts(columns[at], field.type)
        except (pa.ArrowInvalid, MisfitError, UnicodeDecodeError):
            return None
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _parsed(
        self,
        data: bytes,
        types: Mapping[str, pa.DataType],
        bytes_each: int,
        judge: Callable[[Any], str] | None = None,
    ) -> pa.Table:
        has_quotes = self._dialect.quote.encode() in data
        return pa.csv.read_csv(
            pa.BufferReader(data),
            pa.csv.ReadOptions(
                block_size=bytes_each,
                column_names=self._names,
                use_threads=len(data) > bytes_each,
            ),
            pa.csv.ParseOptions(
                delimiter=self._dialect.delimiter,
                quote_char=self._dialect.quote,
                newlines_in_values=has_quotes,
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

    def _in_parts(self, data: bytes, first: int) -> Block:
        batches, rejects, numbers = [], [], []
        parts: list[tuple[bytes, Any]] = []
        number, at = first, 0
        while at < len(data):
            part = data[at : at + PART_BYTES]
            part = data[at : at + (self._quoted.cut(part) or len(data) - at)]
            at += len(part)
            batch = self._quickly(part, len(part) + 1)
            wrong: Wrong = {}
            count = 0 if batch is None else batch.num_rows
            if batch is None:
                records = self.records(part)
                count = len(records)
                batch, wrong = self._as_texts(records) or self._one_by_one(records)
                rejects += [
                    Reject(number + place, wrong[place][0], wrong[place][1], _shown(records[place]))
                    for place in sorted(wrong)
                ]
            kept = np.flatnonzero(kept_of(count, wrong))
            batches.append(batch)
            parts.append((part, kept))
            numbers.append(kept + number)
            number += count
        batch = pa.concat_batches(batches) if batches else self._empty()
        every: Any = np.concatenate(numbers) if numbers else []
        raw = _RawOfParts(self, parts)
        return Block(batch, first, number - first, {}, 0, raw, rejects, every)

    def _as_texts(self, records: list[bytes]) -> tuple[pa.RecordBatch, Wrong] | None:
        """As `_one_by_one`, by Arrow: columns of text first; None where it cannot."""
        wrong: Wrong = {}

        def judge(row: pa.csv.InvalidRow) -> str:
            wrong[(row.number or 0) - 1] = (None, self._miscounted(row.actual_columns))
            return "skip"

        data = b"".join(records)
        types = dict.fromkeys(self._plan.sources, pa.string())
        try:
            table = self._parsed(data, types, len(data) + 1, judge)
        except pa.ArrowInvalid:
            return None
        if table.num_rows + len(wrong) != len(records):
            return None
        places = [at for at in range(len(records)) if at not in wrong]
        texts = [_whole(column) for column in table.columns]
        batch, misfits = fitted(texts, self._plan.schema, _from_texts)
        wrong |= {places[at]: told for at, told in misfits.items()}
        return without(batch, misfits), wrong

    def _miscounted(self, count: int) -> str:
        return f"it has {count} values, and there are {len(self._names)} columns"

    def _one_by_one(self, records: list[bytes]) -> tuple[pa.RecordBatch, Wrong]:
        """The rows that can be read, and why the others cannot."""
        wrong: Wrong = {}
        rows: list[list[str | None]] = []
        places: list[int] = []
        for place, record in enumerate(records):
            try:
                values = values_of(record.decode(), self._dialect, self._dialect.null_values)
            except UnicodeDecodeError as error:
                column = record[: error.start].count(self._dialect.delimiter.encode())
                byte = record[error.start]
                name = self._names[column] if column < len(self._names) else None
                wrong[place] = (name, f"it is not UTF-8: the byte 0x{byte:02X}")
                continue
            if len(values) != len(self._names):
                wrong[place] = (None, self._miscounted(len(values)))
                continue
            rows.append(values)
            places.append(place)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self._names)
        chosen = [self._names.index(name) for name in self._plan.sources]
        texts = [pa.array(columns[at], pa.string()) for at in chosen]
        batch, misfits = fitted(texts, self._plan.schema, _from_texts)
        wrong |= {places[at]: told for at, told in misfits.items()}
        return without(batch, misfits), wrong

    def _empty(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([], self._plan.schema)


class _Raw:
    """What the records of a block say, taken apart when the first of them is asked for."""

    def __init__(self, rows: _Rows, data: bytes) -> None:
        self._rows = rows
        self._data = data
        self._records: list[bytes] | None = None

    def __call__(self, at: int) -> str:
        if self._records is None:
            self._records = self._rows.records(self._data)
        return _shown(self._records[at])


class _RawOfParts:
    """The same of a block that was read in parts, of which not all rows were taken."""

    def __init__(self, rows: _Rows, parts: list[tuple[bytes, Any]]) -> None:
        self._rows = rows
        self._parts = parts
        self._ends = np.cumsum([len(kept) for _, kept in parts])

    def __call__(self, at: int) -> str:
        number = int(np.searchsorted(self._ends, at, side="right"))
        part, kept = self._parts[number]
        before = int(self._ends[number - 1]) if number else 0
        return _shown(self._rows.records(part)[int(kept[at - before])])


def _shown(record: bytes) -> str:
    return shortened(record.decode("utf-8", "replace").rstrip("\r\n"))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _from_texts(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """As `from_texts`; around values that are no text, blanks do not count, as for Arrow."""
    if not (kinds.is_string(kind) or kinds.is_large_string(kind)):
        texts = pa.compute.utf8_trim_whitespace(texts)
    try:
        return from_texts(texts, kind)
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


def _first_record(quoted: Quoted, head: bytes) -> int:
    """The bytes of the first record."""
    size = 0
    for line in head.splitlines(keepends=True):
        size += len(line)
        if quoted.cut(head[:size] if line.endswith((b"\n", b"\r")) else head[:size] + b"\n"):
            break
    return size


def _check_names(names: tuple[str, ...], file: str) -> None:
    seen: set[str] = set()
    for name in names:
        if not name or not name.strip():
            raise _invalid(f"The header of {file} holds a column without a name.")
        if name.lower() in seen:
            raise _invalid(f"The header of {file} names the column '{name[:80]}' twice.")
        seen.add(name.lower())


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code=ErrorCode.INVALID_DATA)
