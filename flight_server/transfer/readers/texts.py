"""The bytes of a file as text in UTF-8: opened where they are compressed, and never too many.

What a file says of its own size is not believed: a small file may hold a large one, so that what
comes out of it is counted.
"""

from __future__ import annotations

import codecs
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded

CHUNK_BYTES = 2**20
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\x04\x22\x4d\x18": "lz4",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Source(Protocol):
    """Something that can be read from any place, several times."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def open(self) -> pa.NativeFile:
        """Its bytes as they are, from the beginning."""


class File:
    """A source, whether or not it is compressed. `bytes_max` bounds what comes out of it."""

    def __init__(
        self, source: Source, compression: str | None, scratch: Path, bytes_max: int
    ) -> None:
        self.source = source
        self._compression = compression
        self.scratch = scratch
        self._bytes_max = bytes_max
        self._raw: pa.NativeFile | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.source.name

    @property
    def position(self) -> int:
        """How many of its bytes have been read, as far as that is known."""
        return 0 if self._raw is None or self._raw.closed else int(self._raw.tell())

    def stream(self) -> Any:
        """Its content, from the beginning; something with `read`."""
        self._raw = self.source.open()
        compression = self._compression or _compression(self._raw)
        if compression is None:
            return self._raw
        opened = (
            _member(self.name, self._raw)
            if compression == "zip"
            else pa.CompressedInputStream(self._raw, compression)
        )
        return _Bounded(opened, self.name, self._bytes_max)

    def seekable(self) -> pa.NativeFile:
        """Its content, to be read from any place; by way of a copy where it is compressed."""
        if self._compression is None:
            self._raw = self.source.open()
            return self._raw
        copy = self.scratch / "opened"
        with self.readable("a compressed file"), copy.open("wb") as target:
            stream = self.stream()
            while data := stream.read(CHUNK_BYTES):
                target.write(data)
        return pa.OSFile(str(copy))

    @contextmanager
    def readable(self, what: str) -> Iterator[None]:
        """A block in which what libraries say of the file's content becomes InvalidRequest."""
        try:
            yield
        except pa.ArrowMemoryError:
            # It is told by whoever has set the bound.
            raise
        except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise InvalidRequest(
                f"{self.name} cannot be read as {what}: {lines[0].removesuffix('.')[:200]}.",
                code=ErrorCode.INVALID_DATA,
            ) from None


class Text:
    """A stream of text as UTF-8 without a mark at its beginning.

    What is UTF-8 already passes as it is, wrong bytes included: whoever takes rows apart tells
    which of them has one. Another encoding has to be named, but for those that a mark names.
    """

    def __init__(self, stream: Any, name: str, encoding: str | None = None) -> None:
        self._stream = stream
        self._name = name
        head = bytes(stream.read(CHUNK_BYTES))
        found, head = _without_mark(head)
        self._decoder = _decoder(found or encoding)
        if self._decoder is None and b"\0" in head[:2]:
            raise InvalidRequest(
                f"{name} is no text in UTF-8. If it is UTF-16, say so: "
                '"options": {"encoding": "utf-16-le"}.',
                code=ErrorCode.INVALID_DATA,
            )
        # Files of old Macs end lines with a return alone.
        self._has_returns = b"\r" in head and b"\n" not in head
        self._ahead = self._decoded(head)

    def read(self, size: int) -> bytes:
        """About so many bytes, at least one unless the end is reached."""
        if self._ahead:
            part, self._ahead = self._ahead[:size], self._ahead[size:]
            return part
        while True:
            data = bytes(self._stream.read(size))
            text = self._decoded(data, is_last=not data)
            if text or not data:
                return text

    def _decoded(self, data: bytes, is_last: bool = False) -> bytes:
        if self._decoder is not None:
            text = self._decoder.decode(data, is_last)
            data = text.encode("utf-8", "surrogatepass")
        return data.replace(b"\r", b"\n") if self._has_returns else data

    def skip(self, size: int) -> None:
        """Reads so many bytes, which somebody has had before."""
        while size > 0:
            data = self.read(min(size, CHUNK_BYTES))
            if not data:
                return
            self._ahead = data[size:] + self._ahead
            size -= len(data)


class _Bounded:
    """A stream that may give so many bytes and no more."""

    def __init__(self, stream: Any, name: str, bytes_max: int) -> None:
        self._stream = stream
        self._name = name
        self._bytes_max = bytes_max
        self._left = bytes_max

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        # A few bytes can become very many: they are asked for in small parts.
        data = bytes(self._stream.read(min(size, CHUNK_BYTES)))
        self._left -= len(data)
        if self._left < 0:
            raise LimitExceeded(
                f"{self._name} decompresses to more than the {self._bytes_max} bytes that are "
                "allowed.",
                code=ErrorCode.TOO_LARGE,
                details={"limit": self._bytes_max},
            )
        return data


def _compression(raw: pa.NativeFile) -> str | None:
    """The compression that a file is in, whatever its name says; it is read from its beginning."""
    start = raw.read(4)
    raw.seek(0)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def _member(name: str, raw: pa.NativeFile) -> Any:
    archive = zipfile.ZipFile(raw)
    names = [one for one in archive.namelist() if not one.endswith("/")]
    if len(names) != 1:
        raise InvalidRequest(f"{name} holds {len(names)} files; a zip archive may hold one only.")
    return archive.open(names[0])


def _without_mark(head: bytes) -> tuple[str | None, bytes]:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding, head[len(mark) :]
    return None, head


def _decoder(encoding: str | None) -> codecs.IncrementalDecoder | None:
    """What brings text of the encoding to Python's; None where it is UTF-8."""
    if encoding is None:
        return None
    try:
        info = codecs.lookup(encoding)
    except LookupError:
        raise InvalidRequest(f"There is no encoding '{encoding[:40]}'.") from None
    if info.name in ("utf-8", "ascii"):
        return None
    if not info._is_text_encoding:
        raise InvalidRequest(f"'{encoding[:40]}' is no encoding of text.")
    return info.incrementaldecoder(_INVALID)


def _marked(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError), "registered for what is read"
    return "\udcff", error.end


# What is not of the encoding becomes what is no UTF-8 either, so that its row is found out.
_INVALID = "pixelflight.invalid"
codecs.register_error(_INVALID, _marked)
