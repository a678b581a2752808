"""Parameters of every Arrow type reach SQL by value and with their type."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from flight_server.engines.lake.assignments import assignment_expression
from flight_server.engines.lake.bindings import bound, casts
from flight_server.engines.lake.sql_types import natural_of
from flight_server.engines.lake.types import select_expression, storage_type
from flight_server.engines.outbound import Outbound
from flight_server.errors import InvalidRequest
from flight_server.testing.types import CASES, TypeCase


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    yield connection
    connection.close()


def parameter(value: Any) -> str:
    """How a statement names its first parameter, with the cast that it needs."""
    kind = casts([value]).get("1")
    return "$1" if kind is None or kind == "NULL" else f"CAST($1 AS {kind})"


LAST_NANOSECOND = 2**63 - 2


def values(case: TypeCase) -> list[pa.Scalar]:
    """The case's values, but for those beyond INTERVAL and the last nanosecond of DuckDB."""
    kind = case.values.type
    if pa.types.is_duration(kind) and kind.unit != "ns":
        return [pa.scalar(value, kind) for value in (0, None, -1, 10**9)]
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return [one for one in case.values if not one.is_valid or one.value < LAST_NANOSECOND]
    return list(case.values)


def storable(case: TypeCase) -> bool:
    try:
        storage_type(case.field)
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize(
    "case", [case for case in CASES if storable(case)], ids=lambda case: case.name
)
def test_what_is_bound_is_what_a_column_of_its_type_gives_back(
    connection: duckdb.DuckDBPyConnection, case: TypeCase
) -> None:
    field = case.field
    scalars = values(case)
    connection.execute(f"CREATE TABLE t (n INTEGER, v {storage_type(field)})")
    for number, scalar in enumerate(scalars):
        assigned = assignment_expression(field, "v")
        connection.execute(
            f"INSERT INTO t SELECT {number}, {assigned} FROM (SELECT {parameter(scalar)} AS v)",
            bound([scalar]),
        )
    sql = f"SELECT {select_expression(field, 'v')} AS v FROM t ORDER BY n"
    answer = connection.execute(sql).to_arrow_table()
    outbound = Outbound(pa.schema([field]), answer.schema)
    back = pa.concat_arrays(
        [part.column(0) for batch in answer.to_batches() for part in outbound.convert(batch)]
    )
    assert len(back) == len(scalars)
    for one, scalar in zip(back, scalars, strict=True):
        # NaN is not equal to itself, but reads the same.
        assert one.equals(scalar) or repr(one.as_py()) == repr(scalar.as_py())


@pytest.mark.parametrize(
    "case", [case for case in CASES if storable(case)], ids=lambda case: case.name
)
def test_every_value_has_its_type_nulls_too(
    connection: duckdb.DuckDBPyConnection, case: TypeCase
) -> None:
    kind = natural_of(case.field.type, "v", top=True).sql
    if pa.types.is_null(case.field.type):
        kind = '"NULL"'
    for scalar in [*values(case), pa.nulls(1, case.field.type)[0]]:
        fine = pa.types.is_interval(scalar.type) and scalar.is_valid
        if fine and scalar.as_py().nanoseconds % 1000:
            continue
        sql = f"SELECT typeof({parameter(scalar)}), typeof(CAST(NULL AS {kind}))"
        found, expected = connection.execute(sql, bound([scalar])).fetchall()[0]
        assert found == expected


EXACT = [
    (pa.scalar(5, pa.uint8()), "UTINYINT", "5"),
    (pa.scalar(float("nan"), pa.float64()), "DOUBLE", "nan"),
    (pa.scalar(-0.0, pa.float32()), "FLOAT", "-0.0"),
    (pa.scalar(0.1, pa.float64()), "DOUBLE", "0.1"),
    (pa.scalar(Decimal("1.50"), pa.decimal128(5, 2)), "DECIMAL(5,2)", "1.50"),
    (pa.scalar(Decimal("1E+3"), pa.decimal128(4, 0)), "DECIMAL(4,0)", "1000"),
    (pa.scalar(123_456_789, pa.time64("ns")), "TIME_NS", "00:00:00.123456789"),
    (pa.scalar(1, pa.timestamp("ns")), "TIMESTAMP_NS", "1970-01-01 00:00:00.000000001"),
    (
        pa.scalar(0, pa.timestamp("s", "Asia/Tokyo")),
        "TIMESTAMP WITH TIME ZONE",
        "1970-01-01 00:00:00+00",
    ),
    (pa.scalar(dt.timedelta(hours=25), pa.duration("s")), "INTERVAL", "25:00:00"),
    (
        pa.scalar((1, -2, 3000), pa.month_day_nano_interval()),
        "INTERVAL",
        "1 month -2 days 00:00:00.000003",
    ),
    (
        pa.scalar((1, 2, 3), pa.month_day_nano_interval()),
        'STRUCT("months" INTEGER, "days" INTEGER, nanoseconds BIGINT)',
        "{'months': 1, 'days': 2, 'nanoseconds': 3}",
    ),
    (pa.scalar([1.5, None], pa.list_(pa.float32(), 2)), "FLOAT[2]", "[1.5, NULL]"),
    (pa.scalar([], pa.list_(pa.int8())), "TINYINT[]", "[]"),
    (pa.scalar({"a": None}, pa.struct([("a", pa.date32())])), "STRUCT(a DATE)", "{'a': NULL}"),
    (
        pa.scalar([("k", None)], pa.map_(pa.string(), pa.int8())),
        "MAP(VARCHAR, TINYINT)",
        "{k=NULL}",
    ),
    (pa.scalar(None, pa.time64("ns")), "TIME_NS", None),
    (uuid.UUID(int=5), "UUID", "00000000-0000-0000-0000-000000000005"),
    (Decimal("1.25"), "DECIMAL(3,2)", "1.25"),
    ("text", "VARCHAR", "text"),
]


@pytest.mark.parametrize(("value", "kind", "text"), EXACT, ids=lambda one: str(one)[:40])
def test_sql_sees_the_very_value(
    connection: duckdb.DuckDBPyConnection, value: Any, kind: str, text: str | None
) -> None:
    sql = parameter(value)
    answer = connection.execute(f"SELECT typeof({sql}), CAST({sql} AS VARCHAR)", bound([value]))
    assert answer.fetchall() == [(kind, text)]


def test_parameters_may_have_names(connection: duckdb.DuckDBPyConnection) -> None:
    parameters = {"low": pa.scalar(1, pa.int8()), "high": pa.scalar(None, pa.int16())}
    assert casts(parameters) == {"high": "SMALLINT"}
    answer = connection.execute("SELECT $low, $high", bound(parameters))
    assert answer.fetchall() == [(1, None)]


def test_values_of_an_array_are_bound_one_by_one(connection: duckdb.DuckDBPyConnection) -> None:
    array = pa.array(["b", "a", "b"]).dictionary_encode()
    answer = connection.execute("SELECT [$1, $2, $3]", bound(list(array)))
    assert answer.fetchall() == [(["b", "a", "b"],)]


@pytest.mark.parametrize(
    "value",
    [
        pa.scalar(10**12, pa.timestamp("s")),
        pa.scalar(2**31 - 1, pa.int32()).cast(pa.date32()),
        pa.scalar(Decimal(10) ** 60, pa.decimal256(76, 0)),
    ],
    ids=lambda value: str(value.type),
)
def test_what_sql_cannot_hold_is_refused(value: pa.Scalar) -> None:
    with pytest.raises(InvalidRequest, match=r"\$1"):
        bound([value])
