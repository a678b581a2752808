"""What SQL computes, as Arrow: no value is another one when it arrives.

DuckDB hands some of its types to Arrow as types that hold less: a time with its zone as a time
without it, a number of 128 bits as a decimal of 38 digits. It says nothing where a value is lost.
Columns of such types are refused before a row is read. A HUGEINT, which every sum of integers is,
nearly always fits: its batches are checked as they pass, by Arrow, for 5 ns a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.types as kinds
from duckdb.sqltypes import DuckDBPyType

from flight_server.engines.cancellation import Cancellation
from flight_server.errors import ErrorCode, InvalidRequest, Unsupported

HUGEINT = pa.decimal128(38, 0)
# What to write in place of a column, by its type.
_REMEDIES = {
    "bignum": "cast it to VARCHAR, which holds numbers of any length",
    "time with time zone": "cast it to VARCHAR, or to TIME, which leaves the zone out",
    "uhugeint": "cast it to VARCHAR, or to DECIMAL(38, 0), which holds numbers of 38 digits",
    "variant": "cast it to VARCHAR or JSON",
}
_INTERRUPTED = "INTERRUPT Error"
_TOO_LONG = re.compile(r"Decimal value (-?\d+) does not fit")


def answered(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Any,
    rows_each: int,
    cancellation: Cancellation,
    is_repeatable: bool = True,
) -> Iterator[Any]:
    """The schema of a statement's answer, then its batches.

    Where one of DuckDB's threads fails it interrupts the others, and a stream that is read just
    then tells of that interrupt in place of the failure. So one that nobody asked for has the
    statement, if it `is_repeatable`, run again for its error.
    """
    try:
        yield from _streamed(connection, sql, parameters, rows_each)
    except (duckdb.InterruptException, OSError) as error:
        if _INTERRUPTED in str(error):
            cancellation.check()
            if is_repeatable:
                with suppress(duckdb.Error):
                    connection.execute("ROLLBACK")
                for _ in _streamed(connection, sql, parameters, rows_each):
                    pass
        raise


def _streamed(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Any, rows_each: int
) -> Iterator[Any]:
    answer = connection.execute(sql, parameters)
    with closing(arrow_reader(answer, rows_each)) as batches:
        yield batches.schema
        yield from batches


def arrow_reader(answer: duckdb.DuckDBPyConnection, rows_each: int) -> pa.RecordBatchReader:
    """The batches of what a connection has executed.

    Unsupported where a column is of a type that Arrow cannot hold at some depth.
    """
    for name, kind, *_ in answer.description or ():
        for part in _parts(kind):
            if remedy := _REMEDIES.get(part.id):
                raise Unsupported(
                    f"The column '{name}' has the type {str(kind)[:60]}, and Arrow has none that "
                    f"holds every {part!s}: {remedy}."
                )
    return answer.to_arrow_reader(rows_each)


def checked(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches of a SELECT's answer; InvalidRequest (invalid_data) at a number too long."""
    columns = [at for at, field in enumerate(schema) if _has_hugeint(field.type)]
    for batch in batches:
        for at in columns:
            try:
                batch.column(at).validate(full=True)
            except pa.ArrowInvalid as error:
                raise _too_long(schema.field(at).name, error) from error
        yield batch


def _parts(kind: DuckDBPyType) -> Iterator[DuckDBPyType]:
    """The type and those within it."""
    yield kind
    if kind.id in ("list", "array", "struct", "map", "union"):
        for _, child in kind.children:
            # An array's length is among them.
            if isinstance(child, DuckDBPyType):
                yield from _parts(child)


def _has_hugeint(kind: pa.DataType) -> bool:
    if kinds.is_nested(kind):
        return any(_has_hugeint(kind.field(at).type) for at in range(kind.num_fields))
    return bool(kind == HUGEINT)


def _too_long(name: str, error: pa.ArrowInvalid) -> InvalidRequest:
    found = _TOO_LONG.search(str(error))
    value = f"the number {found[1]}" if found else "a value"
    return InvalidRequest(
        f"The column '{name}' holds {value}, which does not fit Arrow's {HUGEINT}: cast it to "
        f"VARCHAR or DOUBLE.",
        code=ErrorCode.INVALID_DATA,
        details={"column": name},
    )
