"""Rows that are set aside: kept on disk until the rows beside them are written."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from flight_server.transfer.readers import Reject

REJECTED = "rejected"
# `row` counts the rows of the file from 1; `raw` is what the file says there.
SCHEMA = pa.schema(
    [
        pa.field("job_id", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("column", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("raw", pa.string(), nullable=False),
    ]
)


class RejectedRows:
    """Any number of rows, in a file of the job's folder."""

    def __init__(self, folder: Path, job_id: str) -> None:
        self._path = folder / "rejected.arrows"
        self._job_id = job_id
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._file: pa.NativeFile | None = None
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        self._path.unlink(missing_ok=True)

    def add(self, rejects: list[Reject]) -> None:
        """Keeps rows."""
        if self._writer is None:
            self._file = pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_stream(self._file, SCHEMA)
        columns = [
            [self._job_id] * len(rejects),
            [one.row for one in rejects],
            [one.column for one in rejects],
            [one.reason for one in rejects],
            [one.raw for one in rejects],
        ]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
        self.count += len(rejects)

    def reader(self) -> pa.RecordBatchReader:
        """All that were kept."""
        self._close()
        return pa.ipc.open_stream(pa.OSFile(str(self._path)))

    def _close(self) -> None:
        if self._writer is not None and self._file is not None:
            self._writer.close()
            self._file.close()
            self._writer = None
