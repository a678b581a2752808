"""What every writer can, and the file that most of them write to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from flight_server.transfer.formats import NONE

_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class WriteOptions:
    """How a file is written: its codec, and for CSV whether names come first, and what between."""

    codec: str = NONE
    header: bool = True
    delimiter: str = ","


@dataclass(frozen=True)
class Written:
    """A file that is on disk, whole: its path, its size, and the SHA-256 of its bytes, as hex."""

    path: Path
    bytes: int
    sha256: str


class Writer(Protocol):
    """Takes batches of one schema. Ends with `close`, or with `abandon` where nothing comes of it.

    `bytes` is about how many have been written so far.
    """

    @property
    def bytes(self) -> int:
        """About how many bytes are written."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one batch. InvalidRequest where a value has no place in the format."""

    def close(self) -> tuple[Written, ...]:
        """Writes what is left; the files are on disk when it returns."""

    def abandon(self) -> None:
        """Stops, and leaves what there is to whoever removes it."""


class HashedFile:
    """A new file whose bytes are counted and hashed as they are written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("xb", buffering=0)
        self._hash = hashlib.sha256()
        self.bytes = 0

    @property
    def closed(self) -> bool:
        """Whether it is."""
        return self._file.closed

    def write(self, data: Any) -> int:
        """All of the bytes."""
        view = memoryview(data).cast("B")
        size = len(view)
        self._hash.update(view)
        while view:
            view = view[self._file.write(view) :]
        self.bytes += size
        return size

    def flush(self) -> None:
        """Nothing is held back."""

    def tell(self) -> int:
        """Where the next byte comes."""
        return self.bytes

    def finish(self) -> Written:
        """Brings it to the disk."""
        os.fsync(self._file.fileno())
        self._file.close()
        return Written(self._path, self.bytes, self._hash.hexdigest())

    def close(self) -> None:
        """Lets go of it, finished or not."""
        self._file.close()


def hashed(path: Path) -> Written:
    """A file that somebody else has written, brought to the disk."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        for piece in _pieces(file):
            digest.update(piece)
            size += len(piece)
        os.fsync(file.fileno())
    return Written(path, size, digest.hexdigest())


def _pieces(file: Any) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        yield piece
