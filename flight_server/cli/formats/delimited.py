"""CSV, read in blocks: types from a large sample or from the table, errors with their line.

Arrow's streaming reader infers types from its first block alone and does not count lines. So the
sample is larger than a block, and after an error the file is read once more to find the line. It
takes the end of the file for a closing quote, too, so a mark is put there that must come out whole.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv

from flight_server.cli.formats.files import InputFile, check_text, is_tab_separated
from flight_server.cli.formats.kinds import Hints
from flight_server.errors import ErrorCode, InvalidRequest

SAMPLE_BYTES = 16 * 2**20
BLOCK_BYTES = 4 * 2**20
DELIMITERS = ",;\t|"
# The last line that Arrow is given has one value too many, the first of them this one.
END_MARK = "\x1e"
# No value that Arrow can read is longer; one that is comes from a quote that is not closed.
csv.field_size_limit(4 * BLOCK_BYTES)


def open_delimited(file: InputFile, hints: Hints) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The schema and the batches of a CSV file with a header line.

    InvalidRequest (invalid_data) names the file, the line and the value that does not fit.
    """
    sample = file.sample(SAMPLE_BYTES)
    check_text(file, sample)
    if not sample.strip():
        raise _invalid(f"{file} is empty; a CSV file begins with a line of column names.")
    parsing = pa.csv.ParseOptions(
        delimiter=hints.delimiter or _delimiter(file, sample), newlines_in_values=True
    )
    schema = _inferred(file, sample, parsing, hints)
    reading = pa.csv.ReadOptions(block_size=BLOCK_BYTES)
    if len(schema) == 1:
        # A null of the only column is an empty line; those before the header are none.
        parsing.ignore_empty_lines = False
        reading.skip_rows = sample[: -len(sample.lstrip(b"\r\n"))].count(b"\n")
    types = {field.name: hints.type_of(field.name, field.type) for field in schema}
    return pa.schema(list(types.items())), _batches(file, reading, parsing, hints, types)


def _batches(
    file: InputFile,
    reading: pa.csv.ReadOptions,
    parsing: pa.csv.ParseOptions,
    hints: Hints,
    types: dict[str, pa.DataType],
) -> Iterator[pa.RecordBatch]:
    marked = _Marked(file.open(), END_MARK + parsing.delimiter * len(types))
    parsing.invalid_row_handler = marked.judge
    try:
        yield from pa.csv.open_csv(
            marked,
            read_options=reading,
            parse_options=parsing,
            convert_options=_converting(hints, types),
        )
    except pa.lib.ArrowInvalid as error:
        raise _invalid(_explain(str(error), file, parsing.delimiter, list(types))) from None
    if not marked.is_whole:
        raise _invalid(_not_closed(file, _open_quote(file, parsing.delimiter)))


def _inferred(
    file: InputFile, sample: bytes, parsing: pa.csv.ParseOptions, hints: Hints
) -> pa.Schema:
    """The schema of whole lines in the sample; lines that are wrong are found out later."""
    if len(sample) == SAMPLE_BYTES:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    try:
        schema = pa.csv.read_csv(
            io.BytesIO(sample),
            read_options=pa.csv.ReadOptions(block_size=len(sample) + 1, use_threads=False),
            parse_options=pa.csv.ParseOptions(
                delimiter=parsing.delimiter,
                newlines_in_values=True,
                invalid_row_handler=lambda row: "skip",
            ),
            convert_options=_converting(hints, {}),
        ).schema
    except pa.lib.ArrowInvalid as error:
        raise _invalid(_explain(str(error), file, parsing.delimiter, [])) from None
    if any(pa.types.is_binary(f.type) for f in schema) or not _is_utf8(sample.split(b"\n", 1)[0]):
        # What is no text in UTF-8 is taken for bytes by Arrow, and names are not looked at.
        raise _invalid(_not_utf8(file))
    for name, count in Counter(schema.names).items():
        if count > 1:
            raise _invalid(f"The header of {file} names the column '{name}' {count} times.")
        if not name.strip():
            raise _invalid(f"The header of {file} holds a column without a name.")
    return schema


def _converting(hints: Hints, types: dict[str, pa.DataType]) -> pa.csv.ConvertOptions:
    """An empty field is null, as it is where we write it; in quotes it is empty text."""
    return pa.csv.ConvertOptions(
        column_types=types,
        null_values=["", *hints.nulls],
        strings_can_be_null=True,
        quoted_strings_can_be_null="" in hints.nulls,
    )


