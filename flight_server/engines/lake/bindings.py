"""Parameters of statements, as DuckDB's Python API takes them without losing anything.

Python's own values are bound as they are. Arrow scalars keep their type: of each becomes a
`duckdb.Value` of DuckDB's natural type, so that SQL sees in a parameter what it sees in a column.
DuckDB 1.5.5 makes such values exactly of integers, bytes and text only: of floats NaN becomes
null, decimals lose their type, and times end at microseconds. So those travel as the text that
DuckDB reads as the very same value.

Nulls are the one thing that cannot be bound with a type, alone or within lists and structs. For
them `casts` names the types that a statement can cast its parameters to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.types as kinds
from duckdb.sqltypes import DuckDBPyType
from duckdb.value.constant import Value

from flight_server.arrow_layouts import is_list_like
from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.sql_types import MICROSECONDS, natural_of
from flight_server.engines.lake.types import INTERVAL_STORAGE, storage_of
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import PARAMETER_ROWS, SqlRequest

Parameters = Sequence[Any] | Mapping[str, Any]

_lock = threading.Lock()


def bound(parameters: Parameters) -> list[Any] | dict[str, Any]:
    """The parameters as `execute` takes them. InvalidRequest for one that DuckDB cannot hold."""
    if isinstance(parameters, Mapping):
        return {name: _bound(value, f"${name}") for name, value in parameters.items()}
    return [_bound(value, f"${number}") for number, value in enumerate(parameters, start=1)]


def casts(parameters: Parameters) -> dict[str, str]:
    """The SQL types of the parameters that lose theirs, by name; unnamed ones count from 1.

    A statement that says `CAST($1 AS …)` in place of `$1` sees the types that were sent.
    """
    named = (
        parameters.items()
        if isinstance(parameters, Mapping)
        else ((str(number), value) for number, value in enumerate(parameters, start=1))
    )
    return {
        name: _sql_type(value, f"${name}")
        for name, value in named
        # A null of no type has none that could be named.
        if isinstance(value, pa.Scalar)
        and not kinds.is_null(value.type)
        and (not value.is_valid or kinds.is_nested(value.type))
    }


@contextmanager
def inputs_bound(
    connection: duckdb.DuckDBPyConnection,
    request: SqlRequest,
    cancellation: Cancellation | None,
) -> Iterator[None]:
    """While the block runs, SQL on the connection reads the request's rows and its scans.

    Without a cancellation the scans are empty. See `foreign_rows` for what they raise.
    """
    with ExitStack() as stack:
        if request.rows is not None:
            connection.register(PARAMETER_ROWS, request.rows)
            stack.callback(connection.unregister, PARAMETER_ROWS)
        if request.scans:
            # Imported here, since most statements read the lake alone.
            from flight_server.engines.lake.foreign_rows import scans_bound

            stack.enter_context(scans_bound(connection, request.scans, cancellation))
        yield


def _bound(value: Any, name: str) -> Any:
    if not isinstance(value, pa.Scalar):
        return value
    carrier = _carrier(value, name)
    if carrier is None:
        return None
    return Value(carrier, _duckdb_type(_sql_type(value, name)))


def _sql_type(value: pa.Scalar, name: str) -> str:
    if kinds.is_interval(value.type) and value.is_valid and value.as_py().nanoseconds % 1000:
        # No INTERVAL is so fine; assigned to a column, the struct keeps it.
        return storage_of(value.type, name).sql
    return "NULL" if kinds.is_null(value.type) else natural_of(value.type, name, top=True).sql


@lru_cache(maxsize=1024)
def _duckdb_type(sql: str) -> DuckDBPyType:
    # DuckDB reads types with a connection that all threads share.
    with _lock:
        return duckdb.sqltype(sql)


def _carrier(value: pa.Scalar, name: str) -> Any:
    """A Python value that DuckDB makes the very same value of, given its type."""
    if not value.is_valid:
        return None
    kind = value.type
    if isinstance(kind, pa.BaseExtensionType):
        # A UUID as its text; the others are what they are kept in.
        return str(value.as_py()) if isinstance(kind, pa.UuidType) else _carrier(value.value, name)
    if kinds.is_dictionary(kind):
        return _carrier(value.value, name)
    if kinds.is_run_end_encoded(kind):
        return _carrier(value.value, name)
    if is_list_like(kind):
        return [_carrier(item, name) for item in value.values]
    if kinds.is_map(kind):
        entries = value.values
        return {
            "key": [_carrier(key, name) for key in entries.field(0)],
            "value": [_carrier(item, name) for item in entries.field(1)],
        }
    if kinds.is_struct(kind):
        return {field.name: _carrier(value[at], name) for at, field in enumerate(kind)}
    return _leaf(value, name)


def _leaf(value: pa.Scalar, name: str) -> Any:
    kind = value.type
    for is_one, carry in _LEAVES:
        if is_one(kind):
            return carry(value, name)
    return value.as_py()


def _float(value: pa.Scalar, name: str) -> str:
    return repr(float(value.as_py()))


def _decimal(value: pa.Scalar, name: str) -> str:
    return format(value.as_py(), "f")


def _moment(value: pa.Scalar, name: str) -> str:
    """Times and dates as Arrow writes them, which is what DuckDB reads: in UTC where of a zone."""
    if kinds.is_timestamp(value.type):
        value = value.cast(pa.timestamp(value.type.unit))
    elif kinds.is_date(value.type):
        value = value.cast(pa.date32())
    text = str(value.cast(pa.string()).as_py())
    if text.startswith("<"):
        raise InvalidRequest(
            f"The parameter {name} is a {value.type} so far away that SQL cannot read it: {text}.",
            code=ErrorCode.INVALID_DATA,
        )
    return text


def _duration(value: pa.Scalar, name: str) -> int | str:
    count: int = value.cast(pa.int64()).as_py()
    if value.type.unit == "ns":
        return count
    return f"{count * MICROSECONDS[value.type.unit]} microseconds"


def _interval(value: pa.Scalar, name: str) -> Any:
    months, days, nanoseconds = value.as_py()
    if nanoseconds % 1000:
        return dict(zip(INTERVAL_STORAGE.names, (months, days, nanoseconds), strict=True))
    return f"{months} months {days} days {nanoseconds // 1000} microseconds"


_LEAVES: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Scalar, str], Any]], ...] = (
    (kinds.is_floating, _float),
    (kinds.is_decimal, _decimal),
    (kinds.is_date, _moment),
    (kinds.is_time, _moment),
    (kinds.is_timestamp, _moment),
    (kinds.is_duration, _duration),
    (kinds.is_interval, _interval),
)
