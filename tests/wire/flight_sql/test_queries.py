"""CommandStatementQuery: planned without being run, fetched by tickets, written once."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.testing.server import LocalServer
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient

DATA = pa.table({"a": [1, 2, 3, 4], "b": ["1", "2", "none", None]})
ROWS = 300_000


@pytest.fixture
def table(sql: SqlClient, name: str) -> str:
    assert sql.ingest(DATA, name, "create") == 4
    return name


@pytest.fixture
def large(
    start_server: Callable[..., LocalServer], connect_sql: Callable[..., SqlClient]
) -> SqlClient:
    """A server with a table that is larger than an endpoint is to be."""
    client = connect_sql(start_server(endpoint_bytes=2**20))
    for start in range(0, 3 * ROWS, ROWS):
        numbers = range(start, start + ROWS)
        part = pa.table({"n": numbers, "text": [f"{number:040}" for number in numbers]})
        client.ingest(part, "large")
    return client


def test_a_query_is_planned_and_fetched(sql: SqlClient, table: str) -> None:
    text = f"SELECT b, sum(a) AS total FROM {table} GROUP BY b ORDER BY total"
    info = sql.info("CommandStatementQuery", query=text)
    assert info.schema == pa.schema({"b": pa.string(), "total": pa.decimal128(38, 0)})
    assert sql.schema("CommandStatementQuery", query=text) == info.schema
    (endpoint,) = info.endpoints
    assert endpoint.locations == []
    assert endpoint.expiration_time.as_py() > dt.datetime.now(dt.UTC)
    found = sql.client.stream(endpoint.ticket).read_all()
    assert found.schema == info.schema
    assert found["b"].to_pylist() == ["1", "2", "none", None]


def test_columns_carry_metadata(sql: SqlClient, table: str) -> None:
    info = sql.info("CommandStatementQuery", query=f"SELECT *, a + 1 AS next FROM {table}")
    told = info.schema.field("b").metadata
    assert told[b"ARROW:FLIGHT:SQL:TYPE_NAME"] == b"VARCHAR"
    assert info.schema.field("next").metadata[b"ARROW:FLIGHT:SQL:IS_READ_ONLY"] == b"1"


@pytest.mark.parametrize("empty", [True, False])
def test_results_of_any_size(sql: SqlClient, table: str, empty: bool) -> None:
    found = sql.query(f"SELECT * FROM {table} WHERE {not empty}")
    assert found.schema == DATA.schema
    assert found.num_rows == (0 if empty else 4)
    assert sql.rows("SELECT 1 AS one") == [{"one": 1}]


def test_nothing_is_read_before_doget(sql: SqlClient, table: str) -> None:
    # The cast fails as soon as it meets the third row, so whatever answers has not met it.
    fields = {"query": f"SELECT CAST(b AS INTEGER) AS n FROM {table}"}
    info = sql.info("CommandStatementQuery", **fields)
    assert (
        info.schema == sql.schema("CommandStatementQuery", **fields) == pa.schema({"n": pa.int32()})
    )
    found = refusal(lambda: sql.fetch(info))
    assert found.code == "invalid_data"
    assert "none" in found.message


def test_a_ticket_is_pinned(sql: SqlClient, table: str) -> None:
    info = sql.info("CommandStatementQuery", query=f"SELECT count(*) AS n FROM {table}")
    sql.ingest(DATA, table, "append")
    assert sql.fetch(info).to_pylist() == [{"n": 4}]
    assert sql.count(table) == 8


def test_a_write_runs_once_within_the_info(sql: SqlClient, table: str) -> None:
    text = f"UPDATE {table} SET a = a + 10 WHERE a > 2"
    info = sql.info("CommandStatementQuery", query=text)
    assert (info.total_records, info.endpoints) == (2, [])
    assert len(info.schema) == 0
    told = json.loads(info.app_metadata)
    assert told["statement"] == "update"
    newest = sql.client.action("list_versions", table=table)["versions"][0]
    assert newest["version"] == told["commit"]
    assert sorted(sql.query(f"SELECT a FROM {table}")["a"].to_pylist()) == [1, 2, 13, 14]


def test_the_schema_of_a_write_runs_nothing(sql: SqlClient, table: str) -> None:
    before = sql.client.action("list_versions", table=table)["versions"]
    assert len(sql.schema("CommandStatementQuery", query=f"DELETE FROM {table}")) == 0
    assert sql.client.action("list_versions", table=table)["versions"] == before
    assert sql.count(table) == 4


def test_a_statement_that_touches_no_rows_says_so(sql: SqlClient, name: str) -> None:
    made = sql.info("CommandStatementQuery", query=f"CREATE TABLE {name} (a INTEGER)")
    assert (made.total_records, made.endpoints) == (-1, [])
    changed = sql.info("CommandStatementQuery", query=f"UPDATE {name} SET a = 1")
    assert (changed.total_records, changed.endpoints) == (0, [])


def test_a_large_scan_has_several_endpoints(large: SqlClient) -> None:
    info = large.info("CommandStatementQuery", query="SELECT * FROM large")
    assert len(info.endpoints) > 1
    assert info.ordered
    assert info.total_records == 3 * ROWS
    assert large.fetch(info)["n"].to_pylist() == list(range(3 * ROWS))


def test_the_order_of_endpoints_counts(large: SqlClient) -> None:
    info = large.info("CommandStatementQuery", query="SELECT n FROM large WHERE n % 2 = 0")
    assert len(info.endpoints) > 1
    assert info.ordered
    assert large.fetch(info)["n"].to_pylist() == list(range(0, 3 * ROWS, 2))


def test_what_a_query_orders_is_one_endpoint(large: SqlClient) -> None:
    text = "SELECT n FROM large ORDER BY n DESC"
    info = large.info("CommandStatementQuery", query=text)
    assert (len(info.endpoints), info.ordered) == (1, False)
    assert large.fetch(info)["n"].to_pylist() == list(range(3 * ROWS))[::-1]


def test_estimates_are_those_of_the_files(large: SqlClient) -> None:
    """Bytes as the table's files have them; -1 where nothing is known without running it."""
    files = large.client.action("describe_table", table="large")["bytes"]
    assert files > 3 * 2**20
    every = large.info("CommandStatementQuery", query="SELECT * FROM large")
    assert (every.total_records, every.total_bytes) == (3 * ROWS, files)
    fewer = large.info("CommandStatementQuery", query=f"SELECT * FROM large LIMIT {ROWS}")
    assert (fewer.total_records, fewer.total_bytes) == (ROWS, files // 3)
    for unknown in ("SELECT * FROM large WHERE n > 5", "SELECT sum(n) FROM large"):
        info = large.info("CommandStatementQuery", query=unknown)
        assert (info.total_records, info.total_bytes) == (-1, -1)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("SELEKT 1", "invalid_sql", "SELEKT"),
        ("", "invalid_sql", ""),
        ("SELECT 1; SELECT 2", "invalid_sql", ""),
        ("SELECT * FROM no_such", "table_not_found", "'no_such'"),
        ("SELECT nowhere FROM range(3)", "invalid_sql", "nowhere"),
        ("SELECT * FROM read_csv('/etc/passwd')", "forbidden", "read_csv"),
        ("SELECT $1 + 1", "invalid_sql", "parameter"),
        ("INSERT INTO no_such VALUES (1)", "table_not_found", "'no_such'"),
        ("PRAGMA database_list", "forbidden", ""),
    ],
)
def test_mistakes(sql: SqlClient, text: str, code: str, says: str) -> None:
    found = refusal(lambda: sql.get("CommandStatementQuery", query=text))
    assert found.code == code
    assert says in found.message


def test_mistakes_in_getschema(sql: SqlClient) -> None:
    # pyarrow's client drops the details of this one call; the message and the class remain.
    with pytest.raises(KeyError, match="There is no table 'no_such'"):
        sql.schema("CommandStatementQuery", query="SELECT * FROM no_such")
    with pytest.raises(pa.ArrowInvalid, match="SELEKT"):
        sql.schema("CommandStatementQuery", query="SELEKT 1")


def test_an_info_can_be_serialized(sql: SqlClient, table: str) -> None:
    info = sql.info("CommandStatementQuery", query=f"SELECT * FROM {table}")
    again = flight.FlightInfo.deserialize(info.serialize())
    assert sql.fetch(again).equals(DATA)
