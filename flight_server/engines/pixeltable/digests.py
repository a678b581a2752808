"""What was sent under a token: rows in their order, however they came in batches."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from flight_server.engines.pixeltable.plain_text import is_plain, lines_of
from flight_server.model import IngestMode


class Digest:
    """A digest of rows and of the names of their columns.

    Where the client names the `content`, the name and the number of rows stand for it.
    """

    def __init__(self, mode: IngestMode, schema: pa.Schema, content: str | None) -> None:
        names = ",".join(schema.names).lower()
        self._hash = hashlib.sha256(f"{mode}:{names}:{content}".encode())
        self._is_named = content is not None
        self._is_plain = all(is_plain(arrow) for arrow in schema.types)
        self._rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Adds the rows of a batch."""
        self._rows += batch.num_rows
        if self._is_named or not batch.num_rows:
            return
        if self._is_plain:
            self._hash.update(lines_of(batch))
            return
        for row in zip(*(array.to_pylist() for array in batch.columns), strict=True):
            self._hash.update(repr([_whole(value) for value in row]).encode())

    def __str__(self) -> str:
        return f"{self._rows}:{self._hash.hexdigest()}"


def _whole(value: object) -> object:
    """A value whose text says all of it: NumPy's leaves the middle of large arrays out."""
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
