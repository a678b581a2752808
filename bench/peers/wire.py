"""The wire's limit: pyarrow's Flight server over a table in memory, with nothing behind it.

What is read streams out of memory in C++; what is written is received and forgotten.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import flight

from bench import sample
from bench.calls import FlightCalls
from bench.processes import python, serving

ONE_ROW = b"one row"


class WireServer(flight.FlightServerBase):  # type: ignore[misc]
    """Gives its table, or the first row of it, and takes anything."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._table = table
        self._row = table.slice(0, 1)

    def do_get(
        self, context: flight.ServerCallContext, ticket: flight.Ticket
    ) -> flight.RecordBatchStream:
        return flight.RecordBatchStream(self._row if ticket.ticket == ONE_ROW else self._table)

    def do_put(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        rows = sum(chunk.data.num_rows for chunk in reader)
        writer.write(json.dumps({"rows": rows}).encode())


@contextmanager
def running_wire(folder: Path, table: Path) -> Iterator[str]:
    """The server in a process of its own: where it is."""
    command = python("bench.peers.wire", table)
    with serving(command, folder / "wire.log", r"ready (\S+)") as found:
        yield found[1]


@contextmanager
def wire_calls(folder: Path, table: Path) -> Iterator[FlightCalls]:
    """A client of such a server."""
    with running_wire(folder, table) as url, FlightCalls(url) as calls:
        yield calls


def main(path: str) -> None:
    """Serves the table of an Arrow file until it is killed."""
    server = WireServer(sample.load(Path(path)))
    print(f"ready grpc://127.0.0.1:{server.port}", flush=True)
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1])
