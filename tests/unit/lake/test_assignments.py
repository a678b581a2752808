"""Values as SQL writes them, laid into what the lake keeps, and shown again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from flight_server.engines.lake.assignments import assignment_expression
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.sql_types import sql_expression
from flight_server.engines.lake.types import select_expression, storage_type
from flight_server.engines.outbound import Outbound
from flight_server.errors import InvalidRequest
from flight_server.model import quoted
from flight_server.testing.types import CASES, TypeCase, same_values


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    yield connection
    connection.close()


def kept(connection: duckdb.DuckDBPyConnection, field: pa.Field, sql: str) -> pa.ChunkedArray:
    """What a column of the field gives back after the SELECT's column `v` was assigned to it."""
    connection.execute(f"CREATE OR REPLACE TABLE t (v {storage_type(field)})")
    expression = assignment_expression(field, "v")
    connection.execute(f"INSERT INTO t SELECT {expression} FROM ({sql})")
    return read(connection, field, "t")


def read(connection: duckdb.DuckDBPyConnection, field: pa.Field, table: str) -> pa.ChunkedArray:
    rows = connection.execute(f"SELECT {select_expression(field, 'v')} AS v FROM {table}")
    answer = rows.to_arrow_table()
    outbound = Outbound(pa.schema([field]), answer.schema)
    batches = [part for batch in answer.to_batches() for part in outbound.convert(batch)]
    return pa.Table.from_batches(batches, pa.schema([field])).column(0)


def given(connection: duckdb.DuckDBPyConnection, case: TypeCase) -> bool:
    """Puts the case's values into the table `kept`, as an ingest does."""
    field = case.field
    try:
        connection.execute(f"CREATE OR REPLACE TABLE kept (v {storage_type(field)})")
    except InvalidRequest:
        return False
    schema = pa.schema([field])
    inbound = Inbound(schema, schema)
    batch = pa.RecordBatch.from_arrays([case.values], schema=schema)
    connection.register("incoming", pa.Table.from_batches([inbound.convert(batch)]))
    connection.execute("INSERT INTO kept FROM incoming")
    return True


# Within nested types a duration is given as SQL sees it, and as nothing else.
NESTED_DURATION = "struct<d: duration[ms], f: fixed_size_list<item: halffloat>[2]>"


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name != NESTED_DURATION], ids=lambda case: case.name
)
def test_what_is_kept_can_be_assigned(
    connection: duckdb.DuckDBPyConnection, case: TypeCase
) -> None:
    if not given(connection, case):
        with pytest.raises(InvalidRequest):
            assignment_expression(case.field, "v")
        return
    values = read(connection, case.field, "kept")
    assert same_values(kept(connection, case.field, "SELECT v FROM kept"), values)


# What INTERVAL cannot reach: seconds of 64 bits, and what is finer than a microsecond.
BEYOND_INTERVAL = {"duration[s]", "duration[ms]", "month_day_nano_interval"}


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.name not in BEYOND_INTERVAL],
    ids=lambda case: case.name,
)
def test_what_sql_is_shown_can_be_assigned(
    connection: duckdb.DuckDBPyConnection, case: TypeCase
) -> None:
    if not given(connection, case):
        return
    shown = sql_expression(case.field, "v") or "v"
    values = kept(connection, case.field, f"SELECT {shown} AS v FROM kept")
    assert same_values(values, read(connection, case.field, "kept"))


