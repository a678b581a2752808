"""Rows from a pipe as they come: what is there is handed on, whole rows, soon after it came."""

from __future__ import annotations

import io
import select
import time
from typing import Any

WAIT_SECONDS = 0.5
# A reader of rows holds a row back until it has seen what follows; from its last bytes alone,
# handed on in a read of their own, it sees that all before them is whole.
HELD_BYTES = 2


class LiveRows(io.RawIOBase):
    """The bytes of a pipe whose writer is slow.

    A read ends when it is full or, where it holds a whole row, some time after its first byte.
    """

    def __init__(self, raw: io.BufferedReader, is_csv: bool) -> None:
        self._raw = raw
        self._is_csv = is_csv
        self._quotes = 0
        self._rest = b""
        self.held = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """What has come, up to the buffer's size."""
        data, self.held = self.held, b""
        data = data or self._waited(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def sample(self, bytes_max: int) -> bytes:
        """What comes first, before `held`; of CSV more than the header, which tells no types."""
        data = self.read(bytes_max) or b""
        while self._is_csv and b"\n" not in (data + self.held).strip():
            more = self.read(bytes_max - len(data))
            if not more:
                break
            data += more
        return data

    def _waited(self, size: int) -> bytes:
        data, self._rest = bytearray(self._rest[:size]), self._rest[size:]
        data += self._raw.read1(size - len(data))
        until = time.monotonic() + WAIT_SECONDS
        while len(data) < size:
            if not _has_more(self._raw, until):
                if end := self._rows_end(data):
                    self._rest, data = bytes(data[end:]), data[:end]
                    self.held = bytes(data[-HELD_BYTES:])
                    self._quotes += data.count(b'"')
                    return bytes(data[:-HELD_BYTES])
                until = time.monotonic() + WAIT_SECONDS
            elif part := self._raw.read1(size - len(data)):
                data += part
            else:
                break
        self._quotes += data.count(b'"')
        return bytes(data)

    def _rows_end(self, data: bytearray) -> int:
        """Where the last whole row ends; 0 where none does. A line's end in quotes ends no row."""
        end = data.rfind(b"\n") + 1
        in_quotes = self._is_csv and (self._quotes + data.count(b'"', 0, end)) % 2
        return end if end > HELD_BYTES and not in_quotes else 0


def _has_more(raw: io.BufferedReader, until: float) -> bool:
    """Whether there is something to read before the time is over."""
    seconds = until - time.monotonic()
    return seconds > 0 and bool(select.select([raw], [], [], seconds)[0])
