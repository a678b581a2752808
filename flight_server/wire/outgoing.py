"""Batches on their way to a client: brought to the wire's size, with errors coded in mid-stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyarrow import flight

from flight_server.engines.stream import Batches
from flight_server.formats.batches import holds_dictionary, resized
from flight_server.wire.guard import described, flight_error
from flight_server.wire.middleware import Visit


def flight_stream(batches: Batches, visit: Visit, bytes_each: int) -> flight.GeneratorStream:
    """The batches as pyarrow wants them."""
    schema = batches.schema
    # pyarrow's generator streams forget to send dictionaries unless batches come as tables.
    as_tables = any(holds_dictionary(field.type) for field in schema)
    sized = batches if as_tables else resized(batches, bytes_each)
    return flight.GeneratorStream(schema, _coded(sized, visit, as_tables))


def _coded(
    batches: Iterable[pa.RecordBatch], visit: Visit, as_tables: bool
) -> Iterator[pa.RecordBatch | pa.Table]:
    cancellation, meter = visit.running.cancellation, visit.meter
    try:
        for batch in batches:
            cancellation.check()
            if batch.num_rows:
                meter.sent(batch)
                yield pa.Table.from_batches([batch]) if as_tables else batch
    except Exception as error:
        known = described(error, visit.request_id)
        visit.told(known)
        raise flight_error(known, visit.request_id) from None
