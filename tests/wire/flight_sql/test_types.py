"""Values of every type travel: out of SQL, into parameters, and into tables by ingest."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer
from flight_server.testing.types import CASES, TypeCase, same_values
from tests.fix_client import Client, refusal
from tests.fix_flight_sql import ALONE, SqlClient
from tests.wire.flight_sql.type_table import (
    INGESTED,
    PARAMETERS,
    REFUSED_AS_PARAMETER,
    REFUSED_FROM_SQL,
    SQL_CASES,
    SqlCase,
    parameters,
    sql_values,
    value_of,
)


@pytest.fixture(scope="module")
def asked(server: LocalServer) -> Iterator[SqlClient]:
    """One client for all that is asked once."""
    with closing(Client(server.url, server.key, generic_options=ALONE)) as client:
        yield SqlClient(client)


@pytest.fixture(scope="module")
def outgoing(asked: SqlClient) -> pa.Table:
    return sql_values(asked)


@pytest.fixture(scope="module")
def returned(asked: SqlClient) -> tuple[pa.Table, dict[str, str]]:
    return parameters(asked)


@pytest.mark.parametrize("case", SQL_CASES, ids=lambda case: case.name)
def test_types_of_sql_come_out(outgoing: pa.Table, case: SqlCase) -> None:
    (found,) = outgoing.column(SQL_CASES.index(case)).to_pylist()
    assert found == case.value


@pytest.mark.parametrize("case", REFUSED_FROM_SQL, ids=lambda case: case.name)
@pytest.mark.parametrize("shape", ["{}", "[{}]", "{{'a': [{}]}}", "MAP {{'k': {}}}"])
def test_what_arrow_would_lose_is_refused(sql: SqlClient, case: SqlCase, shape: str) -> None:
    value = shape.format(f"CAST({case.text} AS {case.name})")
    for ask in (
        lambda: sql.info("CommandStatementQuery", query=f"SELECT {value} AS v"),
        lambda: sql.client.read(sql=f"SELECT {value} AS v"),
        lambda: sql.update(f"CREATE TABLE lost AS SELECT {value} AS v"),
    ):
        found = refusal(ask)
        assert found.code == "unsupported"
        assert "The column 'v' has the type" in found.message
        assert case.name in found.message
        assert "cast it to VARCHAR" in found.message


@pytest.mark.parametrize("case", REFUSED_FROM_SQL, ids=lambda case: case.name)
def test_the_cast_that_a_refusal_names_loses_nothing(sql: SqlClient, case: SqlCase) -> None:
    [row] = sql.rows(f"SELECT CAST(CAST({case.text} AS {case.name}) AS VARCHAR) AS v")
    assert row["v"] == case.value


@pytest.mark.parametrize("shape", ["{}", "[{}]", "{{'a': [{}]}}", "MAP {{'k': {}}}"])
@pytest.mark.parametrize("number", [10**38, -(10**38), 2**127 - 1, -(2**127) + 1])
def test_a_number_of_more_than_38_digits_ends_the_stream(
    sql: SqlClient, shape: str, number: int
) -> None:
    # It stands in the last of several batches.
    value = f"if(range = 199999, '{number}', '7')::HUGEINT"
    info = sql.info(
        "CommandStatementQuery", query=f"SELECT {shape.format(value)} AS v FROM range(200000)"
    )
    found = refusal(lambda: sql.fetch(info))
    assert found.code == "invalid_data"
    assert f"'v' holds the number {number}, which does not fit" in found.message
    assert "cast it to VARCHAR" in found.message


def test_sums_of_integers_are_exact(sql: SqlClient) -> None:
    found = sql.query(f"SELECT sum(v) AS n FROM (SELECT {2**63 - 1} AS v FROM range(1000))")
    assert found.schema.field("n").type == pa.decimal128(38, 0)
    assert found.to_pylist() == [{"n": Decimal(1000 * (2**63 - 1))}]


@pytest.mark.parametrize(
    ("value", "code"),
    [("'12:00:00+02'::TIMETZ", "unsupported"), (f"'{10**38}'::HUGEINT", "invalid_data")],
)
def test_within_a_transaction_nothing_is_lost_either(sql: SqlClient, value: str, code: str) -> None:
    transaction = sql.begin()
    assert refusal(lambda: sql.query(f"SELECT {value} AS v", transaction)).code == code
    sql.rollback(transaction)


@pytest.mark.parametrize("number", range(len(PARAMETERS)), ids=lambda n: PARAMETERS[n].name)
def test_parameters_keep_their_values(
    returned: tuple[pa.Table, dict[str, str]], number: int
) -> None:
    sent = value_of(PARAMETERS[number])
    found = returned[0].column(number).combine_chunks()
    assert plain(found.to_pylist()) == plain(sent.to_pylist())


@pytest.mark.parametrize("name", REFUSED_AS_PARAMETER)
def test_parameters_that_are_refused(sql: SqlClient, name: str) -> None:
    (case,) = (case for case in CASES if case.name == name)
    made = sql.prepare("SELECT ? AS v")
    made.bind(pa.table({"v": value_of(case)}))
    assert refusal(made.query).code in ("unsupported_type", "invalid_sql", "invalid_request")


def test_ingest_keeps_every_type(sql: SqlClient, name: str) -> None:
    fields = [case.field.with_name(f"v{number}") for number, case in enumerate(INGESTED)]
    sent = pa.Table.from_arrays(
        [case.values.slice(0, 2) for case in INGESTED], schema=pa.schema(fields)
    )
    assert sql.ingest(sent, name, "create") == 2
    found = sql.query(f"SELECT * FROM {name}")
    assert found.schema == sent.schema
    different = [
        case.name
        for number, case in enumerate(INGESTED)
        if not same_values(found.column(number), sent.column(number))
    ]
    assert different == []


@pytest.mark.parametrize(
    "case", [case for case in CASES if case not in INGESTED], ids=lambda case: case.name
)
def test_ingest_refuses_what_no_table_holds(sql: SqlClient, name: str, case: TypeCase) -> None:
    sent = pa.Table.from_arrays([case.values], schema=pa.schema([case.field]))
    assert refusal(lambda: sql.ingest(sent, name, "create")).code == "unsupported_type"
    assert refusal(lambda: sql.count(name)).code == "table_not_found"


def plain(value: Any) -> Any:
    """The value whichever type carries it: spans as nanoseconds, moments in UTC, UUIDs as text."""
    match value:
        case pa.MonthDayNano(months=0, days=0):
            return value.nanoseconds
        case dt.timedelta():
            return value // dt.timedelta(microseconds=1) * 1000
        case dt.datetime() if value.tzinfo is not None:
            return value.astimezone(dt.UTC).replace(tzinfo=None)
        case uuid.UUID():
            return str(value)
        case list() | tuple() if not isinstance(value, pa.MonthDayNano):
            return [plain(item) for item in value]
        case dict():
            return {name: plain(item) for name, item in value.items()}
    return value
