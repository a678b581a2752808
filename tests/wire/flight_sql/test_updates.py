"""CommandStatementUpdate: every kind of statement that writes, and the number of its rows."""

from __future__ import annotations

import grpc
import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer
from flight_server.wire.flight_sql.messages import MESSAGES, packed, serialized
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient, protobuf_field, raw_descriptor
from tests.fix_raw_flight import flight_data, raw_call

DATA = pa.table({"a": [1, 2, 3, 4], "b": ["w", "x", "y", "z"]})


@pytest.fixture
def table(sql: SqlClient, name: str) -> str:
    sql.ingest(DATA, name, "create")
    return name


def test_inserts(sql: SqlClient, table: str) -> None:
    assert sql.update(f"INSERT INTO {table} VALUES (5, 'v'), (6, NULL)") == 2
    assert sql.update(f"INSERT INTO {table} (b) SELECT b FROM {table} WHERE a < 3") == 2
    assert sql.update(f"INSERT INTO {table} BY NAME SELECT 'q' AS b, 9 AS a") == 1
    assert sql.count(table) == 9
    found = sql.rows(f"SELECT * FROM {table} WHERE a > 4 ORDER BY a")
    assert found == [{"a": 5, "b": "v"}, {"a": 6, "b": None}, {"a": 9, "b": "q"}]


def test_updates(sql: SqlClient, table: str, name: str) -> None:
    assert sql.update(f"UPDATE {table} SET b = upper(b) WHERE a > 2") == 2
    assert sql.update(f"UPDATE {table} SET a = a * 10") == 4
    assert sql.update(f"UPDATE {table} SET b = 'no' WHERE a > 1000") == 0
    wanted = f"SELECT max(a) FROM {table}"
    assert sql.update(f"UPDATE {table} SET b = 'last' WHERE a = ({wanted})") == 1
    found = sql.rows(f"SELECT * FROM {table} ORDER BY a")
    assert [(row["a"], row["b"]) for row in found] == [
        (10, "w"),
        (20, "x"),
        (30, "Y"),
        (40, "last"),
    ]


def test_deletes(sql: SqlClient, table: str) -> None:
    assert sql.update(f"DELETE FROM {table} WHERE a = 1") == 1
    assert sql.update(f"DELETE FROM {table} WHERE a IN (SELECT max(a) FROM {table})") == 1
    assert sql.update(f"TRUNCATE {table}") == 2
    assert sql.count(table) == 0


def test_merges(sql: SqlClient, table: str) -> None:
    rows = "(VALUES (3, 'new'), (7, 'seven')) AS s(a, b)"
    text = (
        f"MERGE INTO {table} AS t USING {rows} ON t.a = s.a "
        "WHEN MATCHED THEN UPDATE SET b = s.b WHEN NOT MATCHED THEN INSERT VALUES (s.a, s.b)"
    )
    assert sql.update(text) == 2
    found = sql.rows(f"SELECT b FROM {table} WHERE a > 2 ORDER BY a")
    assert [row["b"] for row in found] == ["new", "z", "seven"]


def test_a_merge_that_deletes_a_row_matched_twice_tells_of_one(sql: SqlClient, table: str) -> None:
    rows = "(VALUES (3), (3), (7)) AS s(a)"
    text = f"MERGE INTO {table} AS t USING {rows} ON t.a = s.a WHEN MATCHED THEN DELETE"
    assert sql.update(f"{text} WHEN NOT MATCHED THEN INSERT VALUES (s.a, 'new')") == 2
    newest = sql.client.action("list_versions", table=table)["versions"][0]
    assert sorted(newest["changes"]) == ["deleted", "inserted"]


@pytest.mark.parametrize(
    "clauses",
    [
        "WHEN MATCHED AND s.a = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET b = 'k'",
        "WHEN MATCHED THEN UPDATE SET b = 'k' WHEN NOT MATCHED BY SOURCE THEN DELETE",
    ],
)
def test_a_merge_that_changes_rows_in_two_ways_is_refused_for_the_lake(
    sql: SqlClient, table: str, clauses: str
) -> None:
    text = f"USING (VALUES (1), (2)) AS s(a) ON t.a = s.a {clauses}"
    refused = refusal(lambda: sql.update(f"MERGE INTO {table} AS t {text}"))
    assert refused.code == "unsupported"
    assert "between BEGIN and COMMIT" in refused.message
    sql.update(f"CREATE TEMP TABLE x_{table} AS FROM {table}")
    assert sql.update(f"MERGE INTO x_{table} AS t {text}") >= 2


