"""Rows that were read and wait to be sent: in memory while they are few, else in a file.

No statement or transaction of Pixeltable's database stays open while bytes travel: whoever alters
the table would wait for it, and everybody else for them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import pyarrow as pa

MEMORY_BYTES_MAX = 32 * 2**20


class Spool:
    """Rows, written once and read as often as needed."""

    def __init__(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        self.schema = schema
        self._held: list[pa.RecordBatch] = []
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._keep(iter(batches))
        except BaseException:
            self._file.close()
            raise

    def rows(self) -> pa.RecordBatchReader:
        """All of them, from the first on."""
        return pa.RecordBatchReader.from_batches(self.schema, self._all())

    def close(self) -> None:
        """Gives memory and file back."""
        self._held = []
        self._file.close()

    def _keep(self, batches: Iterator[pa.RecordBatch]) -> None:
        size = 0
        with pa.ipc.new_stream(pa.PythonFile(self._file, "w"), self.schema) as writer:
            for batch in batches:
                size += batch.nbytes
                if size <= MEMORY_BYTES_MAX:
                    self._held.append(batch)
                else:
                    writer.write_batch(batch)

    def _all(self) -> Iterator[pa.RecordBatch]:
        yield from self._held
        self._file.seek(0)
        yield from pa.ipc.open_stream(pa.PythonFile(self._file, "r"))
