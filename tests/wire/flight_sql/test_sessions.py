"""What a session changes: names, the past, deadlines, temporary tables, BEGIN by SQL."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal
from tests.fix_flight_sql import ALONE, SqlClient

DATA = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
_INVALID_VALUE = 2


@pytest.fixture
def table(sql: SqlClient, name: str) -> str:
    sql.ingest(DATA, name, "create")
    return name


def test_bare_names_are_the_sessions_schemas(
    sql: SqlClient, other: SqlClient, table: str, name: str
) -> None:
    sql.update(f"CREATE SCHEMA s_{name}")
    sql.ingest(DATA.slice(0, 1), table, schema=f"s_{name}")
    assert sql.set_options(catalog="lake", schema=f"s_{name}") == {}
    assert sql.query(f"SELECT * FROM {table}").num_rows == 1
    assert sql.count(table) == 1
    assert sql.count(f"main.{table}") == 3
    assert sql.update(f"INSERT INTO {table} VALUES (9, 'w')") == 1
    assert other.count(f"s_{name}.{table}") == 2
    assert other.count(table) == 3
    sql.set_options(schema=None)
    assert sql.count(table) == 3


def test_use(sql: SqlClient, table: str, name: str) -> None:
    sql.update(f"CREATE SCHEMA s_{name}")
    sql.update(f"USE s_{name}")
    assert refusal(lambda: sql.count(table)).code == "table_not_found"
    sql.update("USE lake.main")
    assert sql.count(table) == 3
    assert refusal(lambda: sql.update("USE nowhere")).code == "namespace_not_found"


@pytest.mark.parametrize("text", ["USE lake", "SET SCHEMA 'lake'", "USE main", "USE lake.main"])
def test_one_name_is_a_catalog_or_a_namespace(
    sql: SqlClient, table: str, name: str, text: str
) -> None:
    sql.update(f"CREATE SCHEMA s_{name}")
    sql.update(f"USE s_{name}")
    sql.update(text)
    assert sql.count(table) == 3


def test_a_temporary_table_is_made_anew_and_not_altered(sql: SqlClient, table: str) -> None:
    sql.update(f"CREATE TEMP TABLE {table} AS SELECT * FROM {table}")
    refused = refusal(lambda: sql.update(f"ALTER TABLE {table} ADD COLUMN c INTEGER"))
    assert refused.code == "unsupported"
    assert "CREATE OR REPLACE TEMP TABLE" in refused.message
    sql.update(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT *, 0 AS c FROM {table}")
    assert sql.query(f"SELECT * FROM {table}").column_names == ["a", "b", "c"]
    sql.update("ALTER TABLE IF EXISTS temp.missing ADD COLUMN c INTEGER")


def test_the_past_by_a_moment(sql: SqlClient, table: str) -> None:
    moment = dt.datetime.now(dt.UTC).isoformat()
    sql.update(f"DELETE FROM {table} WHERE a > 1")
    assert sql.set_options(as_of=moment) == {}
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)
    assert sql.count(table) == 3
    sql.set_options(as_of=None)
    assert sql.count(table) == 1


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO {t} SELECT * FROM {t}",
        "UPDATE {t} SET b = 'q'",
        "DELETE FROM {t}",
        "MERGE INTO {t} USING {t} AS s USING (a) WHEN MATCHED THEN DELETE",
        "CREATE OR REPLACE TABLE {t} AS SELECT * FROM {t}",
        "CREATE TEMP TABLE {t} AS SELECT * FROM {t}",
        "ALTER TABLE {t} DROP b",
    ],
)
def test_nothing_is_written_at_a_moment_of_the_past(sql: SqlClient, table: str, text: str) -> None:
    sql.set_options(as_of=dt.datetime.now(dt.UTC).isoformat())
    refused = refusal(lambda: sql.update(text.format(t=table)))
    assert refused.code == "unsupported"
    assert "Clear the option" in refused.message
    many = sql.prepare(f"INSERT INTO {table} (a) VALUES (?)")
    assert refusal(lambda: many.update(pa.table({"a": [7, 8]}))).code == "unsupported"
    sql.set_options(as_of=None)
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)


def test_a_transaction_is_not_at_a_moment_of_the_past(sql: SqlClient, table: str) -> None:
    moment = dt.datetime.now(dt.UTC).isoformat()
    sql.update("BEGIN")
    sql.update(f"DELETE FROM {table} WHERE a > 1")
    sql.set_options(as_of=moment)
    assert refusal(lambda: sql.count(table)).code == "unsupported"
    assert refusal(lambda: sql.update(f"DELETE FROM {table}")).code == "unsupported"
    sql.update("USE lake.main")
    sql.update("COMMIT")
    assert sql.count(table) == 3
    sql.update("BEGIN")
    sql.update("ROLLBACK")
    sql.set_options(as_of=None)
    assert sql.count(table) == 1


def test_a_deadline(sql: SqlClient) -> None:
    assert sql.set_options(deadline_seconds=0.3) == {}
    endless = (
        "SELECT count(*) AS n FROM range(1000000) AS x, range(1000000) AS y WHERE x.range > y.range"
    )
    assert refusal(lambda: sql.query(endless)).code == "timed_out"
    assert sql.set_options(deadline_seconds="") == {}
    assert sql.rows("SELECT 1 AS one") == [{"one": 1}]
    assert sql.set_options(deadline_seconds="0.3") == {}
    assert refusal(lambda: sql.query(endless)).code == "timed_out"
    sql.set_options(deadline_seconds=None)
    assert sql.rows("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize(
    "option",
    [
        {"as_of": "soon"},
        {"as_of": "2026-01-01T00:00:00"},
        {"as_of": 7},
        {"deadline_seconds": "long"},
        {"deadline_seconds": -1},
        {"deadline_seconds": "0"},
        {"deadline_seconds": "nan"},
        {"catalog": 1},
        {"schema": 0.5},
    ],
    ids=str,
)
def test_options_that_cannot_be(sql: SqlClient, option: dict[str, object]) -> None:
    assert sql.set_options(**option) == dict.fromkeys(option, _INVALID_VALUE)
    assert sql.rows("SELECT 1 AS one") == [{"one": 1}]


def test_a_temporary_table_is_seen_in_its_session_only(
    sql: SqlClient, other: SqlClient, name: str
) -> None:
    assert sql.update(f"CREATE TEMP TABLE {name} (a INTEGER, b VARCHAR)") == -1
    assert sql.update(f"INSERT INTO {name} VALUES (1, 'x'), (2, 'y')") == 2
    assert sql.update(f"UPDATE {name} SET b = 'q' WHERE a = 1") == 1
    assert sql.update(f"DELETE FROM {name} WHERE a = 2") == 1
    assert sql.rows(f"SELECT * FROM {name}") == [{"a": 1, "b": "q"}]
    assert sql.rows(f"SELECT * FROM temp.{name}") == [{"a": 1, "b": "q"}]
    assert refusal(lambda: other.count(name)).code == "table_not_found"
    assert refusal(lambda: other.count(f"temp.{name}")).code == "catalog_not_found"
    assert refusal(lambda: other.update(f"DROP TABLE {name}")).code == "table_not_found"
    assert sql.update(f"DROP TABLE {name}") == -1
    assert refusal(lambda: sql.count(name)).code == "table_not_found"


def test_a_temporary_table_goes_with_its_session(sql: SqlClient, name: str) -> None:
    assert sql.update(f"CREATE TEMP TABLE {name} AS SELECT 1 AS one") == 1
    sql.close_session()
    assert refusal(lambda: sql.count(name)).code == "table_not_found"
    assert sql.update(f"CREATE TEMP TABLE {name} AS SELECT 1 AS one") == 1


def test_a_temporary_table_stands_before_another(
    sql: SqlClient, other: SqlClient, table: str
) -> None:
    sql.update(f"CREATE TEMP TABLE {table} AS SELECT 'mine' AS whose")
    assert sql.rows(f"SELECT * FROM {table}") == [{"whose": "mine"}]
    assert sql.count(f"main.{table}") == 3
    assert other.query(f"SELECT * FROM {table}").equals(DATA)
    sql.update(f"DROP TABLE {table}")
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)


def test_a_temporary_table_joins_with_others(sql: SqlClient, table: str, name: str) -> None:
    sql.update(f"CREATE TEMP TABLE wanted_{name} AS SELECT 2 AS a")
    text = f"SELECT b FROM {table} JOIN wanted_{name} USING (a)"
    assert sql.rows(text) == [{"b": "y"}]
    assert sql.update(f"DELETE FROM {table} WHERE a IN (SELECT a FROM wanted_{name})") == 1
    assert sql.update(f"INSERT INTO {table} SELECT a, 'back' FROM wanted_{name}") == 1


def test_begin_commit_and_rollback_by_sql(sql: SqlClient, other: SqlClient, table: str) -> None:
    assert sql.execute("BEGIN") == {"kind": "begin", "rows": None, "commit": None}
    done = sql.execute(f"DELETE FROM {table} WHERE a = 1")
    assert done == {"kind": "delete", "rows": 1, "commit": None}
    assert (sql.count(table), other.count(table)) == (2, 3)
    assert sql.query(f"SELECT * FROM {table}").num_rows == 2
    assert sql.execute("ROLLBACK")["kind"] == "rollback"
    assert sql.count(table) == 3
    sql.update("BEGIN TRANSACTION")
    sql.update(f"DELETE FROM {table} WHERE a = 1")
    done = sql.execute("COMMIT")
    assert done["kind"] == "commit"
    assert (
        done["commit"] == sql.client.action("list_versions", table=table)["versions"][0]["version"]
    )
    assert other.count(table) == 2


def test_everything_of_the_session_is_in_it(sql: SqlClient, other: SqlClient, table: str) -> None:
    """Plain tickets, infos, puts, actions and metadata, too."""
    sql.execute("BEGIN")
    assert sql.client.put(DATA, table)[-1]["rows"] == 3
    sql.client.action("update", table=table, set={"b": "'q'"}, filter="a = 1")
    count = f"SELECT count(*) AS n FROM {table} WHERE b = 'q'"
    assert sql.client.read(sql=count).to_pylist() == [{"n": 2}]
    assert sql.client.get(sql=count).to_pylist() == [{"n": 2}]
    assert sql.client.read(scan={"table": table}).num_rows == 6
    assert sql.client.get(table).num_rows == 6
    sql.execute(f"CREATE TABLE n_{table} (a INTEGER)")
    fields = {"table_name_filter_pattern": f"n_{table}"}
    assert sql.get("CommandGetTables", **fields).num_rows == 1
    assert other.get("CommandGetTables", **fields).num_rows == 0
    assert other.client.read(scan={"table": table}).num_rows == 3
    sql.execute("ROLLBACK")
    assert sql.client.read(scan={"table": table}).equals(DATA)


def test_control_statements_that_make_no_sense(sql: SqlClient) -> None:
    assert refusal(lambda: sql.execute("COMMIT")).code == "invalid_request"
    assert refusal(lambda: sql.execute("ROLLBACK")).code == "invalid_request"
    sql.execute("BEGIN")
    assert refusal(lambda: sql.execute("BEGIN")).code == "conflict"
    sql.execute("ROLLBACK")
    found = refusal(lambda: sql.execute("SELECT 1"))
    assert found.code == "invalid_request"
    assert "reads" in found.message
    assert refusal(lambda: sql.execute("SAVEPOINT s")).code in ("unsupported", "invalid_sql")


def test_execute_takes_parameters(sql: SqlClient, table: str) -> None:
    done = sql.execute(f"INSERT INTO {table} VALUES (?, ?)", parameters=[4, "w"])
    assert done["rows"] == 1
    assert isinstance(done["commit"], int)
    done = sql.execute(f"DELETE FROM {table} WHERE b = $b", parameters={"b": "w"})
    assert done["rows"] == 1
    assert "version" in refusal(lambda: sql.execute(f"DELETE FROM {table}", version=1)).message
    assert sql.count(table) == 3


def test_a_token_carries_a_session_over_connections(
    server: LocalServer, connect: Callable[..., Client], name: str
) -> None:
    opener = connect(server, None)
    _, value = opener.flight.authenticate_basic_token("any", server.key)
    key = value.removeprefix(b"Bearer ").decode()
    one, two = (SqlClient(connect(server, key, generic_options=ALONE)) for _ in range(2))
    one.update(f"CREATE TEMP TABLE {name} AS SELECT 1 AS one")
    assert two.rows(f"SELECT * FROM {name}") == [{"one": 1}]
    two.execute("BEGIN")
    one.execute(f"CREATE TABLE k_{name} (a INTEGER)")
    two.execute("ROLLBACK")
    assert refusal(lambda: one.count(f"k_{name}")).code == "table_not_found"


def test_a_plain_ticket_knows_its_session(sql: SqlClient, other: SqlClient, name: str) -> None:
    sql.update(f"CREATE TEMP TABLE {name} AS SELECT 1 AS one")
    ticket = json.dumps({"sql": f"SELECT * FROM {name}"}).encode()
    assert sql.client.stream(ticket).read_all().to_pylist() == [{"one": 1}]
    assert refusal(lambda: other.client.stream(ticket).read_all()).code == "table_not_found"