def test_tables_and_schemas(sql: SqlClient, name: str) -> None:
    assert sql.update(f"CREATE SCHEMA s_{name}") == -1
    assert sql.update(f"CREATE TABLE s_{name}.t (a INTEGER NOT NULL, b DECIMAL(9, 2))") == -1
    assert sql.update(f"ALTER TABLE s_{name}.t ADD COLUMN c VARCHAR") == -1
    assert sql.update(f"CREATE TABLE s_{name}.u AS SELECT * FROM range(3) AS r(n)") == 3
    assert sql.update(f"ALTER TABLE s_{name}.u RENAME TO v") == -1
    schema = sql.schema("CommandStatementQuery", query=f"SELECT * FROM s_{name}.t")
    assert schema.names == ["a", "b", "c"]
    assert sql.count(f"s_{name}.v") == 3
    assert sql.update(f"DROP TABLE s_{name}.t") == -1
    assert sql.update(f"DROP TABLE IF EXISTS s_{name}.t") == -1
    assert refusal(lambda: sql.update(f"DROP SCHEMA s_{name}")).code == "conflict"
    assert sql.update(f"DROP SCHEMA s_{name} CASCADE") == -1
    found = refusal(lambda: sql.count(f"s_{name}.v"))
    assert found.code in ("table_not_found", "namespace_not_found")


def test_each_is_one_commit_with_its_author(sql: SqlClient, table: str) -> None:
    before = sql.client.action("list_versions", table=table)["versions"]
    sql.update(f"DELETE FROM {table} WHERE a < 3")
    newest, *rest = sql.client.action("list_versions", table=table)["versions"]
    assert rest == before
    assert newest["author"] == before[0]["author"]
    assert newest["reason"] == "delete"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("SELECT 1", "invalid_request", "reads"),
        ("INSERT INTO {t} VALUES (1)", "schema_mismatch", ""),
        ("INSERT INTO {t} VALUES ('many', 'x')", "", "many"),
        ("UPDATE {t} SET nowhere = 1", "column_not_found", "nowhere"),
        ("DELETE FROM no_such", "table_not_found", "no_such"),
        ("DELETE FROM {t} WHERE", "invalid_sql", ""),
        ("CREATE TABLE {t} (a INTEGER)", "already_exists", "{t}"),
        ("CREATE INDEX i ON {t} (a)", "", ""),
        ("ATTACH '/tmp/x.db'", "", ""),
        ("SET memory_limit = '1TB'", "", ""),
        ("COPY {t} TO '/tmp/x.csv'", "", ""),
        ("INSTALL httpfs", "", ""),
    ],
)
def test_mistakes(sql: SqlClient, table: str, text: str, code: str, says: str) -> None:
    found = refusal(lambda: sql.update(text.format(t=table)))
    assert found.code != "internal"
    assert code in found.code
    assert says.format(t=table) in found.message
    assert sql.count(table) == 4


def test_what_is_streamed_along_is_read_past(sql: SqlClient, table: str) -> None:
    answer = sql.put(DATA, "CommandStatementUpdate", query=f"DELETE FROM {table} WHERE a = 1")
    assert answer
    assert sql.count(table) == 3


def test_a_client_may_send_nothing_but_the_statement(
    server: LocalServer, sql: SqlClient, table: str
) -> None:
    """Those in Go and Rust end the stream after the descriptor, without a schema."""
    made = sql.prepare(f"DELETE FROM {table} WHERE a = 2")
    for message in (
        packed("CommandStatementUpdate", query=f"DELETE FROM {table} WHERE a = 1"),
        packed("CommandPreparedStatementUpdate", prepared_statement_handle=made.handle),
    ):
        sent = flight_data(b"", b"", raw_descriptor(message))
        (answer,) = raw_call(server, "DoPut", [sent], ("authorization", f"Bearer {server.key}"))
        # A PutResult, which holds the answer in its first field.
        assert answer == protobuf_field(1, serialized("DoPutUpdateResult", record_count=1))
    assert sql.count(table) == 2


def test_an_ingest_of_nothing_at_all(server: LocalServer, sql: SqlClient, table: str) -> None:
    options = MESSAGES["TableDefinitionOptions"](if_not_exist=1, if_exists=3)
    fields = {"table": table, "table_definition_options": options}
    sent = flight_data(b"", b"", raw_descriptor(packed("CommandStatementIngest", **fields)))
    with pytest.raises(grpc.RpcError) as caught:
        raw_call(server, "DoPut", [sent], ("authorization", f"Bearer {server.key}"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert sql.count(table) == 4
