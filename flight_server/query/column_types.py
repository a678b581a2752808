"""Which Arrow type a column has that SQL declares with a type of DuckDB's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, PixelflightError
from flight_server.query import dialect

_PLAIN: dict[str, Callable[[], pa.DataType]] = {
    "BOOLEAN": pa.bool_,
    "TINYINT": pa.int8,
    "UTINYINT": pa.uint8,
    "SMALLINT": pa.int16,
    "USMALLINT": pa.uint16,
    "INTEGER": pa.int32,
    "UINTEGER": pa.uint32,
    "BIGINT": pa.int64,
    "UBIGINT": pa.uint64,
    "HUGEINT": lambda: pa.decimal128(38, 0),
    "FLOAT": pa.float32,
    "DOUBLE": pa.float64,
    "VARCHAR": pa.string,
    "BLOB": pa.binary,
    "DATE": pa.date32,
    "TIME": lambda: pa.time64("us"),
    "TIME_NS": lambda: pa.time64("ns"),
    "TIMESTAMP": lambda: pa.timestamp("us"),
    "TIMESTAMP_S": lambda: pa.timestamp("s"),
    "TIMESTAMP_MS": lambda: pa.timestamp("ms"),
    "TIMESTAMP_NS": lambda: pa.timestamp("ns"),
    "TIMESTAMP WITH TIME ZONE": lambda: pa.timestamp("us", "UTC"),
    "INTERVAL": pa.month_day_nano_interval,
    "UUID": pa.uuid,
    "JSON": lambda: pa.json_(pa.string()),
}

_REMEDIES = {
    "bignum": "VARCHAR holds numbers of any length",
    "bit": "VARCHAR holds the digits, BLOB the bytes",
    "enum": "VARCHAR holds its values",
    "geometry": "BLOB holds WKB",
    "time with time zone": "TIME and a column for the zone, or TIMESTAMPTZ, hold the same",
    "uhugeint": "DECIMAL(38, 0) holds numbers of 38 digits",
    "union": "a STRUCT with a field for each member holds the same",
    "variant": "JSON holds values of any shape",
}


def column_type(text: str, column: str) -> pa.DataType:
    """The Arrow type of a column that is declared as `text`.

    InvalidRequest (unsupported_type) names the column; invalid_sql where the text is no type.
    """
    try:
        known = _declared(text)
    except PixelflightError as error:
        # DuckDB cannot write the tree of an enumeration.
        if "ENUM" in text.upper():
            raise _not_held(text.strip(), "enum", column) from None
        raise _unknown(text, column, error.message) from None
    return _arrow(known, text, column)


@functools.lru_cache(maxsize=256)
def _declared(text: str) -> Any:
    """DuckDB's own object for the type, which the text must be and nothing else."""
    tree = dialect.parsed(f"SELECT CAST(NULL AS {text}\n)")
    node = tree["node"]["select_list"][0]
    expected = dialect.parsed("SELECT CAST(NULL AS INTEGER)")
    inner = expected["node"]["select_list"][0]
    inner["cast_type"] = node.get("cast_type")
    for one in (node, node.get("child", {}), inner, inner["child"]):
        one.pop("query_location", None)
    if tree != expected:
        raise InvalidRequest("it is not one type alone", code=ErrorCode.INVALID_SQL)
    return dialect.asked_type(dialect.written(tree))


def _arrow(kind: Any, text: str, column: str) -> pa.DataType:
    if make := _PLAIN.get(str(kind)):
        return make()
    match kind.id:
        case "decimal":
            return pa.decimal128(*(size for _, size in kind.children))
        case "list":
            return pa.list_(_arrow(kind.child, text, f"{column}[]"))
        case "array":
            (_, child), (_, size) = kind.children
            return pa.list_(_arrow(child, text, f"{column}[]"), size)
        case "struct":
            return pa.struct(
                [(name, _arrow(child, text, f"{column}.{name}")) for name, child in kind.children]
            )
        case "map":
            (_, key), (_, value) = kind.children
            return pa.map_(
                _arrow(key, text, f"{column}.key"), _arrow(value, text, f"{column}.value")
            )
    raise _not_held(str(kind), kind.id, column)


def _not_held(shown: str, kind: str, column: str) -> InvalidRequest:
    remedy = _REMEDIES.get(kind, "VARCHAR holds its text")
    return InvalidRequest(
        f"The column '{column}' cannot have the type {shown[:60]}: "
        f"tables cannot hold it; {remedy}.",
        code=ErrorCode.UNSUPPORTED_TYPE,
        details={"column": column},
    )


def _unknown(text: str, column: str, why: str) -> InvalidRequest:
    reason = why.removeprefix("The SQL does not parse: ").partition("\n")[0].rstrip(".")
    return InvalidRequest(
        f"The type '{text.strip()[:60]}' of the column '{column}' is not known: {reason}.",
        code=ErrorCode.UNSUPPORTED_TYPE,
        details={"column": column},
    )