SHOWN = [
    (pa.month_day_nano_interval(), [(1, -2, 3_000)], "INTERVAL", "1 month -2 days 00:00:00.000003"),
    (pa.duration("s"), [dt.timedelta(hours=30)], "INTERVAL", "30:00:00"),
    (pa.duration("us"), [dt.timedelta(microseconds=-1)], "INTERVAL", "-00:00:00.000001"),
    (pa.duration("ns"), [5], "BIGINT", "5"),
    (pa.time64("ns"), [123_456_789], "TIME_NS", "00:00:00.123456789"),
    (pa.list_(pa.float32(), 2), [[1.5, None]], "FLOAT[2]", "[1.5, NULL]"),
    (pa.list_(pa.duration("ms"), 1), [[5]], "INTERVAL[1]", "[00:00:00.005]"),
    (
        pa.struct([("a b", pa.list_(pa.duration("ms")))]),
        [{"a b": [5, None]}],
        'STRUCT("a b" INTERVAL[])',
        "{'a b': ['00:00:00.005', NULL]}",
    ),
    (pa.map_(pa.string(), pa.time64("ns")), [[("k", 1)]], "MAP(VARCHAR, TIME_NS)", None),
    (
        pa.list_(pa.list_(pa.duration("us"), 1)),
        [[[1], None]],
        "INTERVAL[][]",
        "[['00:00:00.000001'], NULL]",
    ),
]


@pytest.mark.parametrize(("kind", "values", "type_name", "text"), SHOWN, ids=lambda one: str(one))
def test_sql_is_shown_natural_values(
    connection: duckdb.DuckDBPyConnection, kind: Any, values: Any, type_name: str, text: str | None
) -> None:
    case = TypeCase("", pa.field("v", kind), pa.array(values, kind))
    assert given(connection, case)
    shown = sql_expression(case.field, quoted("v")) or "v"
    row = connection.execute(f"SELECT typeof({shown}), CAST({shown} AS VARCHAR) FROM kept")
    assert row.fetchall() == [(type_name, text if text is not None else "{k='00:00:00.000000001'}")]


NATURAL = (pa.int8(), pa.string(), pa.uuid(), pa.json_(), pa.binary(3), pa.list_(pa.int8()))


@pytest.mark.parametrize("kind", NATURAL, ids=str)
def test_most_columns_are_natural_as_they_are(kind: pa.DataType) -> None:
    assert sql_expression(pa.field("v", kind), "v") is None


HOUR = 3600 * 10**9
WRITTEN = [
    (pa.int8(), "'5'", 5),
    (pa.int16(), "4.6", 5),
    (pa.string(), "5", "5"),
    (pa.bool8(), "true", True),
    (pa.dictionary(pa.int8(), pa.int64()), "'7'", 7),
    (pa.decimal128(5, 2), "1.005", Decimal("1.01")),
    (pa.decimal256(20, 3), "'1.0005'", Decimal("1.001")),
    (pa.decimal128(5, -2), "12345", Decimal("12300")),
    (pa.float16(), "65519", 65504.0),
    (pa.float16(), "'-inf'", float("-inf")),
    (pa.date64(), "'2020-02-29'", dt.date(2020, 2, 29)),
    (pa.time32("s"), "TIME '10:00:00.9'", dt.time(10)),
    (pa.time32("ms"), "TIME '10:00:00.9999'", dt.time(10, 0, 0, 999_000)),
    (pa.time64("ns"), "TIME '01:00:00'", dt.time(1)),
    (pa.time64("ns"), "'01:00:00'", dt.time(1)),
    (pa.time64("ns"), f"{HOUR}", dt.time(1)),
    (pa.timestamp("s", "UTC"), "'2020-01-01 00:00:00.9+01'", None),
    (pa.timestamp("ns", "UTC"), "TIMESTAMPTZ '2020-01-01 01:00:00+01'", None),
    (pa.duration("s"), "INTERVAL '1 day 1 second'", dt.timedelta(1, 1)),
    (pa.duration("ms"), "'-00:00:01.0019'", dt.timedelta(milliseconds=-1001)),
    (pa.duration("ns"), "INTERVAL '1 microsecond'", dt.timedelta(microseconds=1)),
    (pa.duration("us"), "7::UTINYINT", dt.timedelta(microseconds=7)),
    (pa.month_day_nano_interval(), "'1 year -3 days 2 seconds'", (12, -3, 2 * 10**9)),
    (
        pa.month_day_nano_interval(),
        "{'months': 1, 'days': 2, 'nanoseconds': 3}",
        (1, 2, 3),
    ),
    (pa.binary(3), "'abc'", b"abc"),
    (pa.list_(pa.int8(), 2), "[1, 2]", [1, 2]),
    (pa.list_(pa.int8(), 2), "'[1, 2]'", [1, 2]),
    (pa.list_(pa.binary(1)), "['a']", [b"a"]),
    (pa.list_(pa.duration("s")), "[INTERVAL '2 seconds']", [dt.timedelta(seconds=2)]),
    (pa.struct([("d", pa.duration("s"))]), "{'d': '2 seconds'}", {"d": dt.timedelta(seconds=2)}),
    (pa.struct([("a", pa.int8()), ("d", pa.duration("s"))]), "{'a': 1}", {"a": 1, "d": None}),
    (pa.map_(pa.string(), pa.duration("s")), "MAP {'k': INTERVAL '2 seconds'}", None),
    (pa.uuid(), "'00010203-0405-0607-0809-0a0b0c0d0e0f'", None),
    (pa.list_(pa.uuid()), "['00010203-0405-0607-0809-0a0b0c0d0e0f']", None),
    (pa.dictionary(pa.int8(), pa.uuid()), "'00010203-0405-0607-0809-0a0b0c0d0e0f'", None),
    (pa.json_(), "{'a': 1}", '{"a":1}'),
]


