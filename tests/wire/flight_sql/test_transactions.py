"""Transactions by their ids: what is seen, when they end, who holds them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.testing.server import LocalServer
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient

DATA = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
SECONDS_MAX = 20


@pytest.fixture
def table(sql: SqlClient, name: str) -> str:
    sql.ingest(DATA, name, "create")
    return name


def until(done: Callable[[], bool]) -> None:
    """Waits until it is so; it must become so."""
    end = time.monotonic() + SECONDS_MAX
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def total(sql: SqlClient, table: str, transaction: bytes | None = None) -> int:
    """The sum of the first column."""
    (row,) = sql.rows(f"SELECT sum(a) AS s FROM {table}", transaction)
    return int(row["s"])


def test_reads_see_their_own_writes_and_others_do_not(
    sql: SqlClient, other: SqlClient, table: str
) -> None:
    begun = sql.begin()
    assert sql.update(f"INSERT INTO {table} VALUES (4, 'w')", begun) == 1
    assert sql.update(f"UPDATE {table} SET b = 'q' WHERE a = 1", begun) == 1
    assert sql.update(f"DELETE FROM {table} WHERE a = 2", begun) == 1
    mine = sql.query(f"SELECT * FROM {table}", begun).sort_by("a")
    assert mine.to_pylist() == [{"a": 1, "b": "q"}, {"a": 3, "b": "z"}, {"a": 4, "b": "w"}]
    assert sql.rows(f"SELECT sum(a) AS s FROM {table}", begun) == [{"s": 8}]
    assert other.query(f"SELECT * FROM {table}").equals(DATA)
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)
    sql.commit(begun)
    assert other.query(f"SELECT * FROM {table}").sort_by("a").equals(mine)


def test_it_sees_one_state_from_its_beginning(sql: SqlClient, other: SqlClient, table: str) -> None:
    begun = sql.begin()
    assert sql.count(table, begun) == 3
    other.update(f"DELETE FROM {table}")
    assert sql.count(table, begun) == 3
    assert sql.query(f"SELECT * FROM {table}", begun).equals(DATA)
    sql.rollback(begun)
    assert sql.count(table) == 0


def test_it_is_one_commit(sql: SqlClient, table: str) -> None:
    before = len(sql.client.action("list_versions", table=table)["versions"])
    begun = sql.begin()
    for number in range(5):
        sql.update(f"INSERT INTO {table} VALUES ({number}, 'n')", begun)
    sql.commit(begun)
    assert len(sql.client.action("list_versions", table=table)["versions"]) == before + 1
    assert sql.count(table) == 8


def test_a_write_within_an_info_is_within_the_transaction(sql: SqlClient, table: str) -> None:
    begun = sql.begin()
    text = f"DELETE FROM {table}"
    info = sql.info("CommandStatementQuery", query=text, transaction_id=begun)
    assert (info.total_records, info.endpoints) == (3, [])
    assert sql.count(table, begun) == 0
    sql.rollback(begun)
    assert sql.count(table) == 3


def test_rolling_back_takes_all_of_it_back(sql: SqlClient, table: str, name: str) -> None:
    begun = sql.begin()
    sql.update(f"DELETE FROM {table}", begun)
    sql.update(f"CREATE TABLE n_{name} AS SELECT 1 AS one", begun)
    sql.update(f"CREATE SCHEMA s_{name}", begun)
    sql.update(f"ALTER TABLE {table} ADD COLUMN c INTEGER", begun)
    sql.rollback(begun)
    assert sql.query(f"SELECT * FROM {table}").equals(DATA)
    assert refusal(lambda: sql.count(f"n_{name}")).code == "table_not_found"
    assert sql.update(f"CREATE SCHEMA s_{name}") == -1


@pytest.mark.parametrize("begins", ["named", "by SQL"])
def test_temporary_tables_take_no_part_in_it(sql: SqlClient, name: str, begins: str) -> None:
    sql.update(f"CREATE TEMP TABLE {name} AS SELECT 1 AS a")
    begun = sql.begin() if begins == "named" else None
    if begun is None:
        sql.update("BEGIN")
    sql.update(f"INSERT INTO {name} VALUES (2)", begun)
    sql.ingest(pa.table({"a": [3]}), name, temporary=True, transaction_id=begun)
    assert total(sql, name, begun) == 6
    if begun is None:
        sql.update("ROLLBACK")
    else:
        sql.rollback(begun)
    assert total(sql, name) == 6


def test_definitions_within(sql: SqlClient, other: SqlClient, name: str) -> None:
    begun = sql.begin()
    sql.update(f"CREATE SCHEMA s_{name}", begun)
    sql.update(f"CREATE TABLE s_{name}.t (a INTEGER)", begun)
    assert sql.update(f"INSERT INTO s_{name}.t VALUES (1), (2)", begun) == 2
    sql.update(f"ALTER TABLE s_{name}.t ADD COLUMN b VARCHAR", begun)
    assert sql.rows(f"SELECT * FROM s_{name}.t ORDER BY a", begun) == [
        {"a": 1, "b": None},
        {"a": 2, "b": None},
    ]
    found = refusal(lambda: other.count(f"s_{name}.t"))
    assert found.code in ("table_not_found", "namespace_not_found")
    sql.update(f"DROP TABLE s_{name}.t", begun)
    assert refusal(lambda: sql.count(f"s_{name}.t", begun)).code == "table_not_found"
    sql.commit(begun)
    assert sql.update(f"DROP SCHEMA s_{name}") == -1


def test_a_conflict_can_be_tried_again(sql: SqlClient, other: SqlClient, table: str) -> None:
    begun = sql.begin()
    sql.update(f"UPDATE {table} SET b = 'mine' WHERE a = 1", begun)
    other.update(f"UPDATE {table} SET b = 'theirs' WHERE a = 1")
    found = refusal(lambda: sql.commit(begun))
    assert found.code == "conflict"
    assert found.shape["retryable"] is True
    assert refusal(lambda: sql.commit(begun)).code == "transaction_not_found"
    again = sql.begin()
    sql.update(f"UPDATE {table} SET b = 'mine' WHERE a = 1", again)
    sql.commit(again)
    assert sql.rows(f"SELECT b FROM {table} WHERE a = 1") == [{"b": "mine"}]


def test_a_failed_statement(sql: SqlClient, table: str) -> None:
    begun = sql.begin()
    sql.update(f"INSERT INTO {table} VALUES (4, 'w')", begun)
    refusal(lambda: sql.update("DELETE FROM no_such", begun))
    refusal(lambda: sql.query("SELEKT", begun))
    assert sql.count(table, begun) == 4
    sql.rollback(begun)
    assert sql.count(table) == 3


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_it_ends_once(sql: SqlClient, table: str, end: str) -> None:
    begun = sql.begin()
    getattr(sql, end)(begun)
    for call in (
        lambda: sql.commit(begun),
        lambda: sql.rollback(begun),
        lambda: sql.query("SELECT 1", begun),
        lambda: sql.update(f"DELETE FROM {table}", begun),
        lambda: sql.ingest(DATA, table, transaction_id=begun),
        lambda: sql.prepare("SELECT 1", begun),
    ):
        assert refusal(call).code == "transaction_not_found"
    assert sql.count(table) == 3


@pytest.mark.parametrize("unknown", [b"nothing", b"\xff\xfe", b"x" * 5000])
def test_ids_that_are_none(sql: SqlClient, unknown: bytes) -> None:
    assert refusal(lambda: sql.query("SELECT 1", unknown)).code == "transaction_not_found"
    assert refusal(lambda: sql.commit(unknown)).code == "transaction_not_found"


def test_it_is_its_principals(
    sql: SqlClient, other: SqlClient, stranger: SqlClient, table: str
) -> None:
    begun = sql.begin()
    sql.update(f"DELETE FROM {table}", begun)
    assert refusal(lambda: stranger.count(table, begun)).code == "transaction_not_found"
    assert refusal(lambda: stranger.commit(begun)).code == "transaction_not_found"
    # A client whose connection broke goes on over another one.
    assert other.count(table, begun) == 0
    other.rollback(begun)
    assert sql.count(table) == 3


@pytest.mark.parametrize("action", [0, 3])
def test_it_is_ended_in_one_of_two_ways(sql: SqlClient, action: int) -> None:
    begun = sql.begin()
    assert refusal(lambda: sql.end(begun, action)).code == "invalid_request"
    sql.rollback(begun)
    assert refusal(lambda: sql.end(b"", 1)).code == "transaction_not_found"


def test_an_idle_one_is_rolled_back(
    start_server: Callable[..., LocalServer], connect_sql: Callable[..., SqlClient]
) -> None:
    server = start_server(transaction_idle_seconds=0.2)
    sql, other = connect_sql(server), connect_sql(server)
    sql.ingest(DATA, "t")
    begun = sql.begin()
    sql.update("DELETE FROM t", begun)
    until(lambda: server.door.state.sessions.open_transactions == 0)
    assert refusal(lambda: sql.commit(begun)).code == "transaction_not_found"
    assert other.count("t") == 3


def test_an_idle_one_that_has_read_loses_no_update(
    start_server: Callable[..., LocalServer], connect_sql: Callable[..., SqlClient]
) -> None:
    server = start_server(transaction_idle_seconds=0.2)
    sql, other = connect_sql(server), connect_sql(server)
    sql.ingest(DATA, "t")
    sql.ingest(DATA, "untouched")
    begun = sql.begin()
    assert sql.count("t", begun) == 3
    other.update("UPDATE t SET a = a + 1")
    assert total(sql, "t", begun) == 6
    until(lambda: server.door.state.sessions.open_transactions == 0)
    # It goes on from the newest state, as a notebook does that reads now and then.
    assert total(sql, "t", begun) == 9
    sql.update("UPDATE untouched SET a = 0", begun)
    sql.update("UPDATE t SET a = a + 1", begun)
    found = refusal(lambda: sql.commit(begun))
    assert (found.code, found.shape["retryable"]) == ("conflict", True)
    assert "after this transaction had read" in found.message
    assert (total(other, "t"), total(other, "untouched")) == (9, 6)
    again = sql.begin()
    sql.update("UPDATE t SET a = a + 1", again)
    sql.commit(again)
    assert total(other, "t") == 12


@pytest.mark.parametrize("how", ["ingests", "merges", "ingest alone", "merge alone"])
def test_no_key_is_inserted_twice(sql: SqlClient, other: SqlClient, table: str, how: str) -> None:
    def write(client: SqlClient, transaction: bytes | None) -> None:
        if how.startswith("ingest"):
            fields: dict[str, Any] = {"transaction_id": transaction} if transaction else {}
            client.ingest(
                pa.table({"a": [42]}), table, options={"mode": "upsert", "key": "a"}, **fields
            )
        else:
            client.update(
                f"MERGE INTO {table} AS t USING (SELECT 42 AS a) AS s ON t.a = s.a "
                "WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)",
                transaction,
            )

    begun = sql.begin()
    write(sql, begun)
    theirs = None if how.endswith("alone") else other.begin()
    write(other, theirs)
    if theirs is not None:
        other.commit(theirs)
    found = refusal(lambda: sql.commit(begun))
    assert (found.code, found.shape["retryable"]) == ("conflict", True)
    assert other.count(table) == 4


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE {} ADD COLUMN c INTEGER",
        "COMMENT ON TABLE {} IS 'x'",
        "ALTER TABLE {} RENAME TO new_{}",
    ],
)
@pytest.mark.parametrize("then", ["upsert", "drop"])
def test_what_was_altered_before_conflicts_alike(
    sql: SqlClient, other: SqlClient, table: str, change: str, then: str
) -> None:
    begun, row, options = sql.begin(), pa.table({"a": [42]}), {"mode": "upsert", "key": "a"}
    sql.update(change.format(table, table), begun)
    mine = f"new_{table}" if "RENAME" in change else table
    if then == "upsert":
        sql.ingest(row, mine, options=options, transaction_id=begun)
    else:
        sql.update(f"DROP TABLE {mine}", begun)
    other.ingest(row, table, options=options)
    assert refusal(lambda: sql.commit(begun)).code == "conflict"
    assert other.count(table) == 4


def test_a_table_made_within_meets_nobody(sql: SqlClient, other: SqlClient, table: str) -> None:
    begun, options = sql.begin(), {"mode": "upsert", "key": "a"}
    sql.update(f"ALTER TABLE {table} RENAME TO old_{table}", begun)
    sql.update(f"CREATE TABLE {table} (a BIGINT)", begun)
    for _ in range(2):
        sql.ingest(pa.table({"a": [42]}), table, options=options, transaction_id=begun)
    sql.commit(begun)
    assert (other.count(table), other.count(f"old_{table}")) == (1, 3)


@pytest.mark.usefixtures("swept_often")
def test_a_lost_clients_is_rolled_back(
    start_server: Callable[..., LocalServer], connect_sql: Callable[..., SqlClient]
) -> None:
    server = start_server()  # on which it would stay open for minutes, left to itself
    sql = connect_sql(server)
    sql.ingest(DATA, "t")
    lost = connect_sql(server)
    lost.update("DELETE FROM t", lost.begin())
    assert server.door.state.sessions.open_transactions == 1
    lost.close()
    until(lambda: server.door.state.sessions.open_transactions == 0)
    assert sql.count("t") == 3
    # Nothing of it stands in the way of the next one.
    assert sql.update("DELETE FROM t") == 3


def test_closing_the_session_ends_it(sql: SqlClient, other: SqlClient, table: str) -> None:
    begun = sql.begin()
    sql.update(f"DELETE FROM {table}", begun)
    sql.close_session()
    assert refusal(lambda: sql.commit(begun)).code == "transaction_not_found"
    assert other.count(table) == 3


def test_rolling_back_ends_a_stream_that_is_read(sql: SqlClient, other: SqlClient) -> None:
    begun = sql.begin()
    text = "SELECT range AS n, repeat('x', 1000) AS filler FROM range(5000000)"
    info = sql.info("CommandStatementQuery", query=text, transaction_id=begun)
    reader = sql.client.stream(info.endpoints[0].ticket)
    assert reader.read_chunk().data.num_rows > 0
    other.rollback(begun)
    found = refusal(lambda: reader.read_all())
    assert found.code == "cancelled"
    assert "rolled back" in found.message
    assert refusal(lambda: sql.query("SELECT 1", begun)).code == "transaction_not_found"


def test_a_small_result_need_not_be_read_first(sql: SqlClient, table: str) -> None:
    begun = sql.begin()
    info = sql.info("CommandStatementQuery", query=f"SELECT * FROM {table}", transaction_id=begun)
    reader = sql.client.stream(info.endpoints[0].ticket)
    assert sql.update(f"DELETE FROM {table}", begun) == 3
    assert reader.read_all().equals(DATA)
    sql.rollback(begun)


def test_two_statements_at_once_take_turns(sql: SqlClient, other: SqlClient, table: str) -> None:
    begun = sql.begin()
    counts: list[int] = []

    def insert(client: SqlClient) -> None:
        for number in range(10):
            counts.append(client.update(f"INSERT INTO {table} VALUES ({number}, 'n')", begun))

    threads = [threading.Thread(target=insert, args=(client,)) for client in (sql, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1] * 20
    assert sql.count(table, begun) == 23
    sql.commit(begun)
    assert other.count(table) == 23


def test_two_transactions_of_one_session(sql: SqlClient, table: str, name: str) -> None:
    first, second = sql.begin(), sql.begin()
    sql.update(f"CREATE TABLE n_{name} AS SELECT 1 AS one", first)
    sql.update(f"INSERT INTO {table} VALUES (4, 'w')", second)
    assert sql.count(table, first) == 3
    sql.commit(second)
    sql.commit(first)
    assert (sql.count(table), sql.count(f"n_{name}")) == (4, 1)


def test_no_update_is_lost(
    server: LocalServer, connect_sql: Callable[..., SqlClient], sql: SqlClient, table: str
) -> None:
    """Who conflicts tries again, and in the end everybody has counted."""

    def count(client: SqlClient) -> None:
        begun = client.begin()
        try:
            client.update(f"UPDATE {table} SET a = a + 1 WHERE b = 'z'", begun)
            client.commit(begun)
        except flight.FlightError as error:
            if "try again" not in str(error):
                raise
            count(client)

    def work() -> None:
        client = connect_sql(server)
        for _ in range(5):
            count(client)

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work) for _ in range(3)]:
            done.result()
    assert sql.rows(f"SELECT a FROM {table} WHERE b = 'z'") == [{"a": 3 + 15}]
