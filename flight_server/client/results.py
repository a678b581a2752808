"""The rows that come back: one stream, or several fetched in parallel and delivered in order.

Memory is bounded where rows are streamed: at most `PARALLEL` endpoints are open, and each runs at
most `AHEAD` batches ahead of the reader.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from pyarrow import flight

from flight_server.client import frames
from flight_server.client.connection import Connection
from flight_server.errors import InvalidRequest

PARALLEL = 4
AHEAD = 8


class Result:
    """The rows of one read, in order.

    `to_arrow`, `to_polars` and `to_pandas` fetch everything and may be called again; `batches`
    and iteration stream, once.
    """

    def __init__(
        self, connection: Connection, schema: pa.Schema, parts: Sequence[_Part | flight.Ticket]
    ) -> None:
        self.schema: pa.Schema = schema
        self._connection = connection
        self._parts = deque(parts)
        self._table: pa.Table | None = None
        self._streamed = False

    @classmethod
    def of_ticket(cls, connection: Connection, ticket: bytes) -> Result:
        """The result of one ticket, whose stream is opened at once."""
        reader = connection.read(flight.Ticket(ticket))
        return cls(connection, reader.schema, [_Part(connection, reader)])

    @classmethod
    def of_info(cls, connection: Connection, info: flight.FlightInfo) -> Result:
        """The result of all endpoints of a flight info; a single one is opened at once."""
        tickets = [endpoint.ticket for endpoint in info.endpoints]
        if len(tickets) == 1:
            return cls.of_ticket(connection, tickets[0].ticket)
        return cls(connection, info.schema, tickets)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The batches as they arrive, in order; leaving the loop ends the transfer."""
        if self._table is not None:
            yield from self._table.to_batches()
            return
        self._begin()
        try:
            if len(self._parts) == 1:
                yield from self._open(self._parts[0])
            else:
                yield from self._in_order()
        finally:
            self.close()

    def reader(self) -> pa.RecordBatchReader:
        """The batches as an Arrow reader."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def to_arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        if self._table is None:
            self._begin()
            self._table = self._read_all()
            self._parts.clear()
        return self._table

    def to_polars(self) -> Any:
        """All rows as a polars frame."""
        return frames.to_polars(self.to_arrow())

    def to_pandas(self) -> Any:
        """All rows as a pandas frame."""
        return frames.to_pandas(self.to_arrow())

    def to_pylist(self) -> list[dict[str, Any]]:
        """All rows as dictionaries."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows

    def close(self) -> None:
        """Ends the transfer; what has not been read is lost. A second time does nothing."""
        while self._parts:
            part = self._parts.popleft()
            if isinstance(part, _Part):
                part.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.reader().__arrow_c_stream__(requested_schema)

    def _begin(self) -> None:
        if self._streamed:
            raise InvalidRequest(
                "The batches of this result have been read. Ask again, or use to_arrow(), which "
                "keeps them."
            )
        self._streamed = True

    def _open(self, part: _Part | flight.Ticket) -> _Part:
        if isinstance(part, _Part):
            return part
        return _Part(self._connection, self._connection.read(part))

    def _read_all(self) -> pa.Table:
        if not self._parts:
            return self.schema.empty_table()
        if len(self._parts) == 1:
            return self._open(self._parts[0]).read_all()
        with ThreadPoolExecutor(PARALLEL, "pixelflight-read") as pool:
            return pa.concat_tables(pool.map(lambda part: self._open(part).read_all(), self._parts))

    def _in_order(self) -> Iterator[pa.RecordBatch]:
        """Batches of all parts: the first ones run ahead while the foremost is delivered."""
        running: deque[_Ahead] = deque()
        try:
            while self._parts or running:
                while self._parts and len(running) < PARALLEL:
                    part = self._parts.popleft()
                    running.append(_Ahead(self._connection, part))
                yield from running[0]
                running.popleft()
        finally:
            for ahead in running:
                ahead.stop()


class _Part:
    """One open stream."""

    def __init__(self, connection: Connection, reader: flight.FlightStreamReader) -> None:
        self._connection = connection
        self._reader = reader
        self._done = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            with self._connection.translated():
                try:
                    batch = self._reader.read_chunk().data
                except StopIteration:
                    self._done = True
                    return
            if batch is not None:
                yield batch

    def read_all(self) -> pa.Table:
        with self._connection.translated():
            table = self._reader.read_all()
        self._done = True
        return table

    def close(self) -> None:
        if not self._done:
            self._reader.cancel()


class _Ahead:
    """One endpoint that a thread reads into a queue of bounded length."""

    def __init__(self, connection: Connection, ticket: Any) -> None:
        self._connection = connection
        self._ticket = ticket
        self._items: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pixelflight-read", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (item := self._items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def stop(self) -> None:
        """Ends the transfer, and the thread with it."""
        self._stopped.set()
        while self._thread.is_alive():
            # The thread may be waiting for a place in the queue.
            while not self._items.empty():
                self._items.get_nowait()
            self._thread.join(0.01)

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            part = _Part(self._connection, self._connection.read(self._ticket))
            for batch in part:
                if self._stopped.is_set():
                    part.close()
                    return
                self._items.put(batch)
        except BaseException as error:
            end = error
        if not self._stopped.is_set():
            self._items.put(end)
