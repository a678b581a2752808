"""Rows that were read and wait to be sent: in memory while they are few, else in a file.

No statement or transaction of Pixeltable's database stays open while bytes travel: whoever alters
the table would wait for it, and everybody else for them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import IO

import pyarrow as pa

MEMORY_BYTES_MAX = 32 * 2**20


class Spool:
    """One stream of Arrow IPC, written once and read as often as needed."""

    def __init__(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        self.schema = schema
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX)  # noqa: SIM115
        try:
            with pa.ipc.new_stream(pa.PythonFile(self._file, "w"), schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
        except BaseException:
            self._file.close()
            raise

    def stream(self) -> IO[bytes]:
        """Its bytes, from the first on."""
        self._file.seek(0)
        return self._file

    def rows(self) -> pa.RecordBatchReader:
        """Its rows, from the first on."""
        return pa.ipc.open_stream(pa.PythonFile(self.stream(), "r"))

    def close(self) -> None:
        """Gives memory or file back."""
        self._file.close()
