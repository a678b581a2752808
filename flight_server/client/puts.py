"""Rows on their way into a table: batches go out while acknowledgements come in.

Both directions run at once, so that neither side ever waits for the other to read. A put that
fails on this side is abandoned in words: a stream that merely ends would be committed.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
from pyarrow import flight

from flight_server.client.bodies import commit_from
from flight_server.client.connection import Connection, unexpected
from flight_server.client.failures import from_json
from flight_server.model import Commit

BATCH_BYTES = 2 * 2**20
# The metadata of a message without rows that tells the server to forget the stream.
ABANDON = b'{"abandon": true}'

OnCommit = Callable[[Commit], object]
OnSent = Callable[[int, int], object]


def put(
    connection: Connection,
    command: bytes,
    reader: pa.RecordBatchReader,
    on_commit: OnCommit | None = None,
    on_sent: OnSent | None = None,
) -> Commit:
    """Sends the batches and gives what was committed: the sum, with the last snapshot.

    `on_commit` is called, from another thread, with each acknowledgement as it comes; `on_sent`
    with the rows and bytes of each batch that went out.
    """
    descriptor = flight.FlightDescriptor.for_command(command)
    writer, metadata = connection.write(descriptor, reader.schema)
    acknowledged = _Acknowledgements(metadata, on_commit)
    try:
        for batch in sized(reader):
            acknowledged.check()
            with connection.translated():
                writer.write_batch(batch)
            if on_sent is not None:
                on_sent(batch.num_rows, batch.nbytes)
    except BaseException:
        _abandon(writer, acknowledged)
        raise
    with connection.translated():
        writer.done_writing()
        acknowledged.join()
        writer.close()
        acknowledged.check()
    return acknowledged.total(connection.url)


def sized(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches, large ones cut to about `BATCH_BYTES`."""
    for batch in batches:
        if batch.nbytes <= 2 * BATCH_BYTES:
            yield batch
            continue
        rows = max(1, batch.num_rows * BATCH_BYTES // batch.nbytes)
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


@dataclass
class _Acknowledgements:
    """Reads what the server acknowledges, in a thread of its own."""

    metadata: flight.FlightMetadataReader
    on_commit: OnCommit | None

    def __post_init__(self) -> None:
        self._commits: list[Commit] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pixelflight-acks", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises what reading, or whoever is told of commits, raised."""
        if self._error is not None:
            raise self._error

    def join(self) -> None:
        """Until the server has closed its side."""
        self._thread.join()

    def total(self, url: str) -> Commit:
        """All commits as one."""
        if not self._commits:
            raise unexpected(url, "it acknowledged nothing")
        last = self._commits[-1]
        names = ("rows", "rows_inserted", "rows_updated", "rows_deleted")
        sums = {name: sum(getattr(c, name) for c in self._commits) for name in names}
        return replace(last, **sums)

    def _run(self) -> None:
        try:
            while (message := self.metadata.read()) is not None:
                answer = json.loads(message.to_pybytes())
                if "error" in answer:
                    # The put has failed; the call itself cannot end before this side does.
                    raise from_json(answer["error"])
                commit = commit_from(answer)
                self._commits.append(commit)
                if self.on_commit is not None:
                    self.on_commit(commit)
        except BaseException as error:
            self._error = error


def _abandon(writer: flight.FlightStreamWriter, acknowledged: _Acknowledgements) -> None:
    """Ends a stream, which the server may have ended already, so that nothing of it is kept.

    The writer must not be closed while acknowledgements are being read: both would wait for ever.
    """
    with contextlib.suppress(pa.lib.ArrowException, OSError):
        writer.write_metadata(ABANDON)
    with contextlib.suppress(pa.lib.ArrowException, OSError):
        writer.done_writing()
    acknowledged.join()
    with contextlib.suppress(pa.lib.ArrowException, OSError):
        writer.close()
