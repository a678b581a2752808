"""What was sent under a token: rows in their order, however they came in batches."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from flight_server.engines.pixeltable.plain_text import is_plain, lines_of
from flight_server.model import IngestMode


class Digest:
    """A digest of rows, of the names of their columns and of the mode that they come in.

    Where the client names the `content`, the name and the number of rows stand for it. It is
    written down as text, and `after` that it goes on with the rows that follow. It guards against
    mistakes, not against forgery.
    """

    def __init__(
        self, mode: IngestMode, schema: pa.Schema, content: str | None, after: str | None = None
    ) -> None:
        names = ",".join(schema.names).lower()
        self._what = hashlib.sha256(f"{mode}:{names}:{content}".encode()).hexdigest()[:32]
        self._is_named = content is not None
        self._is_plain = all(is_plain(arrow) for arrow in schema.types)
        self._rows, self._crc, self._adler = 0, 0, 1
        if after is not None:
            rows, self._what, crc, adler = after.split(":")
            self._rows, self._crc, self._adler = int(rows), int(crc, 16), int(adler, 16)

    def update(self, batch: pa.RecordBatch) -> None:
        """Adds the rows of a batch."""
        self._rows += batch.num_rows
        if self._is_named or not batch.num_rows:
            return
        for data in [lines_of(batch)] if self._is_plain else _texts(batch):
            self._crc = zlib.crc32(data, self._crc)
            self._adler = zlib.adler32(data, self._adler)

    def __str__(self) -> str:
        return f"{self._rows}:{self._what}:{self._crc:x}:{self._adler:x}"


def _texts(batch: pa.RecordBatch) -> Iterator[bytes]:
    """What each row says, of whatever types it is."""
    for row in zip(*(array.to_pylist() for array in batch.columns), strict=True):
        yield repr([_whole(value) for value in row]).encode()


def _whole(value: object) -> object:
    """A value whose text says all of it: NumPy's leaves the middle of large arrays out."""
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
