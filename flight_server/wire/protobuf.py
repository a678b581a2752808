"""Protobuf messages described field by field and built by the protobuf runtime.

Here are those of Flight's own actions, after Arrow's Flight.proto, which pyarrow does not offer;
`flight_sql.messages` has those of Flight SQL. A field that holds a message which pyarrow reads
itself is declared as bytes: the two are alike on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from flight_server.errors import InvalidRequest

# Message → its fields: name, number, type. `repeated`, `optional`, `map` and `oneof` hold the
# type after the colon; a type that is none of protobuf's own names another message.
Fields: TypeAlias = Sequence[tuple[str, int, str]]

_Field = descriptor_pb2.FieldDescriptorProto
_ONEOF = "value"

_MESSAGES: dict[str, Fields] = {
    "CancelFlightInfoRequest": [("info", 1, "bytes")],
    "CancelFlightInfoResult": [("status", 1, "int32")],
    "RenewFlightEndpointRequest": [("endpoint", 1, "bytes")],
    "StringListValue": [("values", 1, "repeated:string")],
    # Which of its fields is set says what type the value has.
    "SessionOptionValue": [
        ("string_value", 1, "oneof:string"),
        ("bool_value", 2, "oneof:bool"),
        ("int64_value", 3, "oneof:sfixed64"),
        ("double_value", 4, "oneof:double"),
        ("string_list_value", 5, "oneof:StringListValue"),
    ],
    "SetSessionOptionsRequest": [("session_options", 1, "map:SessionOptionValue")],
    "SetSessionOptionsResult": [("errors", 1, "map:SessionOptionError")],
    "SessionOptionError": [("value", 1, "int32")],
    "GetSessionOptionsResult": [("session_options", 1, "map:SessionOptionValue")],
    "CloseSessionResult": [("status", 1, "int32")],
}


def build(package: str, messages: Mapping[str, Fields]) -> dict[str, Any]:
    """The classes of the messages of one package."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"pixelflight/{package}.proto", package=package, syntax="proto3"
    )
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        if any(declared.startswith("oneof:") for _, _, declared in fields):
            message.oneof_decl.add(name=_ONEOF)
        for field in fields:
            _add_field(package, message, *field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def parsed_message(kind: Any, data: bytes, what: str) -> Any:
    """The message in the bytes. InvalidRequest says what they were to be."""
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError:
        name = kind.DESCRIPTOR.name
        raise InvalidRequest(f"The {what} is not a {name}.") from None
    return message


def _add_field(
    package: str,
    message: descriptor_pb2.DescriptorProto,
    name: str,
    number: int,
    declared: str,
) -> None:
    shape, _, kind = declared.rpartition(":")
    if shape == "map":
        kind = _add_map_entry(package, message, name, kind)
    field = message.field.add(name=name, number=number)
    is_many = shape in ("repeated", "map")
    field.label = _Field.LABEL_REPEATED if is_many else _Field.LABEL_OPTIONAL
    if shape == "oneof":
        field.oneof_index = 0
    elif shape == "optional":
        # Whether it was sent is told by a oneof of its own.
        field.oneof_index = len(message.oneof_decl)
        field.proto3_optional = True
        message.oneof_decl.add(name=f"_{name}")
    _set_type(package, field, kind)


def _add_map_entry(
    package: str, message: descriptor_pb2.DescriptorProto, name: str, value: str
) -> str:
    """The nested message that a map is on the wire, and its full name."""
    entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    for number, (part, kind) in enumerate((("key", "string"), ("value", value)), start=1):
        field = entry.field.add(name=part, number=number, label=_Field.LABEL_OPTIONAL)
        _set_type(package, field, kind)
    return f"{message.name}.{entry.name}"


def _set_type(package: str, field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if hasattr(_Field, f"TYPE_{kind.upper()}"):
        field.type = getattr(_Field, f"TYPE_{kind.upper()}")
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{package}.{kind}"


MESSAGES = build("arrow.flight.protocol", _MESSAGES)
