"""Writes flight_bytes.json: messages of Flight as pyarrow and protobuf serialize them, in hex."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    wrappers_pb2,
)
from google.rpc import error_details_pb2, status_pb2
from pyarrow import flight

schema = pa.schema([("id", pa.int64()), ("name", pa.string())])
path = flight.FlightDescriptor.for_path("a/b", "t", "\u00fc")
command = flight.FlightDescriptor.for_command(b'{"sql": "select 1"}')
moment = pa.scalar(datetime(2026, 1, 31, 12, 0, 0, 250000, UTC), pa.timestamp("ns"))
info = flight.FlightInfo(
    schema,
    path,
    [
        flight.FlightEndpoint(b"one", ["grpc://host:1", "grpc+tls://host:2"], moment, b"beside"),
        flight.FlightEndpoint(b"two" * 100, []),
    ],
    -1,
    2**40,
    True,
    b'{"snapshot": 3}',
)
told = {"code": "table_not_found", "message": "There is no table 't'.", "request_id": "r1"}
status = status_pb2.Status(code=2, message="There is no table 't'.")
for detail in (
    error_details_pb2.ErrorInfo(reason="TABLE_NOT_FOUND", domain="pixelflight"),
    wrappers_pb2.StringValue(value=json.dumps(told)),
):
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)

field = descriptor_pb2.FieldDescriptorProto
file = descriptor_pb2.FileDescriptorProto(name="flight_data.proto", syntax="proto3")
described = file.message_type.add(name="FlightData")
for name, number in [("descriptor", 1), ("header", 2), ("metadata", 3), ("body", 1000)]:
    added = described.field.add(name=name, number=number)
    added.label, added.type = field.LABEL_OPTIONAL, field.TYPE_BYTES
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
flight_data = message_factory.GetMessageClass(pool.FindMessageTypeByName("FlightData"))
batch = pa.record_batch({"id": pa.array([1, 2, 3], pa.int64())})
[message] = list(pa.ipc.MessageReader.open_stream(batch.serialize()))
header, body = message.metadata.to_pybytes(), message.body.to_pybytes()

serialized = {
    "header": header,
    "body": body,
    "data": flight_data(header=header, metadata=b"beside", body=body).SerializeToString(),
    "data with a descriptor": flight_data(
        descriptor=command.serialize(), header=header, body=body
    ).SerializeToString(),
    "data without a body": flight_data(header=header).SerializeToString(),
    "data of metadata alone": flight_data(metadata=b"beside").SerializeToString(),
    "path": path.serialize(),
    "command": command.serialize(),
    "ticket": flight.Ticket(b"one").serialize(),
    "action": flight.Action("drop", b"{}").serialize(),
    "action without a body": flight.Action("health", b"").serialize(),
    "result": flight.Result(b"\x00" * 200).serialize(),
    "basic": flight.BasicAuth("ann", "secret").serialize(),
    "info": info.serialize(),
    "schema": schema.serialize().to_pybytes(),
    "status": status.SerializeToString(),
}
target = Path(__file__).with_name("flight_bytes.json")
target.write_text(json.dumps({k: bytes(v).hex() for k, v in serialized.items()}, indent=2) + "\n")
