"""What SQL sees of columns that the lake keeps otherwise, and the way back.

`types` says where values are kept so that none is lost; some of that is nothing that a person
would write in SQL: an interval is a struct of three numbers there, a duration a count. This
module knows, for each Arrow type, DuckDB's natural type for its values, the expression that turns
what is kept into it, and the expression that turns it into what is kept and fits the type.

Nanoseconds decide what is natural: DuckDB's INTERVAL ends at microseconds. So durations in
nanoseconds stay counts, where arithmetic is exact, and of an interval SQL sees no more than whole
microseconds. TIMESTAMP_NS has no zone: those of a zone are seen in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.arrow_layouts import is_list_like
from flight_server.engines.lake.inbound import EARLIEST_NANOSECONDS
from flight_server.engines.lake.instance import literal
from flight_server.engines.lake.types import is_uuid, storage_of
from flight_server.engines.required_values import child_path
from flight_server.errors import InvalidRequest
from flight_server.model import quoted

Expression = Callable[[str], str]

# The longest list for which DuckDB has a type of fixed length.
ARRAY_ITEMS_MAX = 100_000
DAY_NANOSECONDS = 86_400 * 10**9
# How many microseconds a unit has; None where it is shorter than one.
MICROSECONDS = {"s": 10**6, "ms": 10**3, "us": 1}
FLOAT16_MAX = 65504
_ITEM = re.compile(r"\bitem_(\d+)\b")


@dataclass(frozen=True)
class Natural:
    """DuckDB's natural type for an Arrow type.

    `shown` makes the natural value of a kept one, `stored` a kept one of a natural value, checked
    against the Arrow type. None where it is the same value. Both write their argument down more
    than once: it should be a column.
    """

    sql: str
    shown: Expression | None = None
    stored: Expression | None = None


def sql_expression(field: pa.Field, column_sql: str) -> str | None:
    """The expression that shows a kept column naturally, or None where it is so already."""
    natural = natural_of(field.type, field.name, top=True)
    return None if natural.shown is None else natural.shown(column_sql)


@lru_cache(maxsize=1024)
def sql_columns(schema: pa.Schema) -> Mapping[str, str]:
    """The expressions for those columns that are not natural as they are kept, by name."""
    shown = ((field.name, sql_expression(field, quoted(field.name))) for field in schema)
    return {name: sql for name, sql in shown if sql is not None}


@lru_cache(maxsize=1024)
def scan_sql(name: str, schema: pa.Schema) -> str:
    """A SELECT of rows of this schema that are kept, under a name, as the lake would keep them.

    Each column becomes an expression: see `foreign_rows`. One that the lake could not keep is an
    error where it is read.
    """
    kept = ", ".join(f"{_kept_expression(field)} AS {quoted(field.name)}" for field in schema)
    rows = f"SELECT {kept} FROM {quoted(name)}"
    shown = sql_columns(pa.schema([field for field in schema if can_be_shown(field)]))
    if not shown:
        return rows
    replaced = ", ".join(f"{sql} AS {quoted(column)}" for column, sql in shown.items())
    return f"SELECT * REPLACE ({replaced}) FROM ({rows})"


def can_be_shown(field: pa.Field) -> bool:
    """Whether the lake has a type that keeps the column's values."""
    try:
        storage_of(field.type, field.name, top=True)
    except InvalidRequest:
        return False
    return True


def _kept_expression(field: pa.Field) -> str:
    column = quoted(field.name)
    if can_be_shown(field):
        kept = storage_of(field.type, field.name, top=True).sql
        return f"CASE WHEN {column} IS NOT NULL THEN CAST({column} AS {kept}) END"
    what = f"SQL cannot read the column '{field.name}', whose type is {field.type}."
    return f"CAST(error({literal(what)}) AS VARCHAR)"


def natural_of(data_type: pa.DataType, path: str, *, top: bool = False) -> Natural:
    """The natural type at any depth; `path` is for messages."""
    if isinstance(data_type, pa.BaseExtensionType):
        return _extension(data_type, path, top)
    if kinds.is_dictionary(data_type) or kinds.is_run_end_encoded(data_type):
        return natural_of(data_type.value_type, path)
    if is_list_like(data_type):
        return _list(data_type, path, top)
    if kinds.is_struct(data_type):
        return _struct(data_type, path)
    if kinds.is_map(data_type):
        return _map(data_type, path)
    return _leaf(data_type, path)


def misfit(path: str, data_type: pa.DataType, sql: str) -> str:
    """An expression that ends the statement: the value `sql` does not fit the column's type."""
    what = literal(f" does not fit the type {data_type} of column '{path}'.")
    return f"error('The value ' || coalesce(CAST({sql} AS VARCHAR), 'NULL') || {what})"


