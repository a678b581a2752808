"""Batches on their way to a client: brought to the wire's size, with errors coded in mid-stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import Context

import pyarrow as pa
from pyarrow import flight

from flight_server.engines.stream import Batches
from flight_server.errors import ErrorCode
from flight_server.formats.batches import holds_dictionary, resized
from flight_server.telemetry import OK
from flight_server.wire.guard import described, flight_error
from flight_server.wire.visits import Visit


def flight_stream(batches: Batches, visit: Visit, bytes_each: int) -> flight.GeneratorStream:
    """The batches as pyarrow wants them, each made in the request's context."""
    schema = batches.schema
    # pyarrow's generator streams forget to send dictionaries unless batches come as tables.
    as_tables = any(holds_dictionary(field.type) for field in schema)
    sized = batches if as_tables else resized(batches, bytes_each)
    coded = _coded(sized, visit, as_tables)
    # Nobody tells the server of a client that leaves: until the stream ends, it has.
    visit.served.code = ErrorCode.CANCELLED.text
    return flight.GeneratorStream(schema, _InContext(coded, visit.context))


class _InContext:
    """An iterator whose steps are taken in a context."""

    def __init__(self, inner: Iterator[pa.RecordBatch | pa.Table], context: Context) -> None:
        self._inner, self._context = inner, context

    def __iter__(self) -> _InContext:
        return self

    def __next__(self) -> pa.RecordBatch | pa.Table:
        return self._context.run(next, self._inner)


def _coded(
    batches: Iterable[pa.RecordBatch], visit: Visit, as_tables: bool
) -> Iterator[pa.RecordBatch | pa.Table]:
    cancellation, meter, served = visit.running.cancellation, visit.meter, visit.served
    try:
        for batch in batches:
            cancellation.check()
            if batch.num_rows:
                meter.sent(batch)
                yield pa.Table.from_batches([batch]) if as_tables else batch
        served.code = OK
    except Exception as error:
        known = described(error, visit.request_id)
        served.code = known.code.text
        visit.told(known)
        raise flight_error(known, visit.request_id) from None
