"""Which storage each Arrow type gets in the lake.

DuckLake holds fewer types than Arrow has, and Parquet, below it, holds fewer still. This module
is the one table that says where the values of each Arrow type are kept so that none is lost, and
which types cannot be kept at all. It knows nothing of batches: `inbound` and `outbound` move the
values, by what stands here.

Some choices look odd and are forced by what was measured on DuckDB 1.5.5:

- `time64[ns]` is a BIGINT of nanoseconds: writing a TIME_NS to Parquet ends the whole database
  with a fatal error;
- an interval is a STRUCT: Parquet's has milliseconds only and refuses negative ones;
- `timestamp[ns, zone]` is a TIMESTAMP_NS in UTC: TIMESTAMPTZ has microseconds;
- a UUID below the top level is a BLOB: DuckDB hands nested ones out as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.arrow_layouts import is_list_like
from flight_server.engines.required_values import child_path
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import quoted

# The widest DECIMAL that DuckDB has.
DECIMAL_DIGITS_MAX = 38

# How a month_day_nano interval is kept: the same three numbers, by name.
INTERVAL_STORAGE = pa.struct(
    [("months", pa.int32()), ("days", pa.int32()), ("nanoseconds", pa.int64())]
)


@dataclass(frozen=True)
class Storage:
    """Where values are kept: DuckDB's type as SQL text, and the Arrow type handed to DuckDB."""

    sql: str
    arrow: pa.DataType


def storage_type(field: pa.Field) -> str:
    """The DuckDB type, as text for CREATE TABLE, that keeps this column without loss.

    Raises InvalidRequest (UNSUPPORTED_TYPE) naming the column, by its path where it is nested
    (`a.b[]`), and the type.
    """
    return storage_of(field.type, field.name, top=True).sql


def storage_field(field: pa.Field) -> pa.Field:
    """The column as DuckDB is given it when what comes in has the table's own type."""
    arrow = storage_of(field.type, field.name, top=True).arrow
    return pa.field(field.name, arrow, nullable=field.nullable)


def select_expression(field: pa.Field, column_sql: str) -> str:
    """What to SELECT so that `Outbound` can restore the column from the Arrow that comes out."""
    if is_uuid(field.type):
        # DuckDB hands UUIDs out as text, which Arrow has no function to parse.
        return f"unhex(replace({column_sql}::VARCHAR, '-', ''))"
    return column_sql


def storage_of(data_type: pa.DataType, path: str, *, top: bool = False) -> Storage:
    """The storage of a type at any depth; `path` is for the message when there is none."""
    if isinstance(data_type, pa.BaseExtensionType):
        return _extension_storage(data_type, path, top)
    if kinds.is_dictionary(data_type) or kinds.is_run_end_encoded(data_type):
        return storage_of(data_type.value_type, path)
    if is_list_like(data_type):
        return _list_storage(data_type, path)
    if kinds.is_struct(data_type):
        return _struct_storage(data_type, path)
    if kinds.is_map(data_type):
        return _map_storage(data_type, path)
    if kinds.is_decimal(data_type):
        return _decimal_storage(data_type, path)
    storage = _STORAGE.get(data_type) or _parametric_storage(data_type)
    return storage or _refuse(data_type, path, "DuckLake has nothing that keeps its values")


def is_plain(field: pa.Field) -> bool:
    """Whether Arrow writes the column into Parquet just as DuckDB does, in the field's own type."""
    kind = field.type
    if kinds.is_timestamp(kind):
        return bool(kind.unit in ("ms", "us") or (kind.unit == "ns" and kind.tz is None))
    if kinds.is_decimal128(kind):
        return bool(_decimal_storage(kind, field.name).arrow.equals(kind))
    return kind in _PLAIN


def is_uuid(data_type: pa.DataType) -> bool:
    """Whether the type is the canonical extension `arrow.uuid`."""
    return isinstance(data_type, pa.UuidType)


def is_json(data_type: pa.DataType) -> bool:
    """Whether the type is the canonical extension `arrow.json`."""
    return isinstance(data_type, pa.JsonType)


def _extension_storage(data_type: pa.DataType, path: str, top: bool) -> Storage:
    """Extension types are kept as what they are stored in, but for those DuckDB knows itself."""
    if top and is_uuid(data_type):
        return Storage("UUID", data_type)
    stored = storage_of(data_type.storage_type, path)
    return Storage("JSON", stored.arrow) if is_json(data_type) else stored


def _list_storage(data_type: pa.DataType, path: str) -> Storage:
    child = storage_of(data_type.value_type, f"{path}[]")
    field = pa.field("item", child.arrow, nullable=data_type.value_field.nullable)
    large = kinds.is_large_list(data_type) or kinds.is_large_list_view(data_type)
    return Storage(f"{child.sql}[]", pa.large_list(field) if large else pa.list_(field))


