"""ROAPI: DataFusion over a table in memory, read through Flight SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from google.protobuf import any_pb2, wrappers_pb2
from pyarrow import flight, parquet

from bench.calls import FlightCalls
from bench.peers.install import executable
from bench.processes import serving

STATEMENT = "type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
READY = r"Listening on (\S+) for FlightSQL"


class Roapi:
    """A client of a server that has one table, `bench`."""

    def __init__(self, calls: FlightCalls) -> None:
        self._calls = calls

    def query(self, text: str) -> pa.Table:
        """The answer of a SELECT."""
        descriptor = flight.FlightDescriptor.for_command(_command(text))
        info = self._calls.client.get_flight_info(descriptor)
        return pa.concat_tables(self._calls.read(e.ticket.ticket) for e in info.endpoints)


@contextmanager
def running_roapi(folder: Path, table: pa.Table) -> Iterator[Roapi]:
    """A server of its own with the table in its memory."""
    parquet.write_table(table, folder / "bench.parquet")
    addresses = ["-a", "127.0.0.1:0", "-p", "127.0.0.1:0", "--addr-flight-sql", "127.0.0.1:0"]
    source = f"bench={folder / 'bench.parquet'},format=parquet,use_memory_table=true"
    command = [str(executable("roapi", "roapi")), *addresses, "-t", source]
    with (
        serving(command, folder / "roapi.log", READY) as found,
        FlightCalls(f"grpc://{found[1]}") as calls,
    ):
        yield Roapi(calls)


def _command(text: str) -> bytes:
    # The message has one field, a string of number 1, as has a StringValue.
    query = wrappers_pb2.StringValue(value=text).SerializeToString()
    packed: bytes = any_pb2.Any(type_url=STATEMENT, value=query).SerializeToString()
    return packed