def _extension(data_type: pa.DataType, path: str, top: bool) -> Natural:
    if is_uuid(data_type):
        if top:
            return Natural("UUID")
        return Natural(
            "UUID",
            lambda sql: f"CAST({sql} AS UUID)",
            lambda sql: f"unhex(replace(CAST({sql} AS VARCHAR), '-', ''))",
        )
    below = natural_of(data_type.storage_type, path, top=top)
    plain = below.shown is None and below.stored is None
    return Natural(storage_of(data_type, path).sql) if plain else below


def _list(data_type: pa.DataType, path: str, top: bool) -> Natural:
    child = natural_of(data_type.value_type, child_path(path, data_type, 0))
    shown, stored = _each(child.shown), _each(child.stored)
    if not kinds.is_fixed_size_list(data_type):
        return Natural(f"{child.sql}[]", shown, stored)
    size = data_type.list_size
    if not top or not 0 < size <= ARRAY_ITEMS_MAX:
        # DuckDB 1.5.5 has no CASE over what holds an array, and structs need one.
        checked = _of_size(size, path, data_type, stored)
        return Natural(f"{child.sql}[]", shown, checked)
    natural, kept = f"{child.sql}[{size}]", storage_of(data_type, path).sql
    return Natural(
        natural,
        _after(shown, lambda sql: f"CAST({sql} AS {natural})"),
        _after(stored, lambda sql: f"CAST({sql} AS {kept})"),
    )


def _each(convert: Expression | None) -> Expression | None:
    """The conversion of a list whose items are converted so."""
    if convert is None:
        return None

    def converted(sql: str) -> str:
        # Lambdas within lambdas have names of their own.
        item = f"item_{1 + max(map(int, _ITEM.findall(sql)), default=0)}"
        return f"list_transform({sql}, lambda {item}: {convert(item)})"

    return converted


def _after(first: Expression | None, then: Expression) -> Expression:
    return then if first is None else lambda sql: then(first(sql))


def _of_size(size: int, path: str, data_type: pa.DataType, stored: Expression | None) -> Expression:
    def checked(sql: str) -> str:
        value = sql if stored is None else stored(sql)
        return _unless(f"len({sql}) <> {size}", path, data_type, sql, value)

    return checked


def _struct(data_type: pa.DataType, path: str) -> Natural:
    names = [field.name for field in data_type]
    children = [
        natural_of(field.type, child_path(path, data_type, index))
        for index, field in enumerate(data_type)
    ]
    texts = [f"{quoted(name)} {one.sql}" for name, one in zip(names, children, strict=True)]
    return Natural(
        f"STRUCT({', '.join(texts)})",
        _fields(names, [one.shown for one in children]),
        _fields(names, [one.stored for one in children]),
    )


def _fields(names: list[str], conversions: list[Expression | None]) -> Expression | None:
    """The conversion of a struct whose fields are converted so."""
    if all(convert is None for convert in conversions):
        return None

    def converted(sql: str) -> str:
        parts = []
        for name, convert in zip(names, conversions, strict=True):
            field = f"struct_extract({sql}, {literal(name)})"
            parts.append(f"{quoted(name)} := {field if convert is None else convert(field)}")
        packed = f"struct_pack({', '.join(parts)})"
        return f"CASE WHEN {sql} IS NOT NULL THEN {packed} END"

    return converted


def _map(data_type: pa.DataType, path: str) -> Natural:
    key = natural_of(data_type.key_type, child_path(path, data_type, 0))
    item = natural_of(data_type.item_type, child_path(path, data_type, 1))
    return Natural(
        f"MAP({key.sql}, {item.sql})",
        _entries(key.shown, item.shown),
        _entries(key.stored, item.stored),
    )


def _entries(key: Expression | None, item: Expression | None) -> Expression | None:
    entries = _each(_fields(["key", "value"], [key, item]))
    if entries is None:
        return None
    return lambda sql: f"map_from_entries({entries(f'map_entries({sql})')})"


def _leaf(data_type: pa.DataType, path: str) -> Natural:
    if kinds.is_interval(data_type):
        return Natural("INTERVAL", _interval, _interval_parts)
    if kinds.is_duration(data_type):
        return _duration(data_type, path)
    if kinds.is_time(data_type):
        return _time(data_type, path)
    if kinds.is_decimal(data_type):
        return _decimal(data_type, path)
    return Natural(storage_of(data_type, path).sql, None, _check(data_type, path))


def _check(data_type: pa.DataType, path: str) -> Expression | None:
    """What keeps values out that the storage could hold and the Arrow type cannot."""
    if kinds.is_null(data_type):
        return lambda sql: _unless(f"{sql} IS NOT NULL", path, data_type, sql, sql)
    if kinds.is_fixed_size_binary(data_type):
        wrong = f"<> {data_type.byte_width}"
        return lambda sql: _unless(f"octet_length({sql}) {wrong}", path, data_type, sql, sql)
    if kinds.is_float16(data_type):
        # What rounds to more is infinite there.
        return lambda sql: _unless(
            f"isfinite({sql}) AND abs({sql}) >= {FLOAT16_MAX + 16}", path, data_type, sql, sql
        )
    if kinds.is_timestamp(data_type):
        return _timestamp_check(data_type, path)
    return None


