"""The protocol as another implementation has it: the ADBC driver carries its description.

A Go program that speaks protobuf holds the descriptors of its messages as they were compiled.
"""

from __future__ import annotations

import functools
from pathlib import Path

import adbc_driver_flightsql
from google.protobuf.descriptor_pb2 import EnumDescriptorProto, FileDescriptorProto

# How a descriptor of FlightSql.proto begins: field 1, a text of 15 bytes.
_START = b"\n\x0fFlightSql.proto\x12\x19arrow.flight.protocol.sql"
# The fields of a file's descriptor, all of which are written with their lengths.
_FIELDS = frozenset(range(1, 13)) - {10, 11}


@functools.cache
def protocol() -> FileDescriptorProto:
    """The description of Flight SQL's messages and enumerations in the installed driver."""
    binary = Path(adbc_driver_flightsql._driver_path()).read_bytes()
    start = end = binary.index(_START)
    while True:
        key, at = _number(binary, end)
        if key >> 3 not in _FIELDS or key & 7 != 2:
            return FileDescriptorProto.FromString(binary[start:end])
        length, at = _number(binary, at)
        end = at + length


def numbers(enumeration: str) -> dict[str, int]:
    """The names and numbers of one enumeration."""
    (found,) = (one for one in protocol().enum_type if one.name == enumeration)
    assert isinstance(found, EnumDescriptorProto)
    return {value.name: value.number for value in found.value}


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The number that is written there in groups of seven bits, and where it ends."""
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 0x80:
            return number, at