def _delimiter(file: InputFile, sample: bytes) -> str:
    """What stands most often in the header line; a comma where nothing does."""
    if is_tab_separated(file.path):
        return "\t"
    header = sample.split(b"\n", 1)[0].decode("utf-8", "replace")
    return max(DELIMITERS, key=lambda mark: (header.count(mark), mark == ","))


def _explain(message: str, file: InputFile, delimiter: str, names: list[str]) -> str:
    conversion = re.search(r"column #(\d+): .*?error to (.+?): (?:invalid value '(.*)')?", message)
    if "invalid UTF8" in message:
        return _not_utf8(file)
    if line := _open_quote(file, delimiter):
        return _not_closed(file, line)
    if "straddl" in message:
        return f"{file} holds a row longer than {BLOCK_BYTES} bytes, or a quote is not closed."
    if conversion and conversion[3] is not None:
        at, kind, value = int(conversion[1]), conversion[2], conversion[3]
        line = _find(file, delimiter, lambda row: at < len(row) and row[at].strip() == value)
        name = names[at] if at < len(names) else f"#{at + 1}"
        return (
            f"{file}{line}: the column '{name}' is {kind}, but here it holds '{value}'. "
            f"Mend the line, or say that this spelling means null with --null '{value}', or, for "
            f"a new table, choose another type with --type '{name}={_wider(kind, value)}'."
        )
    if counts := re.search(r"Expected (\d+) columns, got (\d+)", message):
        expected, got = int(counts[1]), int(counts[2])
        line = _find(file, delimiter, lambda row: bool(row) and len(row) != expected)
        return f"{file}{line}: {got} values, but the header names {expected} columns."
    return f"{file} cannot be read as CSV: {message.splitlines()[0]}."


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_utf8(file: InputFile) -> str:
    return (
        f"{file} is not UTF-8. Convert it first, for example: "
        f"iconv -f latin1 -t utf-8 {file.path} > utf8.csv"
    )


def _wider(kind: str, value: str) -> str:
    """The type that holds the column's other values and this one."""
    is_number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value)
    return "double" if kind.startswith(("int", "uint")) and is_number else "string"


def _not_closed(file: InputFile, line: str) -> str:
    return (
        f"{file}{line}: the quote that opens {'here' if line else 'a value'} is not closed, so all "
        "that follows would be one value. Close it; a quote within a quoted value is written twice."
    )


def _open_quote(file: InputFile, delimiter: str) -> str:
    """`, line N` of the quote that is not closed; nothing where all are, or for standard input."""
    if file.is_stdin:
        return ""
    last: list[str] = []
    start = end = 0
    with _text(file) as text:
        rows = csv.reader(itertools.chain(text, ["\n", END_MARK]), delimiter=delimiter)
        try:
            for row in rows:
                last, start, end = row, end + 1, rows.line_num
        except csv.Error:
            return f", line {end + 1}"
    if last == [END_MARK]:
        return ""
    return f", line {start + sum(value.count(chr(10)) for value in last[:-1])}"


def _find(file: InputFile, delimiter: str, is_wrong: Callable[[list[str]], bool]) -> str:
    """`, line N` of the first row that is wrong; nothing where the file cannot be read again."""
    if file.is_stdin:
        return ""
    with _text(file) as text:
        rows = csv.reader(text, delimiter=delimiter)
        next(rows, None)
        try:
            for row in rows:
                if is_wrong(row):
                    return f", line {rows.line_num}"
        except csv.Error:
            return ""
    return ""


def _text(file: InputFile) -> io.TextIOWrapper:
    return io.TextIOWrapper(_Buffered(file.open()), "utf-8", "replace", newline="")


class _Marked(io.RawIOBase):
    """A stream with a line added at its end, which is a row by itself or part of an open quote.

    `is_whole` says whether the line has come out as a row.
    """

    def __init__(self, stream: Any, line: str) -> None:
        self._stream = stream
        self._line = line
        self._rest = f"{line}\n".encode()
        self._last = b"\n"
        self.is_whole = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The bytes of the stream, then the line."""
        part = self._stream.read(len(buffer))
        if part:
            self._last = part[-1:]
        else:
            part = b"\n" * (self._last != b"\n") + self._rest if self._rest else b""
            self._rest = b""
        buffer[: len(part)] = part
        return len(part)

    def judge(self, row: pa.csv.InvalidRow) -> str:
        """Arrow asks what to do with a row that has too many values or too few."""
        if row.text != self._line:
            return "error"
        self.is_whole = True
        return "skip"


class _Buffered(io.BufferedReader):
    """Arrow's streams as buffers of Python."""

    def __init__(self, stream: object) -> None:
        super().__init__(stream, 2**20)  # type: ignore[arg-type]  # they have what is needed


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code=ErrorCode.INVALID_DATA)
