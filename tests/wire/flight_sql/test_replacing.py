"""CREATE OR REPLACE TABLE AS: its query may read the table that it replaces."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient

DATA = pa.table({"a": [1, 2, 3, 4], "b": ["w", "x", "y", "z"]})


@pytest.fixture
def table(sql: SqlClient, name: str) -> str:
    sql.ingest(DATA, name, "create")
    return name


def values(sql: SqlClient, table: str) -> list[Any]:
    return [row["a"] for row in sql.rows(f"SELECT a FROM {table} ORDER BY a")]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("SELECT a FROM {t} WHERE a > 2", [3, 4]),
        ("SELECT x.a FROM {t} AS x JOIN {t} AS y ON x.a = y.a + 1", [2, 3, 4]),
        ("SELECT a FROM {t} WHERE a < 2 UNION ALL SELECT a * 10 FROM {t} WHERE a < 3", [1, 10, 20]),
        ("WITH q AS (FROM {t}) SELECT max(a) AS a FROM q", [4]),
        ("SELECT 7 AS a", [7]),
    ],
)
def test_the_query_reads_the_old_table(
    sql: SqlClient, table: str, query: str, wanted: list[int]
) -> None:
    text = f"CREATE OR REPLACE TABLE {table} AS {query.format(t=table)}"
    assert sql.update(text) == len(wanted)
    assert values(sql, table) == wanted


def test_within_a_transaction(sql: SqlClient, table: str) -> None:
    sql.update("BEGIN")
    sql.update(f"INSERT INTO {table} VALUES (5, 'v')")
    replace = f"CREATE OR REPLACE TABLE {table} AS SELECT a FROM {table} WHERE a >"
    assert sql.update(f"{replace} 2") == 3
    sql.update(f"UPDATE {table} SET a = a + 1")
    assert sql.update(f"{replace} 4") == 2
    sql.update("COMMIT")
    assert values(sql, table) == [5, 6]
    assert sql.update(f"DELETE FROM {table} WHERE a = 5") == 1


def test_a_temporary_table(sql: SqlClient, table: str) -> None:
    sql.update(f"CREATE TEMP TABLE {table} AS SELECT a + 100 AS a FROM {table}")
    assert values(sql, table) == [101, 102, 103, 104]
    replace = f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT a FROM {table} WHERE a >"
    assert sql.update(f"{replace} 101") == 3
    sql.update("BEGIN")
    assert sql.update(f"{replace} 102") == 2
    sql.update("COMMIT")
    assert values(sql, table) == [103, 104]


def test_a_temporary_table_of_the_name_is_what_is_read(sql: SqlClient, table: str) -> None:
    sql.update(f"CREATE TEMP TABLE {table} AS SELECT a + 100 AS a FROM {table}")
    assert sql.update(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {table}") == 4
    assert values(sql, f"lake.main.{table}") == values(sql, table) == [101, 102, 103, 104]


def test_an_older_version(sql: SqlClient, table: str) -> None:
    listed = sql.client.action("list_versions", table=table)["versions"]
    sql.update(f"DELETE FROM {table} WHERE a > 1")
    then = f"AT (VERSION => {listed[0]['version']})"
    sql.update(f"CREATE TABLE {table}_old AS SELECT * FROM {table} {then}")
    assert values(sql, f"{table}_old") == [1, 2, 3, 4]
    text = f"SELECT o.a FROM {table} AS o {then} JOIN {table} AS n ON o.a <> n.a"
    assert sql.update(f"CREATE OR REPLACE TABLE {table} AS {text}") == 3
    assert values(sql, table) == [2, 3, 4]


@pytest.mark.parametrize("kind", ["TABLE", "TEMP TABLE"])
def test_a_failure_leaves_the_old_table(sql: SqlClient, table: str, kind: str) -> None:
    sql.update(f"CREATE OR REPLACE {kind} {table} AS SELECT * FROM {table}")
    text = f"CREATE OR REPLACE {kind} {table} AS SELECT CAST('x' || a AS INTEGER) AS a FROM {table}"
    assert refusal(lambda: sql.update(text)).code == "invalid_data"
    assert values(sql, table) == [1, 2, 3, 4]
    names = sql.get("CommandGetTables", include_schema=False)["table_name"].to_pylist()
    assert table in names
    assert not [name for name in names if name.startswith("_pixelflight")]


def test_rows_that_come_meanwhile_are_not_lost(
    sql: SqlClient, other: SqlClient, table: str
) -> None:
    sql.update("BEGIN")
    sql.update(f"CREATE OR REPLACE TABLE {table} AS SELECT a FROM {table}")
    other.update(f"INSERT INTO {table} VALUES (5, 'v')")
    assert refusal(lambda: sql.update("COMMIT")).code == "conflict"
    assert values(other, table) == [1, 2, 3, 4, 5]


def test_the_replaced_table_can_be_read_as_it_was(sql: SqlClient, table: str) -> None:
    sql.update(f"CREATE OR REPLACE TABLE {table} AS SELECT a FROM {table} WHERE a > 2")
    newest, oldest = sql.client.action("list_versions", table=table)["versions"]
    assert newest["changes"] == ["created", "dropped", "inserted"]
    assert values(sql, f"{table} AT (VERSION => {oldest['version']})") == [1, 2, 3, 4]
    sql.update(f"DROP TABLE {table}")
    sql.client.action("undrop_table", table=table)
    assert values(sql, table) == [3, 4]
