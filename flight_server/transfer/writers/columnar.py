"""Parquet and Arrow's file format: whole columns at a time, with Arrow's own writers."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, Unsupported
from flight_server.formats.batches import holds_dictionary
from flight_server.transfer.formats import NONE
from flight_server.transfer.suiting import Ability, Suiting
from flight_server.transfer.writers.base import HashedFile, WriteOptions, Written
from flight_server.transfer.writers.dictionaries import ArrowFileOfDictionaries
from flight_server.transfer.writers.encodings import encodings

# A group of rows is held in memory until it is whole.
GROUP_ROWS = 500_000
GROUP_BYTES = 32 * 2**20


def _parquet_leaf(kind: pa.DataType) -> pa.DataType | None:
    if kinds.is_decimal(kind) and kind.scale < 0:
        digits = kind.precision - kind.scale
        return pa.decimal128(digits, 0) if digits <= 38 else pa.decimal256(min(digits, 76), 0)
    return None


PARQUET = Ability(
    leaf=_parquet_leaf,
    dictionary=lambda kind: True,
    extension=lambda kind: True,
    list_views=True,
    sorted_maps=True,
)


class ParquetFile:
    """One Parquet file. Arrow's schema stands in it, so that pyarrow gives the types back.

    A group is encoded by a thread while the rows of the next one come: two are held at most.
    """

    def __init__(self, path: Path, schema: pa.Schema, options: WriteOptions) -> None:
        self._suiting = Suiting(schema, PARQUET)
        if not len(schema):
            raise no_columns("parquet")
        self._file = HashedFile(path)
        self._codec = options.codec
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0
        self._encoder = ThreadPoolExecutor(1, "pixelflight-parquet")
        self._group: Future[None] | None = None

    @property
    def bytes(self) -> int:
        """How many bytes are written."""
        return self._file.bytes

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one batch. What the group before it met is raised here."""
        self._pending.append(self._suiting.suited(batch))
        self._pending_rows += batch.num_rows
        self._pending_bytes += batch.nbytes
        if self._pending_rows >= GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
            self._write_group()

    def close(self) -> tuple[Written, ...]:
        """Writes what is left."""
        if self._pending:
            self._write_group()
        self._settle()
        self._encoder.shutdown()
        self._opened(pa.Table.from_batches([], self._suiting.schema)).close()
        return (self._file.finish(),)

    def abandon(self) -> None:
        """Stops. The writer would write its end later, to a file that is closed."""
        self._encoder.shutdown(cancel_futures=True)
        if self._writer is not None:
            with contextlib.suppress(pa.ArrowException, OSError):
                self._writer.close()
        self._file.close()

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._pending, self._suiting.schema)
        self._settle()
        self._group = self._encoder.submit(
            self._opened(group).write_table, group, row_group_size=max(1, group.num_rows)
        )
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _settle(self) -> None:
        if self._group is not None:
            self._group.result()

    def _opened(self, group: pa.Table) -> pq.ParquetWriter:
        """The writer; what the first group's values are like says how they all are encoded."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                pa.PythonFile(self._file, mode="w"),
                group.schema,
                compression=self._codec,
                **encodings(group),
            )
        return self._writer


def open_arrow(path: Path, schema: pa.Schema, options: WriteOptions) -> Any:
    """A writer of Arrow's file format."""
    if any(holds_dictionary(field.type) for field in schema):
        return ArrowFileOfDictionaries(path, schema, options)
    return ArrowFile(path, schema, options)


class ArrowFile:
    """One file in Arrow's format, which holds every type as it is."""

    def __init__(self, path: Path, schema: pa.Schema, options: WriteOptions) -> None:
        self._file = HashedFile(path)
        codec = None if options.codec == NONE else options.codec
        self._writer = pa.ipc.new_file(
            pa.PythonFile(self._file, mode="w"),
            schema,
            options=pa.ipc.IpcWriteOptions(compression=codec),
        )

    @property
    def bytes(self) -> int:
        """How many bytes are written."""
        return self._file.bytes

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes one batch."""
        self._writer.write_batch(batch)

    def close(self) -> tuple[Written, ...]:
        """Writes the footer."""
        self._writer.close()
        return (self._file.finish(),)

    def abandon(self) -> None:
        """Stops."""
        self._file.close()


def no_columns(name: str) -> Unsupported:
    """The error for rows without a single column."""
    return Unsupported(
        f"The format {name} cannot hold rows without columns.", code=ErrorCode.UNSUPPORTED_TYPE
    )
