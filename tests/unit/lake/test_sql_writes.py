"""Rows written by SQL, as a commit of its own and within a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import Conflict, ErrorCode, NotFound, Unsupported
from flight_server.model import Commit, SqlRequest, TableRef
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    THREE,
    TableHandle,
    refused,
    unordered,
)


@pytest.fixture
def table(lake: LakeEngine) -> TableHandle:
    table = TableHandle(lake).create(defaults={"name": "'new'"})
    table.put(THREE)
    return table


@pytest.fixture(params=["engine", "transaction"])
def writer(request: pytest.FixtureRequest, lake: LakeEngine, table: TableHandle) -> Iterator[Any]:
    """Whatever runs the statement: the engine itself, or a transaction that is committed."""
    if request.param == "engine":
        yield lake
        return
    with lake.transaction(AUTHOR) as transaction:
        yield Committing(transaction)
        transaction.rollback()


class Committing:
    """A transaction whose first write is committed at once, but for those that are refused."""

    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Commit:
            done: Commit = getattr(self._transaction, name)(*arguments)
            assert done.snapshot == -1
            self._transaction.commit()
            return done

        return call


def insert(writer: Any, table: TableHandle, sql: str, *columns: str, **more: Any) -> Commit:
    done: Commit = writer.insert_rows(table.ref, columns, SqlRequest(sql, **more), AUTHOR)
    return done


def test_insert(writer: Any, table: TableHandle) -> None:
    """By position; what is left out gets its default, else null."""
    done = insert(writer, table, "SELECT i, i / 2 FROM range(10, 12) r(i)", "ID", "amount")
    assert (done.rows, done.rows_inserted) == (2, 2)
    assert table.rows(filter="id > 3") == unordered(
        [{"id": 10, "name": "new", "amount": 5.0}, {"id": 11, "name": "new", "amount": 5.5}]
    )


def test_insert_from_the_table_itself(writer: Any, table: TableHandle) -> None:
    """It reads the rows as they were."""
    sql = f"SELECT id + 10, name FROM {table.ref.sql} ORDER BY id"
    assert insert(writer, table, sql, "id", "name").rows == 3
    assert table.ids() == [1, 2, 3, 11, 12, 13]


def test_parameters(writer: Any, table: TableHandle) -> None:
    done = insert(writer, table, "SELECT $1, $2", "id", "name", parameters=[7, pa.scalar("é")])
    assert done.rows == 1
    assert table.rows(filter="id = 7")[0]["name"] == "é"


@pytest.mark.parametrize(
    ("sql", "columns", "words"),
    [
        ("SELECT NULL, 'x'", ("id", "name"), ("'id'", "'t'", "null")),
        ("SELECT if(i = 900, NULL, i) FROM range(1000) r(i)", ("id",), ("'id'", "null")),
        ("SELECT 'seven'", ("id",), ("'seven'",)),
        ("SELECT 1e30", ("id",), ("1e+30",)),
        ("SELECT 9223372036854775807 + i FROM range(2) r(i)", ("id",), ("Overflow",)),
    ],
)
def test_values_that_do_not_fit(
    writer: Any, table: TableHandle, sql: str, columns: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Are invalid data; nothing is written."""
    with refused(ErrorCode.INVALID_DATA, *words):
        insert(writer, table, sql, *columns)
    assert table.rows() == unordered(THREE)


def test_a_column_that_must_come(writer: Any, table: TableHandle) -> None:
    with refused(ErrorCode.SCHEMA_MISMATCH, "'id'", "no default"):
        insert(writer, table, "SELECT 'x'", "name")


def test_a_row_of_defaults(lake: LakeEngine) -> None:
    """With defaults, and where there is none at all."""
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    for name, defaults, row in (
        ("some", {"b": "'x'"}, {"a": None, "b": "x"}),
        ("none", {}, {"a": None, "b": None}),
    ):
        other = TableHandle(lake, name).create(schema, defaults=defaults)
        assert insert(lake, other, "SELECT 1 FROM range(5)").rows == 1
        assert other.rows() == [row]


