"""Text cut into blocks of whole records, at lines' ends that stand within no quotes.

Where quotes are well formed, the cut is found from their number; where they are not, by walking
through the lines as Arrow's reader does. A record that does not end is told as a broken one, and
reading goes on behind its first line: a quote that is not closed costs one row, not the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK_BYTES = 2**20
RECORD_BYTES_MAX = 16 * 2**20
KEPT_BYTES = 2**16

# Where the last whole record of some bytes ends; 0 where none does.
Cut = Callable[[bytes], int]


@dataclass(frozen=True)
class Piece:
    """Bytes of the text: whole records, or one that is broken, and why. `end` is their end."""

    data: bytes
    end: int
    broken: str | None = None


class Pieces:
    """The pieces of a text from a place on. `start` is where the stream stands.

    `has_returns` says that a return alone ends a line, too.
    """

    def __init__(
        self, stream: Any, start: int, cut: Cut, open_reason: str, has_returns: bool = False
    ) -> None:
        self._stream = stream
        self.cut = cut
        self._open_reason = open_reason
        self._has_returns = has_returns
        self._at = start
        self._rest = b""
        self._is_at_end = False

    def __iter__(self) -> Iterator[Piece]:
        """Piece by piece, each after the one before."""
        while group := self.group(1):
            yield group[0]

    def group(self, count: int) -> list[Piece]:
        """The next pieces, at most so many; none at the end. A broken one comes alone."""
        found: list[Piece] = []
        while len(found) < count and self._more():
            # Whether a record is too long is not to depend on where reading began.
            if cut := self.cut(self._rest[:RECORD_BYTES_MAX]):
                found.append(self._taken(cut))
            elif self._is_at_end or len(self._rest) > RECORD_BYTES_MAX:
                # Of a broken one not all is kept, so that nothing before it may be put back.
                if not found:
                    found.append(self._broken())
                break
        return found

    def put_back(self, data: bytes, cut: Cut) -> None:
        """Gives back the end of the last pieces, to be cut in another way, as all from now on."""
        self._rest = data + self._rest
        self._at -= len(data)
        self.cut = cut

    def _more(self) -> bool:
        """Reads on, unless too much is there already."""
        if not self._is_at_end and len(self._rest) <= RECORD_BYTES_MAX:
            data = _whole_read(self._stream, BLOCK_BYTES)
            self._rest = self._rest + data if self._rest else data
            if not data:
                self._is_at_end = True
                if self._rest and not self._rest.endswith(b"\n"):
                    self._rest += b"\n"
        return bool(self._rest) or not self._is_at_end

    def _taken(self, size: int, broken: str | None = None) -> Piece:
        data, self._rest = self._rest[:size], self._rest[size:]
        self._at += size
        return Piece(data, self._at, broken)

    def _broken(self) -> Piece:
        if line := self._first_line(self._rest[:RECORD_BYTES_MAX]):
            return self._taken(line, self._open_reason)
        kept, size = self._rest[: min(KEPT_BYTES, RECORD_BYTES_MAX)], 0
        data, self._rest = self._rest, b""
        while not (end := self._first_line(data)) and not self._is_at_end:
            # A return that is the last byte may be half of a line's end.
            last = data[-1:] if data.endswith(b"\r") else b""
            size += len(data) - len(last)
            read = bytes(self._stream.read(BLOCK_BYTES))
            self._is_at_end = not read
            data = last + read
        end = end or len(data)
        self._rest = data[end:]
        size += end
        self._at += size
        reason = f"it has {size} bytes, and one row may have {RECORD_BYTES_MAX}"
        return Piece(kept, self._at, reason)

    def _first_line(self, data: bytes) -> int:
        """The end of the first line; 0 where there is none."""
        end = data.find(b"\n")
        if self._has_returns:
            back = data.find(b"\r", 0, end if end >= 0 else len(data) - 1)
            if back >= 0 and data[back + 1 : back + 2] != b"\n":
                end = back
        return end + 1


def _whole_read(stream: Any, size: int) -> bytes:
    """So many bytes; fewer at the end only."""
    parts = []
    while size > 0 and (data := bytes(stream.read(size))):
        parts.append(data)
        size -= len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def has_returns(data: bytes) -> bool:
    """Whether a return stands alone somewhere, which ends a record as a line's end does."""
    return b"\r" in data and data.count(b"\r") != data.count(b"\r\n")


def cut_lines(data: bytes) -> int:
    """The end of the last line."""
    return data.rfind(b"\n") + 1


def cut_records(data: bytes) -> int:
    """As `cut_lines`; where there is none, a return alone ends a line. So in CSV."""
    return cut_lines(data) or data.rfind(b"\r", 0, max(len(data) - 1, 0)) + 1


class Quoted:
    """Records of CSV: lines, but not where a line's end stands within quotes."""

    def __init__(self, delimiter: str, quote: str) -> None:
        self._delimiter = delimiter.encode()
        self._quote = quote.encode()
        self._around = np.frombuffer(self._delimiter + self._quote + b"\r\n", np.uint8)

    def cut(self, data: bytes) -> int:
        """The end of the last whole record."""
        if self._quote not in data:
            return cut_records(data)
        places = None if has_returns(data) else self._well_formed(data)
        if places is None:
            return self._walked(data)
        end = data.rfind(b"\n")
        while end >= 0:
            before = int(np.searchsorted(places, end))
            if before % 2 == 0:
                return end + 1
            end = data.rfind(b"\n", 0, int(places[before - 1]))
        return 0

    def split(self, data: bytes) -> list[bytes]:
        """The records, one by one, with their ends. An open one at the end is left as it is."""
        lines = _lines(data)
        if self._quote not in data:
            return lines
        found, pending = [], b""
        for line in lines:
            if not pending and self._quote not in line:
                found.append(line)
                continue
            is_open = self._is_open(line, bool(pending))
            pending += line
            if not is_open:
                found.append(pending)
                pending = b""
        if pending:
            found.append(pending)
        return found

    def _well_formed(self, data: bytes) -> Any:
        """Where quotes stand, if each opens at a value's beginning and closes at its end."""
        bytes_ = np.frombuffer(data, np.uint8)
        places = np.flatnonzero(bytes_ == self._quote[0])
        opening, closing = places[0::2], places[1::2]
        before = bytes_[opening[opening > 0] - 1]
        after = bytes_[closing[closing < len(data) - 1] + 1]
        around = np.concatenate([before, after])
        return places if np.isin(around, self._around).all() else None

    def _walked(self, data: bytes) -> int:
        end = at = 0
        is_open = False
        for line in _lines(data):
            at += len(line)
            if is_open or self._quote in line:
                is_open = self._is_open(line, is_open)
            # A return that is the last byte may be half of a line's end.
            if not is_open and (line.endswith(b"\n") or at < len(data)):
                end = at
        return end

    def _is_open(self, line: bytes, is_open: bool) -> bool:
        """Whether the line ends within quotes, given whether it begins so."""
        at = 0
        if not is_open and line.startswith(self._quote):
            is_open, at = True, 1
        while True:
            if is_open:
                at = line.find(self._quote, at)
                if at < 0:
                    return True
                if line[at + 1 : at + 2] == self._quote:
                    at += 2
                    continue
                is_open = False
            at = line.find(self._delimiter, at)
            if at < 0:
                return False
            at += 1
            if line[at : at + 1] == self._quote:
                is_open, at = True, at + 1


def _lines(data: bytes) -> list[bytes]:
    """Lines with their ends; a return alone ends one, too."""
    return data.splitlines(keepends=True)
