"""Content encodings: which one an answer gets, and the two that we speak, a piece at a time."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

from flight_server.errors import ErrorCode, InvalidRequest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Speed is worth more than the last tenth of size: rows are compressed as they stream.
GZIP_LEVEL = 1
ZSTD_LEVEL = 1
# How much a compressed body may grow before somebody looks at it.
PIECE_BYTES = 2**18

_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class Encoder(Protocol):
    """Compresses an answer."""

    def encode(self, piece: bytes) -> bytes:
        """What the client needs to read everything up to here."""

    def finish(self, piece: bytes) -> bytes:
        """The last piece, and the end."""


class Decoder(Protocol):
    """Decompresses a request's body."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing at the end."""

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """What the piece holds, in parts of bounded size. InvalidRequest (invalid_data)."""


class _GzipEncoder:
    def __init__(self) -> None:
        self._stream = zlib.compressobj(GZIP_LEVEL, wbits=_GZIP_WINDOW)

    def encode(self, piece: bytes) -> bytes:
        return self._stream.compress(piece) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self, piece: bytes) -> bytes:
        return self._stream.compress(piece) + self._stream.flush()


class _ZstdEncoder:
    def __init__(self) -> None:
        self._stream = zstd.ZstdCompressor(level=ZSTD_LEVEL)

    def encode(self, piece: bytes) -> bytes:
        return self._stream.compress(piece, zstd.ZstdCompressor.FLUSH_BLOCK)

    def finish(self, piece: bytes) -> bytes:
        return self._stream.compress(piece, zstd.ZstdCompressor.FLUSH_FRAME)


class _GzipDecoder:
    """gzip: members may follow each other, as `cat a.gz b.gz` makes them."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=_GZIP_WINDOW)
        self._is_begun = False

    @property
    def is_complete(self) -> bool:
        return self._stream.eof or not self._is_begun

    def decode(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._stream.eof:
                self._stream = zlib.decompressobj(wbits=_GZIP_WINDOW)
            self._is_begun = True
            try:
                part = self._stream.decompress(piece, PIECE_BYTES)
            except zlib.error:
                raise _damaged("gzip") from None
            piece = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            yield part


class _ZstdDecoder:
    """zstd: frames may follow each other, too."""

    def __init__(self) -> None:
        self._stream = zstd.ZstdDecompressor()
        self._is_begun = False

    @property
    def is_complete(self) -> bool:
        return self._stream.eof or not self._is_begun

    def decode(self, piece: bytes) -> Iterator[bytes]:
        while piece or not (self._stream.eof or self._stream.needs_input):
            if self._stream.eof:
                self._stream = zstd.ZstdDecompressor()
            self._is_begun = True
            try:
                part = self._stream.decompress(piece, PIECE_BYTES)
            except zstd.ZstdError:
                raise _damaged("zstd") from None
            piece = self._stream.unused_data if self._stream.eof else b""
            yield part


# The better comes first: it is taken where a client likes several equally well.
ENCODERS: dict[str, type[Encoder]] = {"zstd": _ZstdEncoder, "gzip": _GzipEncoder}
DECODERS: dict[str, type[Decoder]] = {
    "zstd": _ZstdDecoder,
    "gzip": _GzipDecoder,
    "x-gzip": _GzipDecoder,
}


def preferred(accepted: str) -> str | None:
    """The encoding that a client's `Accept-Encoding` asks for; None sends the answer as it is."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, rest = part.partition(";")
        weights[name.strip()] = _weight(rest)
    best = max(ENCODERS, key=lambda name: weights.get(name, weights.get("*", 0.0)))
    weight = weights.get(best, weights.get("*", 0.0))
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weight(text: str) -> float:
    """The number in `q=0.5`; 1 where there is none, 0 where it is no number."""
    name, _, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _damaged(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"The body is not {name}, as its Content-Encoding says, or it is damaged.",
        code=ErrorCode.INVALID_DATA,
    )
