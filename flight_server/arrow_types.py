"""Arrow types and schemas as text and JSON, for clients that have no Arrow at hand.

`parse_type` reads every type as `write_type` writes it, which is nearly as pyarrow prints it, and
some short names beside: `utf8`, `int`, `float32`, `decimal(10, 2)`. Names of fields inside a
struct may be in double quotes, a quote inside of them doubled. Knows the errors and nothing else
of this project.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean

NESTING_MAX = 64

_SIMPLE: dict[str, Callable[[], pa.DataType]] = {
    "null": pa.null,
    "bool": pa.bool_,
    "boolean": pa.bool_,
    "int8": pa.int8,
    "int16": pa.int16,
    "int32": pa.int32,
    "int64": pa.int64,
    "int": pa.int64,
    "uint8": pa.uint8,
    "uint16": pa.uint16,
    "uint32": pa.uint32,
    "uint64": pa.uint64,
    "halffloat": pa.float16,
    "float16": pa.float16,
    "float32": pa.float32,
    "float": pa.float32,
    "float64": pa.float64,
    "double": pa.float64,
    "string": pa.string,
    "utf8": pa.string,
    "large_string": pa.large_string,
    "large_utf8": pa.large_string,
    "string_view": pa.string_view,
    "binary": pa.binary,
    "large_binary": pa.large_binary,
    "binary_view": pa.binary_view,
    "month_day_nano_interval": pa.month_day_nano_interval,
    "uuid": pa.uuid,
    "json": pa.json_,
    "bool8": pa.bool8,
}
_DECIMALS = {
    "decimal": pa.decimal128,
    "decimal32": pa.decimal32,
    "decimal64": pa.decimal64,
    "decimal128": pa.decimal128,
    "decimal256": pa.decimal256,
}
_LISTS = {
    "list": pa.list_,
    "large_list": pa.large_list,
    "list_view": pa.list_view,
    "large_list_view": pa.large_list_view,
}
_LIST_CHECKS = {
    "list": pa.types.is_list,
    "large_list": pa.types.is_large_list,
    "list_view": pa.types.is_list_view,
    "large_list_view": pa.types.is_large_list_view,
}
_TIMES = {"time32": pa.time32, "time64": pa.time64, "duration": pa.duration}

# For those who come from SQL.
_OF_SQL = {
    **dict.fromkeys(("char", "str", "text", "varchar"), "string"),
    **dict.fromkeys(("blob", "bytea"), "binary"),
    "tinyint": "int8",
    "smallint": "int16",
    "integer": "int32",
    "bigint": "int64",
    "real": "float32",
    "numeric": "decimal128(18, 3)",
    "time": "time64[us]",
    "datetime": "timestamp[us]",
    "timestamptz": "timestamp[us, tz=UTC]",
}

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"-?\d+")
_ZONE = re.compile(r"[A-Za-z0-9_/+:\-]+")
# A field's name and the colon behind it.
_FIELD_NAME = re.compile(r'("(?:[^"]|"")*"|[^\s<>()\[\],:="]+)\s*:')
_PLAIN_NAME = re.compile(r'[^\s<>()\[\],:="]+')
_NOT_NULL = re.compile(r"not\s+null\b", re.IGNORECASE)


def parse_type(text: str) -> pa.DataType:
    """The Arrow type that the text names. InvalidRequest (unsupported_type) says what is wrong.

    Examples: `int64`, `decimal128(10, 2)`, `timestamp[us, tz=UTC]`, `list<int32>`,
    `fixed_size_list<float>[3]`, `struct<a: int32, "b c": string not null>`,
    `dictionary<values=string, indices=int32, ordered=0>`, `fixed_shape_tensor<float>[2, 3]`.
    """
    reader = _Reader(text)
    try:
        found = _type(reader, 0)
        if reader.rest:
            raise ValueError(f"'{reader.rest[:40]}' follows where it should end.")
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise InvalidRequest(
            f"'{text[:200]}' is not an Arrow type: {reason}", code=ErrorCode.UNSUPPORTED_TYPE
        ) from None
    return found


def write_type(kind: pa.DataType) -> str:
    """The text that `parse_type` reads back as this type.

    Metadata of fields inside of it is not text and is left out.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return _write_extension(kind)
    for name, is_one in _LIST_CHECKS.items():
        if is_one(kind):
            return f"{name}<{_write_field(kind.value_field)}>"
    if pa.types.is_fixed_size_list(kind):
        return f"fixed_size_list<{_write_field(kind.value_field)}>[{kind.list_size}]"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(_write_field(field) for field in kind)}>"
    if pa.types.is_map(kind):
        sorted_ = ", keys_sorted" if kind.keys_sorted else ""
        value = write_type(kind.item_type) + ("" if kind.item_field.nullable else " not null")
        return f"map<{write_type(kind.key_type)}, {value}{sorted_}>"
    if pa.types.is_dictionary(kind):
        values, indices = write_type(kind.value_type), write_type(kind.index_type)
        return f"dictionary<values={values}, indices={indices}, ordered={int(kind.ordered)}>"
    return str(kind)


