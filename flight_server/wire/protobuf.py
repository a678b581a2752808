"""The protobuf messages of Flight's own actions, which pyarrow does not offer.

They are described here field by field, after Arrow's Flight.proto, and built by the protobuf
runtime. A field that holds a message which pyarrow reads itself is declared as bytes: the two
are alike on the wire.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "arrow.flight.protocol"
_Field = descriptor_pb2.FieldDescriptorProto

# Message → its fields: name, number, type; `repeated` and `map` hold the type after the colon,
# and a type that is none of protobuf's own names another message here.
_MESSAGES: dict[str, list[tuple[str, int, str]]] = {
    "CancelFlightInfoRequest": [("info", 1, "bytes")],
    "CancelFlightInfoResult": [("status", 1, "int32")],
    "RenewFlightEndpointRequest": [("endpoint", 1, "bytes")],
    "StringListValue": [("values", 1, "repeated:string")],
    "SessionOptionValue": [
        ("string_value", 1, "string"),
        ("bool_value", 2, "bool"),
        ("int64_value", 3, "sfixed64"),
        ("double_value", 4, "double"),
        ("string_list_value", 5, "StringListValue"),
    ],
    "SetSessionOptionsRequest": [("session_options", 1, "map:SessionOptionValue")],
    "SetSessionOptionsResult": [("errors", 1, "map:SessionOptionError")],
    "SessionOptionError": [("value", 1, "int32")],
    "GetSessionOptionsResult": [("session_options", 1, "map:SessionOptionValue")],
    "CloseSessionResult": [("status", 1, "int32")],
}
# The one oneof among them: which of its fields is set says what type the value has.
_ONEOF = ("SessionOptionValue", "option_value")


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="pixelflight/flight_actions.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == _ONEOF[0]:
            message.oneof_decl.add(name=_ONEOF[1])
        for field in fields:
            _add_field(message, *field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def _add_field(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, declared: str
) -> None:
    shape, _, kind = declared.rpartition(":")
    if shape == "map":
        kind = _add_map_entry(message, name, kind)
    field = message.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if shape else _Field.LABEL_OPTIONAL
    if message.name == _ONEOF[0]:
        field.oneof_index = 0
    _set_type(field, kind)


def _add_map_entry(message: descriptor_pb2.DescriptorProto, name: str, value: str) -> str:
    """The nested message that a map is on the wire, and its full name."""
    entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    for number, (part, kind) in enumerate((("key", "string"), ("value", value)), start=1):
        field = entry.field.add(name=part, number=number, label=_Field.LABEL_OPTIONAL)
        _set_type(field, kind)
    return f"{message.name}.{entry.name}"


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if hasattr(_Field, f"TYPE_{kind.upper()}"):
        field.type = getattr(_Field, f"TYPE_{kind.upper()}")
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"


MESSAGES = _build()
