"""Rows and columns that grants leave out: no statement tells of them, and none moves them."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from flight_server.auth import Action, Grant
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient

DATA = pa.table({"id": [1, 2, 3], "pay": [10, 20, 30]})
READ = frozenset({Action.READ})
WRITE = frozenset({Action.READ, Action.INSERT, Action.UPDATE})
DELETE = frozenset({Action.DELETE})

Connect = Callable[..., SqlClient]


@pytest.fixture
def table(sql: SqlClient, name: str) -> str:
    sql.ingest(DATA, name, "create")
    return name


@pytest.fixture
def narrow(connect_as: Connect, table: str) -> SqlClient:
    """Somebody who knows of one column only."""
    return connect_as(Grant("limited", WRITE, "lake", "main", table, frozenset({"id"})))


@pytest.fixture
def partial(connect_as: Connect, table: str) -> SqlClient:
    """Somebody who may do everything with the rows of which `id` is below 3."""
    return connect_as(Grant("limited", WRITE | DELETE, "lake", "main", table, rows="ID < 3"))


MOVES = [
    "UPDATE {t} SET id = 9 WHERE id = 1",
    "UPDATE {t} SET Id = id",
    "UPDATE {t} SET pay = 0, id = (SELECT 9)",
    "UPDATE {t} AS x SET id = 9 FROM (SELECT 1 AS k) AS s WHERE x.id = s.k",
]


@pytest.mark.parametrize("text", MOVES)
def test_no_row_is_moved_out_of_sight(
    sql: SqlClient, partial: SqlClient, table: str, text: str
) -> None:
    found = refusal(lambda: partial.update(text.format(t=table)))
    assert found.code == "forbidden"
    assert f"of '{table}': it decides which of its rows are yours" in found.message
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)


def test_the_action_moves_none_either(sql: SqlClient, partial: SqlClient, table: str) -> None:
    found = refusal(
        lambda: partial.client.action("update", table=table, set={"id": "9"}, filter="id = 1")
    )
    assert found.code == "forbidden"
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)
    done = partial.client.action("update", table=table, set={"pay": "id"}, filter="id = 1")
    assert done["rows_updated"] == 1


@pytest.mark.parametrize("limited", [Action.READ, Action.UPDATE])
def test_the_limits_of_reading_and_of_changing_both_count(
    connect_as: Connect, table: str, limited: Action
) -> None:
    other = {Action.READ, Action.UPDATE} - {limited}
    somebody = connect_as(
        Grant("limited", frozenset({limited}), "lake", "main", table, rows="pay < 30"),
        Grant("limited", frozenset(other), "lake", "main", table),
    )
    for text in ("UPDATE {t} SET pay = 1", "UPDATE {t} SET pay = (SELECT 1)"):
        found = refusal(lambda text=text: somebody.update(text.format(t=table)))  # type: ignore[misc]
        assert found.code == "forbidden"
    assert somebody.update(f"UPDATE {table} SET id = id + 10") == 2


def test_somebody_who_has_all_rows_moves_them(connect_as: Connect, table: str) -> None:
    somebody = connect_as(
        Grant("limited", WRITE, "lake", "main", table, rows="id < 3"),
        Grant("limited", WRITE, "lake", "main", table),
    )
    assert somebody.update(f"UPDATE {table} SET id = 9 WHERE id = 3") == 1


@pytest.mark.parametrize("mode", ["upsert", "merge"])
def test_no_row_is_brought_into_sight_by_its_key(
    sql: SqlClient, connect_as: Connect, table: str, mode: str
) -> None:
    """Or the columns of a hidden row could be read, once another one says whose it is."""
    somebody = connect_as(
        Grant("limited", READ, "lake", "main", table, rows="pay < 20"),
        Grant("limited", WRITE - READ, "lake", "main", table),
    )
    ingest = {"table": table, "mode": mode, "key": ["id"]}
    found = refusal(lambda: somebody.client.put(pa.table({"id": [3], "pay": [1]}), ingest=ingest))
    assert found.code == "forbidden"
    assert "'pay'" in found.message
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)


def test_an_upsert_empties_no_column_that_may_not_be_set(
    sql: SqlClient, narrow: SqlClient, table: str
) -> None:
    ingest = {"table": table, "key": ["id"]}
    data = pa.table({"id": [2, 4]})
    found = refusal(lambda: narrow.client.put(data, ingest={**ingest, "mode": "upsert"}))
    assert (found.code, "merge" in found.message) == ("forbidden", True)
    narrow.client.put(data, ingest={**ingest, "mode": "merge"})
    rows = sql.rows(f"SELECT * FROM {table} ORDER BY id")
    assert [(row["id"], row["pay"]) for row in rows] == [(1, 10), (2, 20), (3, 30), (4, None)]


INSERTS = [
    "INSERT INTO {t} (id, {c}) VALUES (4, 40)",
    "INSERT INTO {t} BY NAME SELECT 4 AS id, 40 AS {c}",
    "INSERT INTO {t} (id, {c}) SELECT id, id FROM {t}",
    "UPDATE {t} SET {c} = 1",
    "UPDATE {t} SET {c} = (SELECT 1)",
]


@pytest.mark.parametrize("text", INSERTS)
def test_a_hidden_column_is_written_like_a_missing_one(
    narrow: SqlClient, table: str, text: str
) -> None:
    hidden = refusal(lambda: narrow.update(text.format(t=table, c="pay")))
    missing = refusal(lambda: narrow.update(text.format(t=table, c="xyz")))
    assert hidden.code == missing.code == "column_not_found"
    assert hidden.message.replace("pay", "xyz") == missing.message


@pytest.mark.parametrize("how", ["append", "create_append", "replace"])
def test_a_hidden_column_is_ingested_like_a_missing_one(
    sql: SqlClient, narrow: SqlClient, table: str, how: str
) -> None:
    sent = DATA.rename_columns(["id", "xyz"])
    hidden = refusal(lambda: narrow.ingest(DATA, table, how))
    missing = refusal(lambda: narrow.ingest(sent, table, how))
    assert hidden.code == missing.code
    assert hidden.message.replace("pay", "xyz") == missing.message
    close = refusal(lambda: narrow.ingest(DATA.rename_columns(["id", "pax"]), table, how))
    assert "pay" not in close.message
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO {t} VALUES (4)",
        "INSERT INTO {t} VALUES (4, 40)",
        "INSERT INTO {t} SELECT * FROM {t}",
        "INSERT INTO {t} DEFAULT VALUES",
    ],
)
def test_an_insert_that_names_no_columns_tells_no_hidden_ones(
    narrow: SqlClient, table: str, text: str
) -> None:
    found = refusal(lambda: narrow.update(text.format(t=table)))
    assert found.code == "forbidden"
    assert "pay" not in found.message


def test_a_hidden_column_that_needs_a_value_is_not_named(
    sql: SqlClient, connect_as: Connect, name: str
) -> None:
    sql.update(f"CREATE TABLE {name} (id INTEGER, pay INTEGER NOT NULL)")
    narrow = connect_as(Grant("limited", WRITE, "lake", "main", name, frozenset({"id"})))
    for call in (
        lambda: narrow.update(f"INSERT INTO {name} (id) VALUES (1)"),
        lambda: narrow.ingest(pa.table({"id": pa.array([1], pa.int32())}), name),
    ):
        found = refusal(call)
        assert found.code == "forbidden"
        assert "pay" not in found.message


def test_a_column_that_is_only_read_may_be_named(connect_as: Connect, table: str) -> None:
    reader = connect_as(
        Grant("limited", READ, "lake", "main", table),
        Grant("limited", frozenset({Action.INSERT}), "lake", "main", table, frozenset({"id"})),
    )
    for call in (
        lambda: reader.update(f"INSERT INTO {table} VALUES (4, 40)"),
        lambda: reader.update(f"INSERT INTO {table} (pay) VALUES (40)"),
        lambda: reader.ingest(DATA, table),
    ):
        found = refusal(call)
        assert (found.code, "'pay'" in found.message) == ("forbidden", True)


def test_a_plan_of_a_part_is_shown_to_nobody(
    sql: SqlClient, partial: SqlClient, narrow: SqlClient, table: str
) -> None:
    query = f"SELECT id FROM {table}"
    assert "SCAN" in sql.client.action("explain", sql=query)["plan"]
    for somebody in (partial, narrow):
        for text in (query, f"EXPLAIN {query}", f"EXPLAIN ANALYZE {query}"):
            found = refusal(lambda text=text: somebody.client.action("explain", sql=text))  # type: ignore[misc]  # noqa: B023
            assert found.code == "forbidden"
        assert refusal(lambda: somebody.query(f"EXPLAIN {query}")).code == "forbidden"  # noqa: B023


def test_notes_on_the_whole_table_are_not_shown_with_a_part(
    sql: SqlClient, connect_as: Connect, name: str
) -> None:
    """Such as those of pandas, which hold the names of all columns."""
    sql.ingest(DATA.replace_schema_metadata({"pandas": '{"columns": ["id", "pay"]}'}), name)
    narrow = connect_as(Grant("limited", WRITE, "lake", "main", name, frozenset({"id"})))
    fields = {"table_name_filter_pattern": name, "include_schema": True}
    (row,) = narrow.get("CommandGetTables", **fields).to_pylist()
    query = f"SELECT * FROM {name}"
    for schema in (
        narrow.client.read(scan={"table": name}).schema,
        narrow.client.info(name).schema,
        narrow.client.schema(name),
        narrow.query(query).schema,
        narrow.info("CommandStatementQuery", query=query).schema,
        narrow.prepare(query).dataset,
        pa.ipc.read_schema(pa.py_buffer(row["table_schema"])),
    ):
        assert schema is not None
        assert (schema.names, schema.metadata) == (["id"], None)
    assert b"pandas" in sql.client.read(scan={"table": name}).schema.metadata


def test_partitions_by_hidden_columns_are_not_told(
    sql: SqlClient, connect_as: Connect, name: str
) -> None:
    schema = [{"name": "id", "type": "int64"}, {"name": "pay", "type": "int64"}]
    sql.client.action("create_table", table=name, columns=schema, partition_by=["id", "pay"])
    assert sql.client.action("describe_table", table=name)["partition_by"] == ["id", "pay"]
    narrow = connect_as(Grant("limited", READ, "lake", "main", name, frozenset({"ID"})))
    assert narrow.client.action("describe_table", table=name)["partition_by"] == ["id"]


def test_a_version_without_the_columns_that_may_be_seen(
    sql: SqlClient, connect_as: Connect, table: str
) -> None:
    version = sql.execute(f"ALTER TABLE {table} RENAME COLUMN id TO number")["commit"]
    somebody = connect_as(Grant("limited", READ, "lake", "main", table, frozenset({"number"})))
    assert somebody.query(f"SELECT * FROM {table}").column_names == ["number"]
    for columns in ("*", "id", "count(*)"):
        text = f"SELECT {columns} FROM {table} AT (VERSION => {version - 1})"
        found = refusal(lambda text=text: somebody.query(text))  # type: ignore[misc]
        assert (found.code, "no column" in found.message) == ("forbidden", True)