def test_fields_within_that_must_not_be_null(lake: LakeEngine) -> None:
    """Are found at any depth, and not under a null parent."""
    inner = pa.struct([pa.field("x", pa.int64(), nullable=False)])
    schema = pa.schema(
        [
            ("s", inner),
            ("l", pa.list_(pa.field("item", inner, nullable=False))),
            ("m", pa.map_(pa.string(), pa.field("value", pa.int64(), nullable=False))),
        ]
    )
    table = TableHandle(lake).create(schema)
    good = ["{'x': 1}", "NULL", "[{'x': 1}]", "[]", "MAP {'a': 1}", "MAP {}"]
    for value, column in zip(good, "ssllmm", strict=True):
        assert insert(lake, table, f"SELECT {value}", column).rows == 1
    bad = ["{'x': NULL}", "[{'x': NULL}]", "[NULL]", "MAP {'a': NULL}"]
    for value, column in zip(bad, "sllm", strict=True):
        with refused(ErrorCode.INVALID_DATA, f"'{column}'", "null"):
            insert(lake, table, f"SELECT {value}", column)
    assert len(table.rows()) == 6


def test_a_map_that_may_be_null(lake: LakeEngine) -> None:
    """Its keys must not be null, which says nothing of the map itself."""
    table = TableHandle(lake).create(pa.schema([("m", pa.map_(pa.string(), pa.int64()))]))
    for value in ("NULL", "MAP {'a': NULL}", "MAP {}"):
        assert insert(lake, table, f"SELECT {value}", "m").rows == 1
    assert [row["m"] for row in table.rows()] == [None, [("a", None)], []]


def test_update(writer: Any, table: TableHandle) -> None:
    """The rows whose ids the SELECT gives, as far as they meet the filter."""
    sql = SqlRequest(f"SELECT rowid, id * 10, 'x' FROM {table.ref.sql} WHERE id > $1", [1])
    done = writer.update_rows(table.ref, ["amount", "name"], sql, "id < 3", AUTHOR)
    assert (done.rows, done.rows_updated) == (1, 1)
    assert table.rows(filter="id = 2") == [{"id": 2, "name": "x", "amount": 20.0}]
    assert table.rows(filter="id <> 2") == unordered([THREE[0], THREE[2]])