@pytest.mark.parametrize(("kind", "sql", "expected"), WRITTEN, ids=lambda one: str(one))
def test_values_are_cast_as_sql_assigns_them(
    connection: duckdb.DuckDBPyConnection, kind: pa.DataType, sql: str, expected: Any
) -> None:
    values = kept(connection, pa.field("v", kind), f"SELECT {sql} AS v FROM range(2)")
    values.validate(full=True)
    assert (len(values), values.null_count) == (2, 0)
    if expected is not None:
        assert values[0].as_py() == expected


@pytest.mark.parametrize("kind", sorted({str(row[0]) for row in WRITTEN}))
def test_null_is_assigned_to_any_column(connection: duckdb.DuckDBPyConnection, kind: str) -> None:
    field = pa.field("v", next(row[0] for row in WRITTEN if str(row[0]) == kind))
    assert kept(connection, field, "SELECT NULL AS v").null_count == 1


MISFITS = [
    (pa.int8(), "300"),
    (pa.null(), "1"),
    (pa.float16(), "65520"),
    (pa.decimal128(5, 2), "1000"),
    (pa.decimal128(5, -2), "9999950"),
    (pa.decimal128(2, 4), "0.01"),
    (pa.binary(3), "'ab'"),
    (pa.list_(pa.binary(3)), "['abc', 'ab']"),
    (pa.list_(pa.int8(), 2), "[1, 2, 3]"),
    (pa.list_(pa.int8(), 0), "[1]"),
    (pa.uuid(), "'abc'"),
    (pa.json_(), "'{'"),
    (pa.time32("s"), "TIME '24:00:00'"),
    (pa.time64("us"), "TIME '24:00:00'"),
    (pa.time64("ns"), "TIME '24:00:00'"),
    (pa.time64("ns"), "-1"),
    (pa.time64("ns"), "1.5"),
    (pa.timestamp("ns"), "'1677-09-21 12:00:00'"),
    (pa.duration("s"), "INTERVAL '1 month'"),
    (pa.duration("ns"), "INTERVAL '1000000 days'"),
    (pa.duration("s"), "1.5"),
    (pa.month_day_nano_interval(), "5"),
    (pa.month_day_nano_interval(), "INTERVAL '10000000 hours'"),
]


@pytest.mark.parametrize(("kind", "sql"), MISFITS, ids=lambda one: str(one))
def test_what_does_not_fit_ends_the_statement(
    connection: duckdb.DuckDBPyConnection, kind: pa.DataType, sql: str
) -> None:
    with pytest.raises((duckdb.ConversionException, duckdb.InvalidInputException)):
        kept(connection, pa.field("the 'v'", kind), f"SELECT {sql} AS v FROM range(2)")
