"""Several streams read at once: in order, in bounded memory, and ended when nobody reads on."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.client.connection import Connection
from flight_server.client.results import PARALLEL, Result
from flight_server.errors import PixelflightError

SCHEMA = pa.schema([("part", pa.int64()), ("n", pa.int64())])
# A megabyte each: large enough for the transport's own buffers to hold few of them.
ROWS_EACH = 65_536


class Parts(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """Serves tickets `part:batches`; -1 batches never end, and -2 fail after the first."""

    def __init__(self) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self.made = 0

    def do_get(self, context: object, ticket: flight.Ticket) -> flight.GeneratorStream:
        part, count = (int(word) for word in ticket.ticket.split(b":"))
        return flight.GeneratorStream(SCHEMA, self._batches(part, count))

    def _batches(self, part: int, count: int) -> Iterator[pa.RecordBatch]:
        for number in itertools.count() if count < 0 else range(count):
            if count == -2 and number:
                raise flight.FlightServerError("broken")
            self.made += 1
            columns = [pa.array([value] * ROWS_EACH, pa.int64()) for value in (part, number)]
            yield pa.record_batch(columns, schema=SCHEMA)


@pytest.fixture
def parts() -> Iterator[Parts]:
    with Parts() as server:
        yield server


def result(parts: Parts, *counts: int) -> Result:
    connection = Connection(f"grpc://127.0.0.1:{parts.port}", "")
    tickets = [flight.Ticket(f"{part}:{count}".encode()) for part, count in enumerate(counts)]
    return Result(connection, SCHEMA, tickets)


def seen(batches: Iterator[pa.RecordBatch]) -> list[tuple[int, int]]:
    return [(batch["part"][0].as_py(), batch["n"][0].as_py()) for batch in batches]


COUNTS = (3, 0, 1, 12, 2, 1, 0, 4)


def test_batches_come_in_the_order_of_the_parts(parts: Parts) -> None:
    expected = [(part, n) for part, count in enumerate(COUNTS) for n in range(count)]
    assert seen(result(parts, *COUNTS).batches()) == expected
    assert result(parts, *COUNTS).to_arrow().num_rows == len(expected) * ROWS_EACH


def test_no_parts_are_an_empty_table(parts: Parts) -> None:
    assert result(parts).to_arrow() == SCHEMA.empty_table()
    assert list(result(parts).batches()) == []


def test_memory_is_bounded_while_nobody_reads_on(parts: Parts) -> None:
    batches = result(parts, *[-1] * (2 * PARALLEL)).batches()
    next(batches)
    made = -1
    while made != parts.made:
        # Once nothing more is made for a while, nothing will be before somebody reads on.
        made = parts.made
        assert made <= PARALLEL * 50
        time.sleep(0.4)
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert not [t for t in threading.enumerate() if t.name == "pixelflight-read"]


@pytest.mark.parametrize("counts", [(-2,), (1, -2, 1)])
def test_an_error_in_mid_stream_is_raised_in_its_place(
    parts: Parts, counts: tuple[int, ...]
) -> None:
    batches = result(parts, *counts).batches()
    for _ in range(len(counts) if len(counts) == 1 else 2):
        next(batches)
    with pytest.raises(PixelflightError, match="broken"):
        next(batches)
    with pytest.raises(PixelflightError, match="broken"):
        result(parts, *counts).to_arrow()


def test_a_result_that_is_closed_gives_nothing(parts: Parts) -> None:
    with result(parts, 1, 1) as closed:
        pass
    assert list(closed.batches()) == []
