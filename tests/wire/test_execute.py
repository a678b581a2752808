"""SQL that writes, by the action `execute`: what it does, and what it says of mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal


@pytest.fixture
def table(client: Client, name: str) -> Iterator[str]:
    """A table of a number and a text, with two rows."""
    client.action("execute", sql=f"CREATE TABLE {name} (a INT, b VARCHAR)")
    client.action("execute", sql=f"INSERT INTO {name} VALUES (1, 'one'), (2, 'two')")
    yield name
    client.action("execute", sql=f"DROP TABLE {name}")


def rows(client: Client, table: str) -> list[tuple[object, ...]]:
    found = client.read(sql=f"SELECT a, b FROM {table} ORDER BY ALL").to_pylist()
    return [tuple(row.values()) for row in found]


@pytest.mark.parametrize(
    ("sql", "kind", "count", "expected"),
    [
        ("INSERT INTO t VALUES (3, 'three')", "insert", 1, [(1, "one"), (2, "two"), (3, "three")]),
        ("INSERT INTO t (b, a) SELECT b, a + 2 FROM t", "insert", 2, None),
        ("INSERT INTO t BY NAME SELECT 'x' AS b, 3 AS a", "insert", 1, None),
        ("INSERT INTO t DEFAULT VALUES", "insert", 1, [(1, "one"), (2, "two"), (None, None)]),
        ("UPDATE t SET b = upper(b) WHERE a = 1", "update", 1, [(1, "ONE"), (2, "two")]),
        (
            "UPDATE t SET b = s.n FROM (VALUES (2, 'zwei')) AS s(k, n) WHERE a = s.k",
            "update",
            1,
            [(1, "one"), (2, "zwei")],
        ),
        ("DELETE FROM t WHERE a IN ( SELECT max(a) FROM t )", "delete", 1, [(1, "one")]),
        ("DELETE FROM t", "delete", 2, []),
        ("TRUNCATE t", "delete", 2, []),
        (
            "MERGE INTO t USING (VALUES (2, 'zwei'), (3, 'drei')) AS s(a, b) ON t.a = s.a "
            "WHEN MATCHED THEN UPDATE SET b = s.b WHEN NOT MATCHED THEN INSERT VALUES (s.a, s.b)",
            "merge",
            2,
            [(1, "one"), (2, "zwei"), (3, "drei")],
        ),
    ],
)
def test_statements(
    client: Client,
    table: str,
    sql: str,
    kind: str,
    count: int,
    expected: list[tuple[object, ...]] | None,
) -> None:
    words = [table if word == "t" else word.replace("t.a", f"{table}.a") for word in sql.split(" ")]
    done = client.action("execute", sql=" ".join(words))
    assert (done["kind"], done["rows"]) == (kind, count)
    versions = client.action("list_versions", table=table)["versions"]
    assert versions[0]["version"] == done["commit"]
    if expected is not None:
        assert rows(client, table) == expected


@pytest.mark.parametrize(
    ("sql", "code", "words"),
    [
        ("INSERT INTO t VALUES (3, 'x', 4)", "schema_mismatch", "columns of the query: 3"),
        ("INSERT INTO t (a) SELECT 3, 4", "schema_mismatch", "columns of the query: 2"),
        ("INSERT INTO t SELECT * FROM t AS s, t AS u", "schema_mismatch", "of the query: 4"),
        ("INSERT INTO t VALUES (3)", "schema_mismatch", "columns of the query: 1"),
        ("INSERT INTO t (a, A) VALUES (3, 4)", "invalid_sql", "twice"),
        ("INSERT INTO t (nope) VALUES (3)", "column_not_found", "'nope'"),
        ("INSERT INTO t VALUES ('x', 'y')", "invalid_data", "'x'"),
        ("INSERT INTO nope VALUES (3)", "table_not_found", "'nope'"),
        ("UPDATE t SET a = 'x'", "invalid_data", "'x'"),
        ("UPDATE t SET nope = 1", "column_not_found", "'nope'"),
        ("DELETE FROM t WHERE nope = 1", "invalid_sql", "nope"),
        ("CREATE TABLE t (a INT)", "already_exists", "exists already"),
        ("SELECT 1", "invalid_request", "reads"),
        ("COMMIT", "invalid_request", "BEGIN"),
        ("SAVEPOINT x", "unsupported", "Savepoints"),
        ("INSERT INTO t VALUES (3, 'x') RETURNING a", "unsupported", "RETURNING"),
    ],
)
def test_mistakes_change_nothing(
    client: Client, table: str, sql: str, code: str, words: str
) -> None:
    text = " ".join(table if word == "t" else word for word in sql.split(" "))
    found = refusal(lambda: client.action("execute", sql=text))
    assert (found.code, rows(client, table)) == (code, [(1, "one"), (2, "two")])
    assert words in found.message


def test_a_read_names_no_version(server: LocalServer, client: Client, table: str) -> None:
    found = refusal(lambda: client.action("execute", sql=f"DELETE FROM {table}", version=1))
    assert found.code == "invalid_request"


def test_a_writing_statement_as_a_ticket_says_where_it_belongs(client: Client, table: str) -> None:
    found = refusal(lambda: client.read(sql=f"DELETE FROM {table}"))
    assert found.code == "invalid_request"
    assert found.shape["details"] == {"statement": "delete"}
    assert "'execute'" in found.message
    assert len(rows(client, table)) == 2


def test_a_wider_type_leaves_a_column_in_its_place(client: Client, table: str) -> None:
    before = client.action("execute", sql=f"UPDATE {table} SET b = b")["commit"]
    client.action("execute", sql=f"ALTER TABLE {table} ALTER a TYPE BIGINT")
    client.action("execute", sql=f"INSERT INTO {table} VALUES (5000000000, 'many')")
    assert client.schema(table).names == ["a", "b"]
    assert rows(client, table) == [(1, "one"), (2, "two"), (5_000_000_000, "many")]
    old = client.read(sql=f"SELECT typeof(a) AS kind FROM {table} AT (VERSION => {before})")
    assert old["kind"].to_pylist() == ["INTEGER", "INTEGER"]


def test_an_insert_reads_older_versions_of_its_own_table(client: Client, table: str) -> None:
    before = client.action("list_versions", table=table)["versions"][0]["version"]
    client.action("execute", sql=f"DELETE FROM {table}")
    again = f"INSERT INTO {table} SELECT * FROM {table} AT (VERSION => {before})"
    assert client.action("execute", sql=again)["rows"] == 2
    assert rows(client, table) == [(1, "one"), (2, "two")]