def _struct_storage(data_type: pa.DataType, path: str) -> Storage:
    if data_type.num_fields == 0:
        _refuse(data_type, path, "it has no fields")
    names = [data_type.field(index).name for index in range(data_type.num_fields)]
    if "" in names or len({name.lower() for name in names}) < len(names):
        _refuse(data_type, path, "its fields' names are empty, or equal but for their case")
    fields, texts = [], []
    for index, name in enumerate(names):
        field = data_type.field(index)
        child = storage_of(field.type, child_path(path, data_type, index))
        fields.append(pa.field(name, child.arrow, nullable=field.nullable))
        texts.append(f"{quoted(name)} {child.sql}")
    return Storage(f"STRUCT({', '.join(texts)})", pa.struct(fields))


def _map_storage(data_type: pa.DataType, path: str) -> Storage:
    key = storage_of(data_type.key_type, child_path(path, data_type, 0))
    item = storage_of(data_type.item_type, child_path(path, data_type, 1))
    value = pa.field("value", item.arrow, nullable=data_type.item_field.nullable)
    return Storage(f"MAP({key.sql}, {item.sql})", pa.map_(key.arrow, value))


def _decimal_storage(data_type: pa.DataType, path: str) -> Storage:
    """DuckDB's scale is neither negative nor above the precision, as Arrow's may be."""
    scale = max(data_type.scale, 0)
    digits = max(data_type.precision + scale - data_type.scale, scale)
    if digits > DECIMAL_DIGITS_MAX:
        _refuse(data_type, path, f"DuckLake's decimals have {DECIMAL_DIGITS_MAX} digits at most")
    fits = (digits, scale) == (data_type.precision, data_type.scale)
    keep = fits and not kinds.is_decimal256(data_type)
    return Storage(
        f"DECIMAL({digits}, {scale})", data_type if keep else pa.decimal128(digits, scale)
    )


def _parametric_storage(data_type: pa.DataType) -> Storage | None:
    if kinds.is_fixed_size_binary(data_type):
        # Given these inside a struct that is null, DuckDB 1.5.5 writes Parquet with shifted rows.
        return Storage("BLOB", pa.binary())
    if kinds.is_duration(data_type):
        return Storage("BIGINT", pa.int64())
    if kinds.is_timestamp(data_type) and data_type.tz is not None:
        if data_type.unit == "ns":
            return Storage("TIMESTAMP_NS", pa.timestamp("ns"))
        return Storage("TIMESTAMP WITH TIME ZONE", data_type)
    return None


def _refuse(data_type: pa.DataType, path: str, why: str) -> NoReturn:
    raise InvalidRequest(
        f"Column '{path}' has the type {data_type}, which lake tables cannot hold: {why}.",
        code=ErrorCode.UNSUPPORTED_TYPE,
        details={"column": path, "type": str(data_type)},
    )


def _same(data_type: pa.DataType, sql: str) -> tuple[pa.DataType, Storage]:
    return data_type, Storage(sql, data_type)


_PLAIN = frozenset(
    [
        *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float32(), pa.float64()),
        *(pa.utf8(), pa.large_utf8(), pa.binary(), pa.large_binary()),
        *(pa.date32(), pa.time64("us")),
    ]
)

_STORAGE: dict[pa.DataType, Storage] = dict(
    [
        # Arrow cannot gather views, which taking nested arrays apart needs.
        (pa.string_view(), Storage("VARCHAR", pa.large_utf8())),
        (pa.binary_view(), Storage("BLOB", pa.large_binary())),
        (pa.null(), Storage("INTEGER", pa.int32())),
        (pa.float16(), Storage("FLOAT", pa.float32())),
        (pa.time64("ns"), Storage("BIGINT", pa.int64())),
        (
            pa.month_day_nano_interval(),
            Storage("STRUCT(months INTEGER, days INTEGER, nanoseconds BIGINT)", INTERVAL_STORAGE),
        ),
        _same(pa.bool_(), "BOOLEAN"),
        _same(pa.int8(), "TINYINT"),
        _same(pa.int16(), "SMALLINT"),
        _same(pa.int32(), "INTEGER"),
        _same(pa.int64(), "BIGINT"),
        _same(pa.uint8(), "UTINYINT"),
        _same(pa.uint16(), "USMALLINT"),
        _same(pa.uint32(), "UINTEGER"),
        _same(pa.uint64(), "UBIGINT"),
        _same(pa.float32(), "FLOAT"),
        _same(pa.float64(), "DOUBLE"),
        _same(pa.utf8(), "VARCHAR"),
        _same(pa.large_utf8(), "VARCHAR"),
        _same(pa.binary(), "BLOB"),
        _same(pa.large_binary(), "BLOB"),
        _same(pa.date32(), "DATE"),
        _same(pa.date64(), "DATE"),
        _same(pa.time32("s"), "TIME"),
        _same(pa.time32("ms"), "TIME"),
        _same(pa.time64("us"), "TIME"),
        _same(pa.timestamp("s"), "TIMESTAMP_S"),
        _same(pa.timestamp("ms"), "TIMESTAMP_MS"),
        _same(pa.timestamp("us"), "TIMESTAMP"),
        _same(pa.timestamp("ns"), "TIMESTAMP_NS"),
    ]
)
