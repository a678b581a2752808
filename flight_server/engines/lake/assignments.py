"""Values of SQL on their way into a column: what an assignment casts and checks.

Someone who writes SQL gives an INTERVAL where the lake keeps a struct of three numbers, and text
where it keeps a UUID. Here is the expression that makes the one of the other, or ends the
statement for a value that the column's Arrow type could not give back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.engines.lake.bindings import casts
from flight_server.engines.lake.sql_types import (
    counted,
    misfit,
    natural_of,
    scan_sql,
    sql_columns,
)
from flight_server.engines.lake.types import is_uuid, storage_type
from flight_server.model import TableVersion

# Stands for the value in `sql_assignments`.
VALUE = "\0"
_INTEGERS = ", ".join(
    f"'{sign}{name}'"
    for sign in ("", "U")
    for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
)


def assignment_expression(field: pa.Field, sql: str) -> str:
    """The expression that turns `sql`, a value of whatever type, into what the lake keeps.

    `sql` should be the name of a column of a subquery: it is written down more than once, and
    what it costs, or changes, would be done as often. Values are cast as SQL assigns them, with
    digits rounded away that the type does not have. What does not fit ends the statement as
    DuckDB's conversion error, or by `error` with a sentence.
    """
    kind, kept = _plain(field.type), storage_type(field)
    if kinds.is_interval(kind):
        return _interval(kind, field.name, sql, kept)
    if kinds.is_duration(kind):
        return _duration(kind, field.name, sql)
    if kind == pa.time64("ns"):
        return _time(kind, field.name, sql)
    if is_uuid(kind) and kept != "UUID":
        # A UUID behind a dictionary is kept as bytes, and may be given as such.
        sql = f"CAST({sql} AS UUID)"
    natural = natural_of(field.type, field.name, top=True)
    cast = f"CAST({sql} AS {natural.sql})"
    return cast if natural.stored is None else natural.stored(cast)


class SqlValues:
    """What the lake, its transactions and temporary tables say alike of values in SQL."""

    def sql_columns(self, table: TableVersion) -> Mapping[str, str]:
        """See `SupportsSql.sql_columns`."""
        return sql_columns(table.schema)

    def scan_sql(self, name: str, schema: pa.Schema) -> str:
        """See `SupportsSql.scan_sql`."""
        return scan_sql(name, schema)

    def parameter_types(self, parameters: Sequence[Any] | Mapping[str, Any]) -> Mapping[str, str]:
        """See `SupportsSql.parameter_types`."""
        return casts(parameters)

    def sql_assignments(self, table: TableVersion) -> Mapping[str, str]:
        """See `SupportsSqlWrites.sql_assignments`."""
        return _assignments(table.schema)


@lru_cache(maxsize=1024)
def _assignments(schema: pa.Schema) -> Mapping[str, str]:
    texts = {field.name: assignment_expression(field, VALUE) for field in schema}
    return {
        field.name: texts[field.name]
        for field in schema
        if texts[field.name] != f"CAST({VALUE} AS {storage_type(field)})"
    }


def _plain(data_type: pa.DataType) -> pa.DataType:
    """The type of the values themselves, whatever they are wrapped in."""
    while True:
        if kinds.is_dictionary(data_type) or kinds.is_run_end_encoded(data_type):
            data_type = data_type.value_type
        elif isinstance(data_type, pa.BaseExtensionType) and not is_uuid(data_type):
            data_type = data_type.storage_type
        else:
            return data_type


def _interval(kind: pa.DataType, path: str, sql: str, kept: str) -> str:
    """An INTERVAL, or the struct that keeps one with its nanoseconds."""
    stored = natural_of(kind, path).stored
    assert stored is not None, "intervals are not kept as INTERVAL"
    from_interval = stored(f"CAST({sql} AS INTERVAL)")
    return (
        f"CASE WHEN typeof({sql}) LIKE 'STRUCT(%' THEN CAST({sql} AS {kept}) "
        f"ELSE {from_interval} END"
    )


def _duration(kind: pa.DataType, path: str, sql: str) -> str:
    """An INTERVAL without months, or a count of the column's unit."""
    return (
        f"CASE WHEN typeof({sql}) IN ({_INTEGERS}) THEN CAST({sql} AS BIGINT) "
        f"ELSE {counted(kind, path, f'CAST({sql} AS INTERVAL)')} END"
    )


def _time(kind: pa.DataType, path: str, sql: str) -> str:
    """A TIME, a TIME_NS, or nanoseconds since midnight."""
    count = f"CAST({sql} AS BIGINT)"
    nanoseconds = (
        f"CASE WHEN typeof({sql}) = 'TIME' THEN epoch_ns(CAST({sql} AS TIME)) "
        f"WHEN typeof({sql}) IN ({_INTEGERS}) THEN {count} "
        f"ELSE epoch_ns(CAST({sql} AS TIME_NS)) END"
    )
    return (
        f"CASE WHEN ({nanoseconds}) NOT BETWEEN 0 AND 86399999999999 "
        f"THEN {misfit(path, kind, sql)} ELSE {nanoseconds} END"
    )