def test_a_row_that_is_given_twice_is_set_once(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    rows = "SELECT i AS id, 'a' AS name FROM range(50000) r(i)"
    insert(lake, table, rows, "id", "name")
    source = f"SELECT t.rowid, s.k FROM {table.ref.sql} t, range(2) s(k) WHERE t.id < 20000"
    done = lake.update_rows(table.ref, ["amount"], SqlRequest(source), None, AUTHOR)
    assert done.rows == 20_000
    counted = f"SELECT count(*), count(DISTINCT rowid), count(amount) FROM {table.ref.sql}"
    answer = lake.run_sql(SqlRequest(counted)).read_all()
    assert [column[0].as_py() for column in answer.columns] == [50_000, 50_000, 20_000]


def test_an_update_to_null(writer: Any, table: TableHandle) -> None:
    sql = SqlRequest(f"SELECT rowid, NULL FROM {table.ref.sql}")
    with refused(ErrorCode.INVALID_DATA, "'id'", "must not be null"):
        writer.update_rows(table.ref, ["id"], sql, None, AUTHOR)
    assert table.ids() == [1, 2, 3]


def test_delete(writer: Any, table: TableHandle) -> None:
    sql = SqlRequest(f"SELECT rowid FROM {table.ref.sql} WHERE id < 3")
    done = writer.delete_rows(table.ref, sql, "id <> 1", AUTHOR)
    assert (done.rows, done.rows_deleted) == (1, 1)
    assert table.ids() == [1, 3]


MERGE = (
    "MERGE INTO {t} USING (VALUES (1, 'uno'), (2, NULL), (9, 'nueve')) AS s(i, n) ON id = s.i "
    "WHEN MATCHED THEN {matched} "
    "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.i, s.n)"
)


@pytest.mark.parametrize(
    ("matched", "counts", "ids"),
    [
        ("UPDATE SET name = n", (3, 1, 2, 0), [1, 2, 3, 9]),
        ("DELETE", (3, 1, 0, 2), [3, 9]),
    ],
)
def test_merge(
    writer: Any, table: TableHandle, matched: str, counts: tuple[int, ...], ids: list[int]
) -> None:
    """Rows inserted, updated and deleted are counted apart."""
    sql = MERGE.format(t=table.ref.sql, matched=matched)
    done = writer.merge_rows(table.ref, SqlRequest(sql), AUTHOR)
    assert (done.rows, done.rows_inserted, done.rows_updated, done.rows_deleted) == counts
    assert table.ids() == ids
    assert table.rows(filter="id = 9")[0]["name"] == "nueve"
    newest = table.engine.versions(table.ref, 1)[0]
    assert "inserted" in newest.changes


def test_what_a_merge_of_ducklake_cannot_do(lake: LakeEngine, table: TableHandle) -> None:
    matched = "DELETE WHEN MATCHED THEN UPDATE SET name = n"
    sql = MERGE.format(t=table.ref.sql, matched=f"{matched}").replace(
        "MATCHED", "MATCHED AND true", 1
    )
    with refused(ErrorCode.UNSUPPORTED, "single UPDATE/DELETE", error=Unsupported):
        lake.merge_rows(table.ref, SqlRequest(sql), AUTHOR)


def test_a_merge_that_leaves_a_null(writer: Any, table: TableHandle) -> None:
    sql = (
        f"MERGE INTO {table.ref.sql} USING (SELECT 1 AS i) s ON id = s.i "
        f"WHEN MATCHED THEN UPDATE SET id = NULL"
    )
    with refused(ErrorCode.INVALID_DATA, "'id'", "must not be null"):
        writer.merge_rows(table.ref, SqlRequest(sql), AUTHOR)
    assert table.ids() == [1, 2, 3]


def test_the_log_names_the_author(lake: LakeEngine, table: TableHandle) -> None:
    insert(lake, table, "SELECT 4", "id")
    newest = lake.versions(table.ref, 1)[0]
    assert (newest.author, newest.reason) == (AUTHOR.principal, AUTHOR.reason)


def test_older_versions_within_a_transaction(lake: LakeEngine, table: TableHandle) -> None:
    """Are read before it has written, and refused after: DuckLake would leave rows out."""
    then = lake.snapshot()
    past = SqlRequest(f"SELECT id FROM {table.ref.sql} AT (VERSION => {then})")
    with lake.transaction(AUTHOR) as transaction:
        assert transaction.run_sql(past).read_all().num_rows == 3
        transaction.delete(table.ref, None, AUTHOR)
        with refused(ErrorCode.UNSUPPORTED, "older versions", error=Unsupported):
            transaction.run_sql(past)
        whole = SqlRequest(past.sql, version=then)
        assert transaction.run_sql(whole).read_all().num_rows == 3


def test_a_table_of_another_name_is_not_found(lake: LakeEngine) -> None:
    with refused(ErrorCode.TABLE_NOT_FOUND, "'nope'", error=NotFound):
        lake.insert_rows(TableRef.of("nope"), ["a"], SqlRequest("SELECT 1"), AUTHOR)


def test_an_answer_is_read_before_the_next_statement(lake: LakeEngine, table: TableHandle) -> None:
    """DuckDB would end it early and say nothing."""
    with lake.transaction(AUTHOR) as transaction:
        sql = SqlRequest("SELECT range AS i FROM range(1000000)")
        answer = transaction.run_sql(sql)
        next(iter(answer))
        with refused(ErrorCode.CONFLICT, "still being read", error=Conflict):
            transaction.delete(table.ref, None, AUTHOR)
        answer.close()
        assert transaction.sql_schema(sql) == pa.schema([("i", pa.int64())])
        assert "RANGE" in transaction.explain_sql(sql)
        assert transaction.run_sql(sql).read_all().num_rows == 1_000_000
    assert table.schema() == SCHEMA