def columns_of(schema: pa.Schema) -> list[dict[str, Any]]:
    """The columns of a schema as JSON, for answers."""
    return [
        {
            "name": field.name,
            "type": write_type(field.type),
            "nullable": field.nullable,
            "metadata": _texts(field.metadata),
        }
        for field in schema
    ]


def schema_from_ipc(text: str) -> pa.Schema:
    """The schema in a base64 IPC message, as `schema.serialize()` makes it."""
    try:
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
    except (binascii.Error, ValueError, OSError, pa.ArrowException):
        raise InvalidRequest(
            "'schema_ipc' is not a schema. Send base64 of the IPC message that Arrow's "
            "schema.serialize() makes."
        ) from None


def schema_to_ipc(schema: pa.Schema) -> str:
    """The schema as `schema_from_ipc` reads it."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


class _Reader:
    """A position in a text, moved on by what is expected there."""

    def __init__(self, text: str) -> None:
        self.rest = text.strip()

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """What the pattern matches here, moving past it; None where it does not."""
        match = pattern.match(self.rest)
        if match is None:
            return None
        self.rest = self.rest[match.end() :].lstrip()
        return match.group(match.lastindex or 0)

    def skip(self, mark: str) -> bool:
        """Whether the mark stands here, moving past it if so."""
        found = self.rest.startswith(mark)
        if found:
            self.rest = self.rest[len(mark) :].lstrip()
        return found

    def expect(self, mark: str) -> None:
        if not self.skip(mark):
            raise ValueError(f"'{mark}' is missing{self.where}.")

    def require(self, pattern: re.Pattern[str], what: str) -> str:
        found = self.take(pattern)
        if found is None:
            raise ValueError(f"a {what} is missing{self.where}.")
        return found

    def number(self) -> int:
        return int(self.require(_NUMBER, "number"))

    def size(self) -> int:
        size = self.number()
        if size < 0:
            raise ValueError(f"the size {size} is negative.")
        return size

    @property
    def where(self) -> str:
        return f" before '{self.rest[:40]}'" if self.rest else " at the end"


def _type(reader: _Reader, depth: int) -> pa.DataType:
    if depth > NESTING_MAX:
        raise ValueError(f"types nest {NESTING_MAX} deep at most.")
    name = reader.require(_WORD, "type").lower()
    if name in _LISTS:
        return _LISTS[name](_item(reader, depth))
    if name in _NESTED:
        return _NESTED[name](reader, depth)
    if name in _PARAMETRIC:
        return _PARAMETRIC[name](reader)
    if name in _SIMPLE:
        return _SIMPLE[name]()
    if name in _DECIMALS:
        return _decimal(reader, _DECIMALS[name])
    if name in _TIMES:
        return _TIMES[name](_between_brackets(reader, lambda: reader.require(_WORD, "unit")))
    near = f" Write '{_OF_SQL[name]}'." if name in _OF_SQL else did_you_mean(name, _NAMES)
    raise ValueError(f"there is no type '{name}'.{near}")


def _decimal(reader: _Reader, make: Callable[[int, int], pa.DataType]) -> pa.DataType:
    reader.expect("(")
    precision = reader.number()
    scale = reader.number() if reader.skip(",") else 0
    reader.expect(")")
    return make(precision, scale)


def _timestamp(reader: _Reader) -> pa.DataType:
    reader.expect("[")
    unit = reader.require(_WORD, "unit")
    zone = None
    if reader.skip(","):
        if reader.skip("tz"):
            reader.expect("=")
        zone = reader.require(_ZONE, "time zone")
    reader.expect("]")
    return pa.timestamp(unit, zone)


def _date(make: Callable[[], pa.DataType]) -> Callable[[_Reader], pa.DataType]:
    """A reader of a date's type, whose unit says nothing and may be left out."""

    def read(reader: _Reader) -> pa.DataType:
        if reader.skip("["):
            reader.require(_WORD, "unit")
            reader.expect("]")
        return make()

    return read