def _timestamp_check(data_type: pa.DataType, path: str) -> Expression | None:
    if data_type.unit == "ns":
        earliest = f"make_timestamp_ns({EARLIEST_NANOSECONDS})"
        return lambda sql: _unless(f"{sql} < {earliest}", path, data_type, sql, sql)
    if data_type.tz is not None and data_type.unit != "us":
        # Kept with microseconds, which the column's type does not have.
        part = {"s": "second", "ms": "milliseconds"}[data_type.unit]
        return lambda sql: (
            f"CASE WHEN isfinite({sql}) THEN date_trunc('{part}', {sql}) ELSE {sql} END"
        )
    return None


def _interval(sql: str) -> str:
    parts = (
        f"to_months(struct_extract({sql}, 'months'))",
        f"to_days(struct_extract({sql}, 'days'))",
        f"to_microseconds(struct_extract({sql}, 'nanoseconds') // 1000)",
    )
    return " + ".join(parts)


def _interval_parts(sql: str) -> str:
    months = f"CAST(12 * year({sql}) + month({sql}) AS INTEGER)"
    nanoseconds = f"CAST(1000 * {microseconds(sql)} AS BIGINT)"
    return (
        f"CASE WHEN {sql} IS NOT NULL THEN struct_pack(months := {months}, "
        f"days := CAST(day({sql}) AS INTEGER), nanoseconds := {nanoseconds}) END"
    )


def microseconds(sql: str) -> str:
    """The part of an INTERVAL below a day, in microseconds, as a HUGEINT."""
    return (
        f"(CAST(hour({sql}) AS HUGEINT) * 3600000000 + minute({sql}) * 60000000 "
        f"+ microsecond({sql}))"
    )


def _duration(data_type: pa.DataType, path: str) -> Natural:
    if data_type.unit == "ns":
        return Natural("BIGINT")
    each = MICROSECONDS[data_type.unit]
    count = "" if each == 1 else f" * {each}"
    return Natural(
        "INTERVAL",
        lambda sql: f"to_microseconds({sql}{count})",
        lambda sql: counted(data_type, path, sql),
    )


def counted(data_type: pa.DataType, path: str, sql: str) -> str:
    """An INTERVAL as a count of the duration's unit; months have no length, and do not fit."""
    total = f"(CAST(day({sql}) AS HUGEINT) * 86400000000 + {microseconds(sql)})"
    if data_type.unit == "ns":
        count = f"{total} * 1000"
    else:
        count = f"{total} // {MICROSECONDS[data_type.unit]}"
    months = f"year({sql}) <> 0 OR month({sql}) <> 0"
    return _unless(months, path, data_type, sql, f"CAST({count} AS BIGINT)")


def _time(data_type: pa.DataType, path: str) -> Natural:
    """A day has no 24:00:00 in Arrow."""
    late = f">= {DAY_NANOSECONDS}"
    if data_type.unit == "ns":
        return Natural(
            "TIME_NS",
            lambda sql: f"CAST(make_timestamp_ns({sql}) AS TIME_NS)",
            lambda sql: _unless(
                f"epoch_ns({sql}) {late}", path, data_type, sql, f"epoch_ns({sql})"
            ),
        )
    each = MICROSECONDS[data_type.unit]

    def stored(sql: str) -> str:
        cut = f"TIME '00:00:00' + to_microseconds(epoch_us({sql}) // {each} * {each})"
        kept = sql if each == 1 else cut
        return _unless(f"epoch_ns({sql}) {late}", path, data_type, sql, kept)

    return Natural("TIME", None, stored)


def _decimal(data_type: pa.DataType, path: str) -> Natural:
    kept = storage_of(data_type, path).sql
    if 0 <= data_type.scale <= data_type.precision:
        return Natural(kept)
    # The storage has more digits than the type: those on either side must be zero.
    largest = f"CAST('{'9' * data_type.precision}E{-data_type.scale}' AS {kept})"

    def stored(sql: str) -> str:
        low = data_type.scale < 0
        rounded = f"round({sql}, {data_type.scale})" if low else sql
        return _unless(f"abs({rounded}) > {largest}", path, data_type, sql, rounded)

    return Natural(kept, None, stored)


def _unless(wrong: str, path: str, data_type: pa.DataType, sql: str, value: str) -> str:
    """The value, or an error where the condition holds."""
    return f"CASE WHEN {wrong} THEN {misfit(path, data_type, sql)} ELSE {value} END"
