"""CSV, JSON and JSON lines. Their text is what `flight_server.formats` makes of the values.

Batches become text in a few threads, each compressed by itself: one gzip member or zstd frame
after another is as good a file as a single one.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from flight_server.formats.batches import resized
from flight_server.formats.csv_rows import CsvWriter
from flight_server.formats.json_rows import JsonWriter
from flight_server.transfer.writers.base import HashedFile, WriteOptions, Written

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Text takes a few times as many bytes as the batch it is made of.
BATCH_BYTES = 2**20
THREADS_MAX = 4
GZIP_LEVEL = 4
ZSTD_LEVEL = 3
Encode = Callable[[pa.RecordBatch, bool], list[Any]]


def open_csv(path: Path, schema: pa.Schema, options: WriteOptions) -> TextFile:
    """Lines of values, under one of names unless the options say otherwise."""
    writer = CsvWriter(schema, options.delimiter)
    header = writer.header()
    return TextFile(
        path,
        options.codec,
        lambda batch, is_first: writer.rows(batch),
        header if options.header else [],
    )


def open_json(path: Path, schema: pa.Schema, options: WriteOptions) -> TextFile:
    """One list of objects, one a line."""
    writer = JsonWriter(schema)

    def encode(batch: pa.RecordBatch, is_first: bool) -> list[Any]:
        written = writer.rows(batch, before=",\n", after="")
        return [written[0][1:], *written[1:]] if is_first else written

    return TextFile(path, options.codec, encode, [b"["], [b"\n]\n"])


def open_json_lines(path: Path, schema: pa.Schema, options: WriteOptions) -> TextFile:
    """Objects, one a line."""
    writer = JsonWriter(schema)
    return TextFile(path, options.codec, lambda batch, is_first: writer.rows(batch))


class TextFile:
    """A file of text that is made in threads and written in order."""

    def __init__(
        self,
        path: Path,
        codec: str,
        encode: Encode,
        start: Iterable[bytes] = (),
        end: Iterable[bytes] = (),
    ) -> None:
        self._file = HashedFile(path)
        self._compress = _COMPRESS.get(codec)
        self._encode = encode
        self._end = list(end)
        self._threads = min(os.cpu_count() or 1, THREADS_MAX)
        self._pool = ThreadPoolExecutor(self._threads, "pixelflight-write")
        self._coming: deque[Future[list[Any]]] = deque()
        self._is_first = True
        self._put(self._compressed(list(start)) if start else [])

    @property
    def bytes(self) -> int:
        """How many bytes are written."""
        return self._file.bytes

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one batch."""
        for part in resized([batch], BATCH_BYTES):
            self._coming.append(self._pool.submit(self._made, part, self._is_first))
            self._is_first = False
            while len(self._coming) > self._threads:
                self._put(self._coming.popleft().result())

    def close(self) -> tuple[Written, ...]:
        """Writes what is left."""
        while self._coming:
            self._put(self._coming.popleft().result())
        self._pool.shutdown()
        if self._end or not self._file.bytes:
            # A compressed file of nothing has a beginning and an end all the same.
            self._put(self._compressed(self._end))
        return (self._file.finish(),)

    def abandon(self) -> None:
        """Stops."""
        self._pool.shutdown(cancel_futures=True)
        self._file.close()

    def _made(self, batch: pa.RecordBatch, is_first: bool) -> list[Any]:
        return self._compressed(self._encode(batch, is_first))

    def _compressed(self, pieces: list[Any]) -> list[Any]:
        return pieces if self._compress is None else [self._compress(b"".join(pieces))]

    def _put(self, pieces: Iterable[Any]) -> None:
        for piece in pieces:
            self._file.write(piece)


_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": partial(gzip.compress, compresslevel=GZIP_LEVEL, mtime=0),
    "zstd": partial(zstd.compress, level=ZSTD_LEVEL),
}
