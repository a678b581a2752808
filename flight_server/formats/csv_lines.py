"""CSV on its way in: a header that names columns, then rows.

Arrow takes the lines apart, all values as text; what they mean is read by the types of the table.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.formats.fitting import Fitting
from flight_server.formats.json_lines import Source, loaded_json
from flight_server.formats.json_values import array_of
from flight_server.formats.text_values import MisfitError, bytes_of, dates, misfit, moments, times

BLOCK_BYTES = 2**20
HEADER_BYTES_MAX = 2**20
# So many values that Arrow refuses are read one by one; of more, the halves are tried first.
SINGLY_MAX = 64
# Arrow takes the end of a file for a closing quote. This, with a value too many, is put there.
_END = "\x1e"


def read_csv_lines(source: Source, fitting: Fitting) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns of the header, and the rows as batches, read as they come.

    InvalidRequest (invalid_data, schema_mismatch) names the row.
    """
    marked = _Marked(source)
    names = _header(marked.peek_line())
    schema = fitting.columns(names)
    marked.line = _END + "," * len(names)
    return schema, _batches(marked, schema, fitting)


def _header(line: str) -> list[str]:
    """The names in the first line. InvalidRequest."""
    if not line.strip():
        raise _invalid("The CSV is empty: it begins with a line that names the columns.")
    try:
        read = pa.csv.read_csv(
            pa.BufferReader(f"{line}\n".encode()),
            pa.csv.ReadOptions(use_threads=False, block_size=HEADER_BYTES_MAX),
        )
    except pa.ArrowInvalid as error:
        raise _invalid(f"The header of the CSV does not parse: {_reason(error)}.") from None
    names: list[str] = read.schema.names
    return names


def _batches(marked: _Marked, schema: pa.Schema, fitting: Fitting) -> Iterator[pa.RecordBatch]:
    try:
        reader = pa.csv.open_csv(
            marked,
            pa.csv.ReadOptions(
                block_size=BLOCK_BYTES, column_names=schema.names, skip_rows=1, use_threads=False
            ),
            pa.csv.ParseOptions(
                newlines_in_values=True,
                # A null of the only column is an empty line.
                ignore_empty_lines=len(schema) > 1,
                invalid_row_handler=lambda row: _judged(row, marked, fitting),
            ),
            pa.csv.ConvertOptions(
                column_types={name: pa.string() for name in schema.names},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        for batch in reader:
            _refuse_open_quote(batch, marked.line)
            yield fitting.fitted(batch.columns, schema, from_texts)
    except pa.ArrowInvalid as error:
        wrong = _invalid(f"The CSV does not parse: {_reason(error)}.")
        raise (marked.wrong or wrong) from None
    if not marked.is_whole:
        raise _not_closed()


def _refuse_open_quote(batch: pa.RecordBatch, line: str) -> None:
    """The line at the end is in a value where a quote was not closed."""
    if batch.num_rows:
        last = [column[-1].as_py() for column in batch.columns]
        if any(line in value for value in last if value is not None):
            raise _not_closed()


def _not_closed() -> InvalidRequest:
    return _invalid(
        "The CSV ends within quotes: a quote that opens a value is not closed. A quote within "
        "quotes is written twice."
    )


def from_texts(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """What the texts of CSV mean in a column; a null is null. MisfitError."""
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return texts.cast(kind)
    if not _is_bytes(kind):
        # Some programs put every value into quotes.
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
    for is_one, read in _READ:
        if is_one(kind):
            return read(texts, kind)
    if isinstance(kind, pa.UuidType):
        return array_of(texts.to_pylist(), kind)
    return array_of([None if one is None else _loaded(one) for one in texts.to_pylist()], kind)


def _loaded(text: str) -> Any:
    try:
        return loaded_json(text.encode(), "It")
    except InvalidRequest as error:
        raise MisfitError(error.message.removesuffix(".")) from None


def _plainly(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        if len(texts) <= SINGLY_MAX:
            # One by one they are read as JSON's are, which also says what is wrong.
            return array_of(texts.to_pylist(), kind)
    half = len(texts) // 2
    parts = [_plainly(part, kind) for part in (texts.slice(0, half), texts.slice(half))]
    return pa.concat_arrays(parts)


def _booleans(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return texts.cast(pa.bool_())
    except pa.ArrowInvalid:
        for one in texts.to_pylist():
            if one is not None and one.lower() not in ("true", "false", "1", "0"):
                raise misfit(one, "true or false") from None
        raise


def _bool8(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, _booleans(texts, kind).cast(pa.int8()))


def _durations(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    return _plainly(texts, pa.int64()).view(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    plain = kinds.is_binary(kind) or kinds.is_large_binary(kind)
    return bool(plain or kinds.is_fixed_size_binary(kind))


_READ: tuple[
    tuple[Callable[[pa.DataType], bool], Callable[[pa.Array, pa.DataType], pa.Array]], ...
] = (
    (lambda kind: isinstance(kind, pa.Bool8Type), _bool8),
    (kinds.is_integer, _plainly),
    (kinds.is_decimal, _plainly),
    (kinds.is_floating, _plainly),
    (kinds.is_boolean, _booleans),
    (kinds.is_timestamp, moments),
    (kinds.is_date, dates),
    (kinds.is_time, times),
    (kinds.is_duration, _durations),
    (_is_bytes, bytes_of),
)


class _Marked(io.RawIOBase):
    """The bytes of a source with a line added at their end, which must come out as a row."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ahead = b""
        self._last = b"\n"
        self._is_at_end = False
        self.line = _END
        self.is_whole = False
        self.wrong: InvalidRequest | None = None

    def peek_line(self) -> str:
        """The first line that is not empty, which stays to be read."""
        while True:
            self._ahead = self._ahead.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
            end = self._ahead.find(b"\n")
            if end >= 0 or len(self._ahead) > HEADER_BYTES_MAX:
                break
            more = self._source.read(2**16)
            if not more:
                break
            self._ahead += more
        line = self._ahead[:end] if end >= 0 else self._ahead
        try:
            return line.decode().rstrip("\r")
        except UnicodeDecodeError:
            raise _invalid("The CSV is not UTF-8 text.") from None

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The bytes of the source, then the line."""
        part, self._ahead = self._ahead[: len(buffer)], self._ahead[len(buffer) :]
        part = part or self._source.read(len(buffer))
        if part:
            self._last = part[-1:]
        elif not self._is_at_end:
            self._is_at_end = True
            part = b"\n" * (self._last != b"\n") + f"{self.line}\n".encode()
        buffer[: len(part)] = part
        return len(part)


def _judged(row: pa.csv.InvalidRow, marked: _Marked, fitting: Fitting) -> str:
    """Arrow asks what to do with a row that has too many values or too few."""
    if row.text == marked.line:
        marked.is_whole = True
        return "skip"
    # Arrow counts the header.
    number = (row.number or 1) - 1
    reason = f"it has {row.actual_columns} values, and the header names {row.expected_columns}"
    if fitting.report is None:
        marked.wrong = _invalid(f"Row {number} of the CSV does not fit: {reason}.")
        return "error"
    fitting.leave_out(number, reason)
    return "skip"


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0].removeprefix("CSV parse error: ").removesuffix(".")
    return re.sub(r"^Row #(\d+): ", "", text)[:200]


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code=ErrorCode.INVALID_DATA)
