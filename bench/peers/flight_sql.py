"""The limit of Flight SQL: a server that answers the driver's messages at once, with constants.

It knows two answers, one row and a table in memory, and tells by the statement which is wanted.
What is ingested is received and forgotten. Nothing is parsed, nothing is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from google.protobuf import any_pb2, wrappers_pb2
from pyarrow import flight

from bench import sample
from bench.processes import python, serving

MESSAGES = "type.googleapis.com/arrow.flight.protocol.sql."
ONE_ROW, TABLE = b"one row", b"table"
# How the commands of prepared statements end; the handle follows.
STATEMENT = b"CommandPreparedStatementQuery"
# What a statement says that wants the table.
TABLE_IS_WANTED = b"FROM bench"


class FlightSqlServer(flight.FlightServerBase):  # type: ignore[misc]
    """Prepares, plans and streams without a thought."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._answers = {ONE_ROW: pa.table({"1": pa.array([1], pa.int32())}), TABLE: table}

    def do_action(
        self, context: flight.ServerCallContext, action: flight.Action
    ) -> Iterator[bytes]:
        if action.type == "CreatePreparedStatement":
            return iter([self._prepared(action.body.to_pybytes())])
        if action.type == "ClosePreparedStatement":
            return iter([])
        # What the driver only tries, it can do without.
        raise NotImplementedError(action.type)

    def get_flight_info(
        self, context: flight.ServerCallContext, descriptor: flight.FlightDescriptor
    ) -> flight.FlightInfo:
        if STATEMENT not in descriptor.command:
            raise NotImplementedError("only statements are answered")
        answer = TABLE if TABLE in descriptor.command else ONE_ROW
        table = self._answers[answer]
        endpoint = flight.FlightEndpoint(answer, [])
        return flight.FlightInfo(table.schema, descriptor, [endpoint], table.num_rows, -1)

    def do_get(
        self, context: flight.ServerCallContext, ticket: flight.Ticket
    ) -> flight.RecordBatchStream:
        return flight.RecordBatchStream(self._answers[ticket.ticket])

    def do_put(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        rows = sum(chunk.data.num_rows for chunk in reader)
        # The number of rows is a message's first field, and an Int64Value's, too.
        writer.write(wrappers_pb2.Int64Value(value=rows).SerializeToString())

    def _prepared(self, request: bytes) -> bytes:
        handle = TABLE if TABLE_IS_WANTED in request else ONE_ROW
        schema = self._answers[handle].schema.serialize().to_pybytes()
        # The handle and the schema of the answer are fields 1 and 2, bytes both.
        result = _field(1, handle) + _field(2, schema)
        name = f"{MESSAGES}ActionCreatePreparedStatementResult"
        packed: bytes = any_pb2.Any(type_url=name, value=result).SerializeToString()
        return packed


@contextmanager
def running_flight_sql(folder: Path, table: Path) -> Iterator[str]:
    """The server in a process of its own: where it is."""
    command = python("bench.peers.flight_sql", table)
    with serving(command, folder / "flight_sql.log", r"ready (\S+)") as found:
        yield found[1]


def _field(number: int, value: bytes) -> bytes:
    """A field of bytes: those of a BytesValue, which has number 1, under another number."""
    written: bytes = wrappers_pb2.BytesValue(value=value).SerializeToString()
    return bytes([number << 3 | 2]) + written[1:]


def main(path: str) -> None:
    """Serves the table of an Arrow file until it is killed."""
    server = FlightSqlServer(sample.load(Path(path)))
    print(f"ready grpc://127.0.0.1:{server.port}", flush=True)
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1])
