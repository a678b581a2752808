"""Reading from DuckDB as a part of a trace, from the statement to the last batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from flight_server.telemetry import StreamSpan, stream_span


def begun(running: Iterator[Any]) -> tuple[pa.Schema, Any]:
    """The schema that a generator begins with, and the generator, or one that is traced."""
    span = stream_span("lake.read")
    if span is None:
        return next(running), running
    with span:
        return next(running), _Traced(running, span)


class _Traced:
    """A generator of batches whose span ends with it."""

    def __init__(self, running: Iterator[Any], span: StreamSpan) -> None:
        self._running = running
        self._span = span

    def __iter__(self) -> _Traced:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            batch = next(self._running)
        except StopIteration:
            self._span.end()
            raise
        except BaseException as error:
            self._span.end(error)
            raise
        self._span.rows += batch.num_rows
        self._span.batches += 1
        return batch

    def close(self) -> None:
        """Ends both; a second time does nothing."""
        running: Any = self._running
        running.close()
        self._span.end()