def _item(reader: _Reader, depth: int) -> pa.Field:
    """The field of a list's items, between `<` and `>`; its name may be left out."""
    reader.expect("<")
    field = _field(reader, depth, default="item")
    reader.expect(">")
    return field


def _field(reader: _Reader, depth: int, default: str | None = None) -> pa.Field:
    name = reader.take(_FIELD_NAME)
    if name is None:
        if default is None:
            raise ValueError(f"a field's name and ':' are missing{reader.where}.")
        name = default
    if name.startswith('"'):
        name = name[1:-1].replace('""', '"')
    kind = _type(reader, depth + 1)
    return pa.field(name, kind, nullable=reader.take(_NOT_NULL) is None)


def _struct(reader: _Reader, depth: int) -> pa.DataType:
    reader.expect("<")
    fields: list[pa.Field] = []
    while not reader.skip(">"):
        if fields:
            reader.expect(",")
        fields.append(_field(reader, depth))
    return pa.struct(fields)


def _map(reader: _Reader, depth: int) -> pa.DataType:
    reader.expect("<")
    key = _type(reader, depth + 1)
    reader.expect(",")
    value = _field(reader, depth, default="value")
    keys_sorted = reader.skip(",")
    if keys_sorted:
        reader.expect("keys_sorted")
    reader.expect(">")
    return pa.map_(key, value, keys_sorted=keys_sorted)


def _dictionary(reader: _Reader, depth: int) -> pa.DataType:
    reader.expect("<")
    parts: dict[str, Any] = {"values": None, "indices": pa.int32(), "ordered": 0}
    while not reader.skip(">"):
        if parts["values"] is not None:
            reader.expect(",")
        name = reader.require(_WORD, "'values=', 'indices=' or 'ordered='")
        reader.expect("=")
        parts[name] = reader.number() if name == "ordered" else _type(reader, depth + 1)
    if parts["values"] is None or len(parts) > 3:
        raise ValueError("write dictionary<values=string, indices=int32, ordered=0>.")
    return pa.dictionary(parts["indices"], parts["values"], bool(parts["ordered"]))


def _fixed_size_list(reader: _Reader, depth: int) -> pa.DataType:
    item = _item(reader, depth)
    return pa.list_(item, _between_brackets(reader, reader.size))


def _tensor(reader: _Reader, depth: int) -> pa.DataType:
    reader.expect("<")
    value = _type(reader, depth + 1)
    reader.expect(">")

    def shape() -> list[int]:
        sizes = [reader.size()]
        while reader.skip(","):
            sizes.append(reader.size())
        return sizes

    return pa.fixed_shape_tensor(value, _between_brackets(reader, shape))


def _extension(reader: _Reader, depth: int) -> pa.DataType:
    """An extension type without parameters as pyarrow prints it: `extension<arrow.uuid>`."""
    reader.expect("<")
    reader.expect("arrow.")
    kind = _type(reader, depth + 1)
    reader.expect(">")
    return kind


Content = TypeVar("Content")


def _between_brackets(reader: _Reader, content: Callable[[], Content]) -> Content:
    reader.expect("[")
    found = content()
    reader.expect("]")
    return found


_NESTED = {
    "fixed_size_list": _fixed_size_list,
    "struct": _struct,
    "map": _map,
    "dictionary": _dictionary,
    "fixed_shape_tensor": _tensor,
    "extension": _extension,
}
_PARAMETRIC: dict[str, Callable[[_Reader], pa.DataType]] = {
    "timestamp": _timestamp,
    "date32": _date(pa.date32),
    "date64": _date(pa.date64),
    "date": _date(pa.date32),
    "fixed_size_binary": lambda reader: pa.binary(_between_brackets(reader, reader.size)),
}
_NAMES = (*_SIMPLE, *_DECIMALS, *_LISTS, *_TIMES, *_NESTED, *_PARAMETRIC)


def _write_field(field: pa.Field) -> str:
    plain = _PLAIN_NAME.fullmatch(field.name)
    name = field.name if plain else '"' + field.name.replace('"', '""') + '"'
    return f"{name}: {write_type(field.type)}{'' if field.nullable else ' not null'}"


def _write_extension(kind: Any) -> str:
    if isinstance(kind, pa.FixedShapeTensorType):
        return f"fixed_shape_tensor<{write_type(kind.value_type)}>{list(kind.shape)}"
    name = str(kind.extension_name).removeprefix("arrow.")
    return name if name in _SIMPLE else str(kind)


def _texts(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    return {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in (metadata or {}).items()
    }
