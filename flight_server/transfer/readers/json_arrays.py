"""JSON as JSON lines: the items of a list, or objects one after another, each on a line.

Done on blocks of bytes: what stands outside of strings tells how deep each byte is. A comma between
items becomes a line's end and a line's end within an item a blank, so that every byte keeps its
place and reading can go on anywhere between two items.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flight_server.errors import ErrorCode, InvalidRequest

_QUOTE, _BACKSLASH, _COMMA, _LINE, _RETURN, _BLANK = (ord(one) for one in '"\\,\n\r ')
_STEPS = np.zeros(256, np.int32)
for _mark in b"[{":
    _STEPS[_mark] = 1
for _mark in b"]}":
    _STEPS[_mark] = -1


class JsonLines:
    """A stream of bytes of JSON that is read as JSON lines."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream = stream
        self._name = name
        self._base: int | None = None
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        self._is_over = False
        self._ahead = b""

    def read(self, size: int) -> bytes:
        """About so many bytes, none at the end. InvalidRequest where the list does not end."""
        if self._ahead:
            part, self._ahead = self._ahead[:size], self._ahead[size:]
            return part
        data = bytes(self._stream.read(size))
        if not data:
            if self._depth or self._is_in_string:
                raise _invalid(f"{self._name} is cut: its JSON does not end.")
            return b""
        return self._turned(data)

    def skip(self, size: int) -> None:
        """Reads so many bytes, which somebody has had before."""
        while size > 0:
            data = self.read(min(size, 2**20))
            if not data:
                return
            self._ahead = data[size:] + self._ahead
            size -= len(data)

    def _turned(self, data: bytes) -> bytes:
        bytes_ = np.frombuffer(data, np.uint8).copy()
        outside = self._outside(bytes_)
        depth = np.cumsum(np.where(outside, _STEPS[bytes_], 0)) + self._depth
        if self._base is None:
            self._base = self._found_base(data)
        top = self._base or 0
        if depth.min() < 0:
            raise _invalid(f"{self._name} is no JSON: more is closed than was opened.")
        if top:
            self._check_end(bytes_, depth)
            # The list's own brackets, and what stands between its items.
            opens = (bytes_ == ord("[")) & outside & (depth == 1)
            first: Any = np.flatnonzero(opens)[:1] if self._depth == 0 else []
            bytes_[first] = _LINE
            closes = (bytes_ == ord("]")) & outside & (depth == 0)
            bytes_[closes] = _LINE
            commas = (bytes_ == _COMMA) & outside & (depth == top)
            bytes_[commas] = _LINE
            ends = (bytes_ == _LINE) & outside & (depth >= top)
            between = commas.copy()
            between[first] = True
            bytes_[ends & ~between] = _BLANK
        else:
            inner = ((bytes_ == _LINE) | (bytes_ == _RETURN)) & outside & (depth > 0)
            bytes_[inner] = _BLANK
        self._depth = int(depth[-1])
        return bytes_.tobytes()

    def _outside(self, bytes_: Any) -> Any:
        """Which bytes are not within strings; the quotes themselves are outside."""
        is_quote = bytes_ == _QUOTE
        slashes = np.flatnonzero(bytes_ == _BACKSLASH)
        if len(slashes) or self._is_escaped:
            is_quote[self._escaped(slashes, len(bytes_))] = False
        inside = (np.cumsum(is_quote) + self._is_in_string) % 2 == 1
        self._is_in_string = bool(inside[-1])
        outside: Any = ~inside | is_quote
        return outside

    def _escaped(self, slashes: Any, size: int) -> Any:
        """The places that a backslash before them takes the meaning of."""
        starts = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
        lengths = np.diff(starts, append=len(slashes))
        # In a row of backslashes every other one is itself what the one before it escapes.
        within = np.arange(len(slashes)) - np.repeat(starts, lengths)
        if self._is_escaped and len(slashes) and slashes[0] == 0:
            within[: lengths[0]] += 1
        escaped = slashes[within % 2 == 0] + 1
        if self._is_escaped:
            escaped = np.concatenate([[0], escaped])
        self._is_escaped = bool(len(escaped)) and int(escaped[-1]) == size
        return escaped[:-1] if self._is_escaped else escaped

    def _found_base(self, data: bytes) -> int | None:
        start = data.lstrip()[:1]
        if start not in (b"[", b"{", b""):
            raise _invalid(f"{self._name} is no JSON of rows: it begins with neither [ nor {{.")
        return None if not start else int(start == b"[")

    def _check_end(self, bytes_: Any, depth: Any) -> None:
        """InvalidRequest where something follows the list's end."""
        ends = np.flatnonzero((depth == 0) & (bytes_ == ord("]")))
        rest = bytes_[int(ends[0]) + 1 :] if len(ends) else bytes_ if self._is_over else b""
        if len(rest) and bytes(rest).strip():
            raise _invalid(f"{self._name} goes on behind the end of its list.")
        self._is_over = self._is_over or bool(len(ends))


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code=ErrorCode.INVALID_DATA)
