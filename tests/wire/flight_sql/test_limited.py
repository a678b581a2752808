"""Principals with limited grants: what they may not know of is missing from every message."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from flight_server.auth import Action, Grant
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient

DATA = pa.table({"id": [1, 2, 3], "pay": [10, 20, 30]})
READ = frozenset({Action.READ})
WRITE = frozenset({Action.READ, Action.INSERT, Action.UPDATE, Action.DELETE})

Connect = Callable[..., SqlClient]


@pytest.fixture
def table(sql: SqlClient, name: str) -> str:
    sql.ingest(DATA, name, "create")
    return name


@pytest.fixture
def reader(connect_as: Connect, table: str) -> SqlClient:
    return connect_as(Grant("limited", READ, "lake", "main", table))


@pytest.fixture
def nobody(connect_as: Connect, table: str) -> SqlClient:
    """Somebody who may do all sorts of things, elsewhere."""
    every = frozenset(Action) - {Action.ADMIN, Action.GRANT}
    return connect_as(Grant("limited", every, "lake", "elsewhere"))


WRITES = [
    "INSERT INTO {t} VALUES (4, 40)",
    "INSERT INTO {t} SELECT * FROM {t}",
    "UPDATE {t} SET pay = 0",
    "UPDATE {t} SET pay = (SELECT max(id) FROM {t})",
    "DELETE FROM {t}",
    "DELETE FROM {t} WHERE id = 1",
    "DELETE FROM {t} WHERE id IN (SELECT max(id) FROM {t})",
    "TRUNCATE {t}",
    "MERGE INTO {t} AS t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE",
    "DROP TABLE {t}",
    "ALTER TABLE {t} ADD COLUMN c INTEGER",
    "ALTER TABLE {t} RENAME TO {t}_new",
    "CREATE OR REPLACE TABLE {t} AS SELECT 1 AS one",
]


@pytest.mark.parametrize("text", WRITES)
def test_a_reader_writes_nothing(sql: SqlClient, reader: SqlClient, table: str, text: str) -> None:
    statement = text.format(t=table)
    for call in (
        lambda: reader.update(statement),
        lambda: reader.info("CommandStatementQuery", query=statement),
        lambda: reader.execute(statement),
        lambda: reader.prepare(statement).update(),
    ):
        assert refusal(call).code == "forbidden"
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE {t} SET pay = 1",
        "UPDATE {t} SET pay = (SELECT 1)",
        "UPDATE {t} SET id = 7, pay = DEFAULT WHERE id = 1",
    ],
)
def test_a_column_that_may_be_read_only_is_told_as_such(
    connect_as: Connect, table: str, text: str
) -> None:
    update = frozenset({Action.UPDATE})
    client = connect_as(
        Grant("limited", READ, "lake", "main", table),
        Grant("limited", update, "lake", "main", table, columns=frozenset({"id"})),
    )
    refused = refusal(lambda: client.update(text.format(t=table)))
    assert refused.code == "forbidden"
    assert refused.message == "You may not update the column 'pay'."


@pytest.mark.parametrize("how", ["create_append", "append", "replace"])
def test_a_reader_ingests_nothing(sql: SqlClient, reader: SqlClient, table: str, how: str) -> None:
    assert refusal(lambda: reader.ingest(DATA, table, how)).code == "forbidden"
    assert refusal(lambda: reader.ingest(DATA, f"new_{table}")).code in (
        "forbidden",
        "table_not_found",
    )
    assert sql.count(table) == 3


def test_a_reader_may_not_define(reader: SqlClient, name: str) -> None:
    assert refusal(lambda: reader.update(f"CREATE SCHEMA s_{name}")).code == "forbidden"
    assert refusal(lambda: reader.update(f"CREATE TABLE n_{name} (a INTEGER)")).code == "forbidden"
    assert refusal(lambda: reader.update("DROP SCHEMA main CASCADE")).code == "forbidden"


def test_a_reader_has_temporary_tables(reader: SqlClient, table: str, name: str) -> None:
    assert reader.update(f"CREATE TEMP TABLE mine_{name} AS SELECT * FROM {table}") == 3
    assert reader.update(f"DELETE FROM mine_{name} WHERE id > 1") == 2
    assert reader.count(f"mine_{name}") == 1


def test_a_transaction_opens_nothing(reader: SqlClient, table: str) -> None:
    begun = reader.begin()
    assert reader.count(table, begun) == 3
    assert refusal(lambda: reader.update(f"DELETE FROM {table}", begun)).code == "forbidden"
    reader.rollback(begun)


@pytest.mark.parametrize("text", ["SELECT * FROM {t}", *WRITES[:-1]])
def test_a_hidden_table_looks_missing(nobody: SqlClient, table: str, text: str) -> None:
    calls: list[Callable[[str], object]] = [
        lambda t: nobody.info("CommandStatementQuery", query=text.format(t=t)),
        lambda t: nobody.update(text.format(t=t)),
        lambda t: nobody.prepare(text.format(t=t)).update(),
    ]
    for call in calls if text in WRITES else calls[:1]:
        hidden, missing = refusal(lambda: call(table)), refusal(lambda: call("absent"))  # noqa: B023
        assert hidden.code == missing.code
        assert hidden.message.replace(table, "absent") == missing.message


def test_a_hidden_table_is_in_no_listing(nobody: SqlClient, reader: SqlClient, table: str) -> None:
    fields = {"table_name_filter_pattern": table, "include_schema": True}
    assert nobody.get("CommandGetTables", **fields).num_rows == 0
    assert reader.get("CommandGetTables", **fields).num_rows == 1
    hidden = refusal(lambda: nobody.get("CommandGetPrimaryKeys", table=table))
    missing = refusal(lambda: nobody.get("CommandGetPrimaryKeys", table="absent"))
    assert hidden.message.replace(table, "absent") == missing.message


def test_a_hidden_schema_is_in_no_listing(sql: SqlClient, nobody: SqlClient, name: str) -> None:
    sql.update(f"CREATE SCHEMA s_{name}")
    sql.update(f"CREATE TABLE s_{name}.t (a INTEGER)")
    fields = {"db_schema_filter_pattern": f"s_{name}"}
    assert sql.get("CommandGetDbSchemas", **fields).num_rows == 1
    assert nobody.get("CommandGetDbSchemas", **fields).num_rows == 0
    hidden = refusal(lambda: nobody.update(f"USE s_{name}"))
    missing = refusal(lambda: nobody.update("USE absent"))
    assert hidden.message.replace(f"s_{name}", "absent") == missing.message


def test_a_hidden_table_takes_no_rows(sql: SqlClient, nobody: SqlClient, table: str) -> None:
    hidden = refusal(lambda: nobody.ingest(DATA, table, "append"))
    missing = refusal(lambda: nobody.ingest(DATA, "absent", "append"))
    assert hidden.code == missing.code == "table_not_found"
    assert hidden.message.replace(table, "absent") == missing.message
    hidden = refusal(lambda: nobody.ingest(DATA, table, "replace"))
    missing = refusal(lambda: nobody.ingest(DATA, "absent", "replace"))
    # Where nothing may be seen of a namespace, it looks missing, too.
    assert hidden.code == missing.code == "namespace_not_found"
    assert hidden.message.replace(table, "absent") == missing.message
    assert sql.count(table) == 3


@pytest.fixture
def narrow(connect_as: Connect, table: str) -> SqlClient:
    """Somebody who knows of one column only."""
    of_column = WRITE - {Action.DELETE}
    return connect_as(
        Grant("limited", of_column, "lake", "main", table, frozenset({"id"})),
        Grant("limited", frozenset({Action.DELETE}), "lake", "main", table),
    )


def test_reading_some_columns(narrow: SqlClient, table: str) -> None:
    assert narrow.query(f"SELECT * FROM {table}").column_names == ["id"]
    assert narrow.prepare(f"SELECT * FROM {table} WHERE id > ?").dataset == pa.schema(
        {"id": pa.int64()}
    )
    fields = {"table_name_filter_pattern": table, "include_schema": True}
    (row,) = narrow.get("CommandGetTables", **fields).to_pylist()
    assert pa.ipc.read_schema(pa.py_buffer(row["table_schema"])).names == ["id"]
    assert refusal(lambda: narrow.query(f"SELECT pay FROM {table}")).code in (
        "column_not_found",
        "invalid_sql",
    )


def test_writing_some_columns(sql: SqlClient, narrow: SqlClient, table: str) -> None:
    assert narrow.update(f"INSERT INTO {table} (id) VALUES (4)") == 1
    assert narrow.update(f"UPDATE {table} SET id = 5 WHERE id = 4") == 1
    assert narrow.update(f"DELETE FROM {table} WHERE id = 5") == 1
    for text in (
        f"INSERT INTO {table} (id, pay) VALUES (4, 40)",
        f"INSERT INTO {table} VALUES (4, 40)",
        f"UPDATE {table} SET pay = 0",
        f"UPDATE {table} SET id = pay",
        f"DELETE FROM {table} WHERE pay > 10",
        f"DELETE FROM {table} WHERE pay > (SELECT 10)",
        f"DELETE FROM {table} AS x WHERE {table}.pay > 10",
        f"DELETE FROM {table} WHERE id IN (SELECT 1 WHERE {table}.pay > 1)",
        f"UPDATE {table} SET id = 1 WHERE pay > 10",
        f"UPDATE {table} AS x SET id = 1 WHERE {table}.pay > (SELECT 10)",
        f"INSERT INTO {table} (id) SELECT pay FROM {table}",
        f"MERGE INTO {table} AS t USING (SELECT 1 AS id) AS s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET pay = 0",
    ):
        found = refusal(lambda text=text: narrow.update(text))  # type: ignore[misc]
        assert found.code in ("forbidden", "column_not_found", "invalid_sql"), text
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)


@pytest.fixture
def partial(connect_as: Connect, table: str) -> SqlClient:
    """Somebody who knows of two of the rows only."""
    return connect_as(Grant("limited", WRITE, "lake", "main", table, rows="id < 3"))


def test_reading_some_rows(partial: SqlClient, table: str) -> None:
    assert partial.query(f"SELECT * FROM {table}")["id"].to_pylist() == [1, 2]
    assert partial.count(table) == 2
    info = partial.info("CommandStatementQuery", query=f"SELECT * FROM {table}")
    assert info.total_records == -1
    assert partial.prepare(f"SELECT * FROM {table} WHERE id > 1").query().num_rows == 1


def test_writing_some_rows(sql: SqlClient, partial: SqlClient, table: str) -> None:
    assert partial.update(f"UPDATE {table} SET pay = pay + 1") == 2
    assert partial.update(f"UPDATE {table} SET pay = 0 WHERE id = 3") == 0
    assert partial.update(f"UPDATE {table} SET pay = (SELECT max(pay) FROM {table})") == 2
    rows = sql.rows(f"SELECT pay FROM {table} ORDER BY id")
    assert [row["pay"] for row in rows] == [21, 21, 30]
    for text in (
        f"INSERT INTO {table} VALUES (1, 1)",
        f"MERGE INTO {table} AS t USING (SELECT 3 AS id) AS s ON t.id = s.id "
        "WHEN MATCHED THEN DELETE",
    ):
        assert refusal(lambda text=text: partial.update(text)).code == "forbidden"  # type: ignore[misc]
    assert partial.update(f"DELETE FROM {table}") == 2
    assert sql.query(f"SELECT id FROM {table}")["id"].to_pylist() == [3]
