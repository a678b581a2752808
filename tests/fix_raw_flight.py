"""Flight by hand over plain gRPC: for messages that no proper client would send."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import grpc
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from flight_server.testing.server import RunningServer

_FIELDS = {
    "FlightDescriptor": [("type", 1, "INT32"), ("cmd", 2, "BYTES"), ("path", 3, "STRINGS")],
    "FlightData": [
        ("flight_descriptor", 1, "BYTES"),
        ("data_header", 2, "BYTES"),
        ("app_metadata", 3, "BYTES"),
        ("data_body", 1000, "BYTES"),
    ],
}
METHODS = {
    "Handshake": "stream_stream",
    "ListFlights": "unary_stream",
    "GetFlightInfo": "unary_unary",
    "PollFlightInfo": "unary_unary",
    "GetSchema": "unary_unary",
    "DoGet": "unary_stream",
    "DoPut": "stream_stream",
    "DoExchange": "stream_stream",
    "DoAction": "unary_stream",
    "ListActions": "unary_stream",
}


def raw_call(
    server: RunningServer, method: str, requests: list[bytes], *metadata: tuple[str, str]
) -> list[bytes]:
    """Sends the messages as they are; grpc.RpcError carries the code and the trailers."""
    with grpc.insecure_channel(server.url.removeprefix("grpc://")) as channel:
        kind = METHODS[method]
        call = getattr(channel, kind)(f"/arrow.flight.protocol.FlightService/{method}")
        sent = iter(requests) if kind == "stream_stream" else requests[0]
        answer = call(sent, metadata=metadata, timeout=30)
        return [answer] if kind == "unary_unary" else list(answer)


def put_messages(name: str, *streams: pa.Table) -> Iterator[bytes]:
    """The messages of a DoPut in which each of the tables begins with its schema."""
    descriptor = _MESSAGES["FlightDescriptor"](type=1, path=[name]).SerializeToString()
    for table in streams:
        for header, body in ipc_messages(table):
            yield flight_data(header, body, descriptor)
            descriptor = b""


def flight_data(header: bytes, body: bytes, descriptor: bytes = b"") -> bytes:
    """One message of a stream."""
    data = _MESSAGES["FlightData"](data_header=header, data_body=body)
    data.flight_descriptor = descriptor
    return bytes(data.SerializeToString())


def ipc_messages(table: pa.Table) -> Iterator[tuple[bytes, bytes]]:
    """The flatbuffers and the bodies of an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    for message in pa.ipc.MessageReader.open_stream(sink.getvalue()):
        body = message.body.to_pybytes() if message.body is not None else b""
        yield message.metadata.to_pybytes(), body


def corrupt_offsets(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of one string column; an offset in its middle points far outside of the data."""
    values = pa.array(["abc", "def"])
    offsets = pa.py_buffer(struct.pack("<3i", 0, 2**30, 6))
    array = pa.Array.from_buffers(pa.string(), 2, [None, offsets, values.buffers()[2]])
    return pa.RecordBatch.from_arrays([array], names=batch.schema.names)


def _build() -> dict[str, Any]:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="raw_flight.proto", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            added = message.field.add(name=field_name, number=number)
            added.label = field.LABEL_REPEATED if kind == "STRINGS" else field.LABEL_OPTIONAL
            added.type = getattr(
                field, f"TYPE_{kind.removesuffix('S') if 'STRING' in kind else kind}"
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in _FIELDS
    }


_MESSAGES = _build()
