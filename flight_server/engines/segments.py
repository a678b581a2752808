"""A stream of batches cut into the parts that become one commit each."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from flight_server.model import CommitEvery

# How many batches are read ahead while the ones before them are written.
AHEAD_MAX = 4
_END = object()


class Source:
    """Batches read ahead by a thread, so that waiting for the client can have an end.

    An error of the client's stream is raised where the batch would have come. `close` lets the
    thread end as soon as the client sends something or goes away.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._items: queue.Queue[Any] = queue.Queue(AHEAD_MAX)
        self._closed = threading.Event()
        self._ended = False
        threading.Thread(target=self._pump, name="ingest-reader", daemon=True).start()

    def get(self, seconds: float | None) -> pa.RecordBatch | None:
        """The next batch; None at the end, TimeoutError when nothing came in time."""
        if self._ended:
            return None
        try:
            item = self._items.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if item is _END:
            self._ended = True
            return None
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        return item

    def close(self) -> None:
        """Lets the reading thread end."""
        self._closed.set()

    def _pump(self) -> None:
        try:
            for batch in self._batches:
                self._put(batch)
                if self._closed.is_set():
                    return
            self._put(_END)
        except BaseException as error:
            # Whatever ends the stream belongs to whoever waits for the next batch.
            self._put(error)

    def _put(self, item: Any) -> None:
        while not self._closed.is_set():
            try:
                self._items.put(item, timeout=0.2)
            except queue.Full:
                continue
            return


class Segments:
    """The parts of a stream between its commits.

    Each part is an iterator of batches that must be used up before the next is asked for. There
    is always at least one part, be it empty.
    """

    def __init__(self, source: Source, every: CommitEvery) -> None:
        self._source = source
        self._every = every
        self._rest: pa.RecordBatch | None = None
        self.ended = False

    def __iter__(self) -> Iterator[Iterator[pa.RecordBatch]]:
        first = True
        while not self.ended:
            batch = self._rest or self._source.get(None)
            self._rest = None
            if batch is None:
                self.ended = True
                if first:
                    yield iter(())
                return
            first = False
            yield self._part(batch)

    def _part(self, batch: pa.RecordBatch | None) -> Iterator[pa.RecordBatch]:
        """Batches until a limit is reached; the clock starts with the first."""
        rows, size, began = 0, 0, time.monotonic()
        while batch is not None:
            room = batch.num_rows if self._every.rows is None else self._every.rows - rows
            if batch.num_rows > room:
                batch, self._rest = batch.slice(0, room), batch.slice(room)
            rows += batch.num_rows
            size += batch.nbytes
            yield batch
            if self._rest is not None or self._is_full(rows, size):
                return
            try:
                batch = self._source.get(self._seconds_left(began))
            except TimeoutError:
                return
        self.ended = True

    def _is_full(self, rows: int, size: int) -> bool:
        every = self._every
        return (every.rows is not None and rows >= every.rows) or (
            every.bytes is not None and size >= every.bytes
        )

    def _seconds_left(self, began: float) -> float | None:
        if self._every.ms is None:
            return None
        return max(0.0, began + self._every.ms / 1000 - time.monotonic())
