"""Rows laid into files of Parquet that a lake takes as its own.

They are encoded here, once, and the server reads their footers only. DuckLake sums up what the
footers say of the groups of a file, and that is right only where the groups are alike: a file ends
where a column begins or ceases to hold nothing but nulls, or has its first NaN. Of a column with
NaN a file says nothing, since Arrow leaves NaN out of the largest value and DuckDB does not.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as kinds

from flight_server.engines.lake.types import is_plain
from flight_server.model import Staged, TableSpec
from flight_server.setting_values import Compression, Durability
from flight_server.settings import Settings
from flight_server.transfer.writers.encodings import encodings

# A group of rows is held in memory until it is whole.
GROUP_ROWS = 500_000
GROUP_BYTES = 32 * 2**20
# Several files of this size are read by several at once; far larger ones are no faster.
FILE_BYTES_MAX = 128 * 2**20
# Of longer values Arrow's statistics do not say which is the smallest and the largest.
TOLD_BYTES_MAX = 4096


def suits(settings: Settings, folder: Path, schema: pa.Schema, spec: TableSpec | None) -> bool:
    """Whether the lake is likely to take files of this schema from the folder as they are.

    `spec` is the table's, None where it is to be made. The server decides; this only spares it
    from reading files again that it cannot take.
    """
    chosen = settings.lake_files
    if settings.lake_encrypted or (chosen is not None and "://" in chosen):
        return False
    lake = settings.data / "lake" / "files" if chosen is None else Path(chosen)
    if not lake.is_dir() or lake.stat().st_dev != folder.stat().st_dev:
        return False
    if spec is not None and (spec.constraints or spec.checks or spec.partition_by):
        return False
    table = schema if spec is None else spec.schema
    return sorted(table.names) == sorted(schema.names) and all(
        is_plain(field) and schema.field(field.name).type.equals(field.type) for field in table
    )


class StagedFiles:
    """Takes the rows of one put. Ends with `close`, or with `abandon` where nothing comes of it.

    A group is encoded by a thread while the rows of the next one come: two are held at most. Files
    that are whole go to the disk by another, so that the commit finds them there.
    """

    def __init__(self, folder: Path, schema: pa.Schema, settings: Settings) -> None:
        self._folder = folder
        self._schema = schema
        # Whether a null may be there is for the server to say.
        self._kept = pa.schema([pa.field(field.name, field.type) for field in schema])
        codec = settings.lake_compression
        self._codec = "none" if codec is Compression.UNCOMPRESSED else codec.value
        self._flushes = settings.durability is Durability.FLUSH
        self._names: list[str] = []
        self._rows = self._bytes = 0
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0
        self._file: _File | None = None
        self._encoder = ThreadPoolExecutor(1, "pixelflight-staging")
        self._group: Future[None] | None = None
        self._flusher = ThreadPoolExecutor(1, "pixelflight-staging-flush")
        self._flushed: list[Future[None]] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one batch. What the group before it met is raised here."""
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self._pending_bytes += batch.nbytes
        if self._pending_rows >= GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
            self._write_group()

    def close(self) -> Staged:
        """Writes what is left; the files are whole when it returns."""
        if self._pending_rows:
            self._write_group()
        self._settle()
        self._encoder.shutdown()
        self._end_file()
        for file in self._flushed:
            file.result()
        self._flusher.shutdown()
        names = tuple(f"{self._folder.name}/{name}" for name in self._names)
        return Staged(names, self._rows, self._bytes)

    def abandon(self) -> None:
        """Stops. Whoever has the folder removes the files."""
        self._encoder.shutdown(cancel_futures=True)
        self._flusher.shutdown(cancel_futures=True)
        if self._file is not None:
            with contextlib.suppress(pa.ArrowException, OSError):
                self._file.close()

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._pending, self._schema).cast(self._kept)
        self._settle()
        self._group = self._encoder.submit(self._encode, group)
        self._rows += self._pending_rows
        self._bytes += self._pending_bytes
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _settle(self) -> None:
        if self._group is not None:
            self._group.result()
            self._group = None

    def _encode(self, group: pa.Table) -> None:
        alike = _Alike(group)
        if self._file is not None and self._file.alike != alike:
            self._end_file()
        if self._file is None:
            self._names.append(f"{uuid.uuid4().hex}.parquet")
            self._file = _File(self._folder / self._names[-1], group, alike, self._codec)
        if self._file.write(group) >= FILE_BYTES_MAX:
            self._end_file()

    def _end_file(self) -> None:
        if self._file is not None:
            self._file.close()
            if self._flushes:
                self._flushed.append(self._flusher.submit(self._file.flush))
        self._file = None


class _Alike:
    """What all groups of a file have in common."""

    def __init__(self, group: pa.Table) -> None:
        columns = list(zip(group.column_names, group.columns, strict=True))
        self.empty = {name for name, column in columns if column.null_count == len(column)}
        self.with_nan = {name for name, column in columns if _has_nan(column)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Alike) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


def _has_nan(column: pa.ChunkedArray) -> bool:
    return kinds.is_floating(column.type) and bool(pc.any(pc.is_nan(column)).as_py())


class _File:
    """One file that grows by groups of rows."""

    def __init__(self, path: Path, first: pa.Table, alike: _Alike, codec: str) -> None:
        self._path = path
        self.alike = alike
        told = [name for name in first.column_names if name not in alike.with_nan]
        self._writer = pq.ParquetWriter(
            path,
            first.schema,
            compression=codec,
            write_statistics=told,
            **encodings(first),
        )

    def write(self, group: pa.Table) -> int:
        """One more group; how large the file is by now."""
        self._writer.write_table(group, row_group_size=group.num_rows)
        return os.stat(self._path).st_size

    def close(self) -> None:
        """Writes the footer."""
        self._writer.close()

    def flush(self) -> None:
        """Brings it to the disk."""
        with self._path.open("rb") as file:
            os.fsync(file.fileno())


def can_be_told(batches: Iterable[pa.RecordBatch]) -> bool:
    """Whether files can say of these rows what DuckLake has to know: not of long texts."""
    return all(
        (pc.max(pc.binary_length(column)).as_py() or 0) <= TOLD_BYTES_MAX
        for batch in batches
        for column in batch.columns
        if kinds.is_string(column.type) or kinds.is_large_string(column.type)
    )


def taken_until(batches: Iterator[pa.RecordBatch], least: int) -> tuple[list[pa.RecordBatch], bool]:
    """The first batches, and whether they have so many bytes, or a row; else there are no more."""
    taken, size = [], 0
    for batch in batches:
        taken.append(batch)
        size += batch.nbytes
        if size >= max(least, 1):
            return taken, True
    return taken, False
