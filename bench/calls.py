"""The client's half, the same for every Flight server that is measured."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from pyarrow import flight

from bench.sample import BATCH_ROWS
from bench.timing import Lap

# A channel of its own for each client: gRPC would let all clients of a process share one.
OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


class FlightCalls:
    """A Flight client with the least that reads and writes need."""

    def __init__(self, url: str, key: str = "") -> None:
        self.client = flight.FlightClient(url, generic_options=OPTIONS)
        headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
        self.options = flight.FlightCallOptions(headers=headers)

    def read(self, ticket: bytes) -> pa.Table:
        """Everything that a ticket gives."""
        return self.client.do_get(flight.Ticket(ticket), self.options).read_all()

    def write(self, command: bytes, table: pa.Table) -> int:
        """Writes a table and waits for its acknowledgement: the rows it speaks of."""
        return self.stream(command, table.schema, lambda w: w.write_table(table, BATCH_ROWS))

    def stream(self, command: bytes, schema: pa.Schema, send: Callable[[Any], object]) -> int:
        """Opens a stream, lets `send` write into it, and waits for the acknowledgement."""
        descriptor = flight.FlightDescriptor.for_command(command)
        writer, answers = self.client.do_put(descriptor, schema, self.options)
        send(writer)
        writer.done_writing()
        rows = 0
        while (answer := answers.read()) is not None:
            rows = json.loads(answer.to_pybytes())["rows"]
        writer.close()
        return rows

    def timed_write(self, command: bytes, table: pa.Table) -> Lap:
        """A write with the time it took."""
        began = time.perf_counter()
        rows = self.write(command, table)
        return Lap(time.perf_counter() - began, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()


def scan(name: str, **fields: Any) -> bytes:
    """The ticket of a scan."""
    return json.dumps({"scan": {"table": name, **fields}}).encode()


def sql(text: str) -> bytes:
    """The ticket of a SELECT."""
    return json.dumps({"sql": text}).encode()


def append(name: str) -> bytes:
    """The command of an append to a table that is there."""
    return json.dumps({"ingest": {"table": name, "create_if_missing": False}}).encode()
