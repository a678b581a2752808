"""CSV: where the header and the rows of a file are, and the rows in blocks of whole records.

Records are taken to be lines until a block shows that they are not: `delimited_rows` finds that
out as it reads, and from then on quotes are looked at before a block is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.formats.inference import (
    COLUMNS_MAX,
    SAMPLE_BYTES_MAX,
    Dialect,
    from_delimited,
)
from flight_server.transfer.readers.base import Block, Plan, Probe, ReadOptions
from flight_server.transfer.readers.delimited_rows import DelimitedRows
from flight_server.transfer.readers.records import Pieces, Quoted, cut_records
from flight_server.transfer.readers.texts import File, Text
from flight_server.transfer.readers.values import values_of

DELIMITERS = ",;\t|"
_OPEN = (
    "it ends within quotes: a quote that opens a value is not closed. A quote within quotes is "
    "written twice"
)


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
        whole = self._head
        if len(whole) < SAMPLE_BYTES_MAX and not whole.endswith(b"\n"):
            whole += b"\n"
        # A record that the sample cuts has part of a value, which may look like another type.
        sample = (whole[: self._quoted.cut(whole)] or whole).decode("utf-8", "replace").encode()
        sample = self._after_skipped(sample)
        names = self._names()
        _check_names(names, self._file.name)
        body = sample[self._header_bytes(sample) :]
        dialect = Dialect(
            self._dialect.delimiter, self._dialect.quote, names, self._dialect.null_values
        )
        try:
            return Probe(from_delimited(body, dialect).schema)
        except InvalidRequest:
            # No row of the sample is whole. What each of them lacks is told as it is read.
            return Probe(pa.schema([(name, pa.string()) for name in names]))

    def blocks(self, plan: Plan, start: Mapping[str, Any]) -> Iterator[Block]:
        """The rows."""
        text = self._text()
        at, number = int(start.get("offset", 0)), int(start.get("row", 0)) + 1
        if not at:
            at = self._before_rows()
        text.skip(at)
        rows = DelimitedRows(self._names(), plan, self._dialect, self._quoted)
        pieces = Pieces(text, at, cut_records, _OPEN, has_returns=True)
        with ThreadPoolExecutor(pa.cpu_count(), "pixelflight-csv") as threads:
            for block, end in self._read(pieces, rows, threads):
                block.number_from(number)
                number += block.rows
                block.end = {"offset": end, "row": number - 1}
                block.position = self._file.position
                yield block

    def _read(
        self, pieces: Pieces, rows: DelimitedRows, threads: Executor
    ) -> Iterator[tuple[Block, int]]:
        """Blocks, and where each ends; they are numbered from 1."""
        while group := pieces.group(pa.cpu_count()):
            if reason := group[0].broken:
                yield rows.broken(group[0].data, reason), group[0].end
                continue
            read = rows.read_lines if pieces.cut is cut_records else rows.read
            parts = [piece.data for piece in group]
            for at, found in enumerate(threads.map(read, parts)):
                if found is None:
                    pieces.put_back(b"".join(parts[at:]), self._quoted.cut)
                    break
                if isinstance(found, Block):
                    yield found, group[at].end
                    continue
                end = group[at].end - len(parts[at])
                for block, size in rows.apart(found):
                    end += size
                    yield block, end

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
        if len(self._head) >= SAMPLE_BYTES_MAX and not record.endswith((b"\r", b"\n")):
            raise _invalid(
                f"The header of {self._file.name} does not end within its first "
                f"{SAMPLE_BYTES_MAX} bytes."
            )
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


def _first_record(quoted: Quoted, head: bytes) -> int:
    """The bytes of the first record."""
    size = 0
    for line in head.splitlines(keepends=True):
        size += len(line)
        # However the line ends, it is over where no quote is open.
        if quoted.cut(head[:size].rstrip(b"\r\n") + b"\n"):
            break
    return size


def _check_names(names: tuple[str, ...], file: str) -> None:
    if len(names) > COLUMNS_MAX:
        raise _invalid(f"{file} has {len(names)} columns; {COLUMNS_MAX} are allowed.")
    seen: set[str] = set()
    for name in names:
        if not name or not name.strip():
            raise _invalid(f"The header of {file} holds a column without a name.")
        if name.lower() in seen:
            raise _invalid(f"The header of {file} names the column '{name[:80]}' twice.")
        seen.add(name.lower())


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code=ErrorCode.INVALID_DATA)
