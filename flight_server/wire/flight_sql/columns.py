"""What Flight SQL tells of a column beside its Arrow type: metadata on the field of a schema.

Clients show it, and size their buffers by it. Everything here follows from the Arrow type, so a
schema is looked at once and remembered. Knows how the lake keeps the few types that SQL has no
other name for; a test holds that against the engine.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.model import TableRef, quoted

PREFIX = b"ARROW:FLIGHT:SQL:"
SCHEMAS_CACHED_MAX = 256

# What notes on a column are called by those who write them into Arrow metadata.
_NOTES = (b"comment", b"description", b"remarks")

# The name of each type in SQL, its digits, and those behind the point.
_PLAIN: dict[pa.DataType, tuple[str, int | None, int | None]] = {
    pa.null(): ("NULL", None, None),
    pa.bool_(): ("BOOLEAN", 1, None),
    pa.int8(): ("TINYINT", 3, 0),
    pa.int16(): ("SMALLINT", 5, 0),
    pa.int32(): ("INTEGER", 10, 0),
    pa.int64(): ("BIGINT", 19, 0),
    pa.uint8(): ("UTINYINT", 3, 0),
    pa.uint16(): ("USMALLINT", 5, 0),
    pa.uint32(): ("UINTEGER", 10, 0),
    pa.uint64(): ("UBIGINT", 20, 0),
    pa.float16(): ("FLOAT", 7, None),
    pa.float32(): ("FLOAT", 7, None),
    pa.float64(): ("DOUBLE", 15, None),
    pa.date32(): ("DATE", 10, None),
    pa.date64(): ("DATE", 10, None),
    # Of moments the characters that they are written in.
    pa.time32("s"): ("TIME", 8, 0),
    pa.time32("ms"): ("TIME", 12, 3),
    pa.time64("us"): ("TIME", 15, 6),
    pa.time64("ns"): ("TIME_NS", 18, 9),
    pa.timestamp("s"): ("TIMESTAMP_S", 19, 0),
    pa.timestamp("ms"): ("TIMESTAMP_MS", 23, 3),
    pa.timestamp("us"): ("TIMESTAMP", 26, 6),
    pa.timestamp("ns"): ("TIMESTAMP_NS", 29, 9),
    pa.month_day_nano_interval(): ("INTERVAL", None, None),
}
# What SQL sees of a lake's table where that is another type than a query's result would have.
_KEPT: dict[pa.DataType, tuple[str, int | None, int | None]] = {
    pa.null(): ("INTEGER", 10, 0),
}
_ZONE_CHARACTERS = len("+00:00")


def with_column_metadata(schema: pa.Schema, table: TableRef | None = None) -> pa.Schema:
    """The schema with Flight SQL's metadata on its fields, and what was on them before.

    `table` is the one whose columns these are; None for the result of a query.
    """
    return _described(schema, table)


def serialized(schema: pa.Schema) -> bytes:
    """The schema as an IPC message."""
    return _serialized(schema)


R = TypeVar("R")


class _BySchema(Generic[R]):
    """What follows from a schema, remembered for that very object.

    Schemas compare without their fields' metadata, so they cannot be keys themselves. Those of
    statements that come again are the same objects each time.
    """

    def __init__(self, function: Callable[..., R]) -> None:
        self._function = function
        # The schema is held, so that no other one gets its number.
        self._known: dict[tuple[Any, ...], tuple[pa.Schema, R]] = {}

    def __call__(self, schema: pa.Schema, *arguments: Any) -> R:
        key = (id(schema), *arguments)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= SCHEMAS_CACHED_MAX:
                self._known.clear()
            known = self._known[key] = (schema, self._function(schema, *arguments))
        return known[1]


@_BySchema
def _described(schema: pa.Schema, table: TableRef | None) -> pa.Schema:
    return _described_alike(serialized(schema), table)


@functools.lru_cache(maxsize=SCHEMAS_CACHED_MAX)
def _described_alike(message: bytes, table: TableRef | None) -> pa.Schema:
    """By content, for what is another object each time, such as the schema of a scan."""
    schema = pa.ipc.read_schema(pa.py_buffer(message))
    fields = [_field(field, table) for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


@_BySchema
def _serialized(schema: pa.Schema) -> bytes:
    return bytes(schema.serialize())


def _field(field: pa.Field, table: TableRef | None) -> pa.Field:
    had = field.metadata or {}
    kept = {name: value for name, value in had.items() if not name.startswith(PREFIX)}
    told = {PREFIX + name.encode(): value.encode() for name, value in _told(field, table).items()}
    for name in _NOTES:
        if kept.get(name):
            told.setdefault(PREFIX + b"REMARKS", kept[name])
    return field.with_metadata(kept | told)


def _told(field: pa.Field, table: TableRef | None) -> dict[str, str]:
    name, precision, scale = described(field.type, kept=table is not None)
    told = {
        "TYPE_NAME": name,
        "IS_AUTO_INCREMENT": "0",
        "IS_CASE_SENSITIVE": "1" if name in ("VARCHAR", "JSON") else "0",
        # What a query computed cannot be written to.
        "IS_READ_ONLY": "1" if table is None else "0",
        "IS_SEARCHABLE": "1",
    }
    if precision is not None:
        told["PRECISION"] = str(precision)
    if scale is not None:
        told["SCALE"] = str(scale)
    if table is not None:
        told["CATALOG_NAME"] = table.catalog
        # The protocol's text has the first of these, the clients that there are read the second.
        told["DB_SCHEMA_NAME"] = told["SCHEMA_NAME"] = table.namespace
        told["TABLE_NAME"] = table.name
    return told


def described(
    kind: pa.DataType, *, kept: bool = False, top: bool = True
) -> tuple[str, int | None, int | None]:
    """DuckDB's name of a type, its digits or characters, and those behind the point.

    `kept` asks for the type by which SQL finds the column in a lake's table. A text has no
    length of its own here, so none is told. `top` is False below the column itself.
    """
    if kept and kind in _KEPT:
        return _KEPT[kind]
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(kind, kept, top)
    if kinds.is_dictionary(kind) or kinds.is_run_end_encoded(kind):
        return described(kind.value_type, kept=kept, top=False)
    if kinds.is_decimal(kind):
        scale = max(kind.scale, 0)
        digits = max(kind.precision + scale - kind.scale, scale)
        return f"DECIMAL({digits}, {scale})", digits, scale
    if kinds.is_timestamp(kind):
        return _zoned(kind, kept)
    if kinds.is_duration(kind):
        # An INTERVAL has microseconds, so that a column of nanoseconds is a count of them.
        counted = kept and kind.unit == "ns"
        return ("BIGINT", 19, 0) if counted else ("INTERVAL", None, None)
    return _nested(kind, kept, top), None, None


def _extension(kind: pa.DataType, kept: bool, top: bool) -> tuple[str, int | None, int | None]:
    if isinstance(kind, pa.UuidType):
        return "UUID", 36, None
    if isinstance(kind, pa.JsonType):
        return "JSON", None, None
    return described(kind.storage_type, kept=kept, top=top)


def _zoned(kind: pa.DataType, kept: bool) -> tuple[str, int | None, int | None]:
    plain, precision, scale = _PLAIN[pa.timestamp(kind.unit)]
    if kept and kind.unit == "ns":
        return plain, precision, scale
    assert precision is not None, "moments have a length"
    return "TIMESTAMP WITH TIME ZONE", precision + _ZONE_CHARACTERS, scale


def _nested(kind: pa.DataType, kept: bool, top: bool) -> str:
    if kinds.is_struct(kind):
        return f"STRUCT({_members(kind, kept)})"
    if kinds.is_union(kind):
        return f"UNION({_members(kind, kept)})"
    if kinds.is_map(kind):
        return f"MAP({_inner(kind.key_type, kept)}, {_inner(kind.item_type, kept)})"
    # Within other types a lake's table has lists of any length.
    if kinds.is_fixed_size_list(kind) and (top or not kept):
        return f"{_inner(kind.value_type, kept)}[{kind.list_size}]"
    if kinds.is_nested(kind):
        return f"{_inner(kind.value_type, kept)}[]"
    texts = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
    return "VARCHAR" if texts else "BLOB"


def _members(kind: pa.DataType, kept: bool) -> str:
    members = (kind.field(index) for index in range(kind.num_fields))
    return ", ".join(f"{quoted(member.name)} {_inner(member.type, kept)}" for member in members)


def _inner(kind: pa.DataType, kept: bool) -> str:
    return described(kind, kept=kept, top=False)[0]
