"""Batches on their way to a client: brought to the wire's size, with errors coded in mid-stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyarrow import flight

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.stream import Batches
from flight_server.formats.batches import holds_dictionary, resized
from flight_server.wire.guard import flight_error


def flight_stream(
    batches: Batches, cancellation: Cancellation, request_id: str, bytes_each: int
) -> flight.GeneratorStream:
    """The batches as pyarrow wants them."""
    schema = batches.schema
    # pyarrow's generator streams forget to send dictionaries unless batches come as tables.
    as_tables = any(holds_dictionary(field.type) for field in schema)
    sized = batches if as_tables else resized(batches, bytes_each)
    return flight.GeneratorStream(schema, _coded(sized, cancellation, request_id, as_tables))


def _coded(
    batches: Iterable[pa.RecordBatch],
    cancellation: Cancellation,
    request_id: str,
    as_tables: bool,
) -> Iterator[pa.RecordBatch | pa.Table]:
    try:
        for batch in batches:
            cancellation.check()
            if batch.num_rows:
                yield pa.Table.from_batches([batch]) if as_tables else batch
    except Exception as error:
        raise flight_error(error, request_id) from None
