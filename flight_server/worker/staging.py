"""Many rows on their way into a table: as files where the lake can take these, else as batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from flight_server.model import DEFAULT_CATALOG, Commit, IngestMode, TableRef, TableSpec
from flight_server.transfer.staging import StagedFiles, can_be_told, suits, taken_until
from flight_server.worker.runs import JobRun

_MODES = (IngestMode.CREATE, IngestMode.APPEND, IngestMode.OVERWRITE)


class Puts:
    """The puts of one attempt into one table; `spec` is what that is, None where it is made."""

    def __init__(
        self,
        run: JobRun,
        table: TableRef,
        mode: IngestMode,
        schema: pa.Schema,
        spec: TableSpec | None,
    ) -> None:
        self._run = run
        self._table = table
        self._mode = mode
        self._schema = schema
        self._takes_files = (
            mode in _MODES
            and table.catalog == DEFAULT_CATALOG
            and suits(run.settings, run.folder, schema, spec)
        )

    def put(self, batches: Iterator[pa.RecordBatch], **more: Any) -> Commit:
        """All rows in one commit; `more` is what `Client.put` takes besides."""
        if not self._takes_files:
            return self._send(batches, **more)
        # Few rows share files and commits with others, for which the server has to have them.
        taken, are_many = taken_until(batches, self._run.settings.import_staged_bytes_min)
        rows = itertools.chain(taken, batches)
        if not are_many or not can_be_told(taken):
            return self._send(rows, **more)
        files = StagedFiles(self._run.folder, self._schema, self._run.settings)
        try:
            for batch in rows:
                files.write(batch)
            staged = files.close()
        except BaseException:
            files.abandon()
            raise
        return self._run.client.put_staged(
            str(self._table), self._schema, staged, self._mode, **more
        )

    def _send(self, batches: Iterator[pa.RecordBatch], **more: Any) -> Commit:
        reader = pa.RecordBatchReader.from_batches(self._schema, batches)
        return self._run.client.put(str(self._table), reader, mode=self._mode, **more)
