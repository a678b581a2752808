"""Prepared statements: their schemas, what is bound to them, who holds them and for how long."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer
from flight_server.wire import prepared
from tests.fix_client import refusal
from tests.fix_flight_sql import Prepared, SqlClient
from tests.fix_raw_flight import corrupt_offsets

DATA = pa.table({"a": [1, 2, 3, 4], "b": ["w", "x", "y", "z"]})
SECONDS_MAX = 20


@pytest.fixture
def table(sql: SqlClient, name: str) -> str:
    sql.ingest(DATA, name, "create")
    return name


def test_its_schemas_are_told(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"SELECT b FROM {table} WHERE a > ? AND b < ?")
    assert made.dataset == pa.schema({"b": pa.string()})
    assert not made.is_update
    assert made.parameters is not None
    assert len(made.parameters) == 2
    named = sql.prepare(f"SELECT b FROM {table} WHERE a > $least")
    assert named.parameters is not None
    assert named.parameters.names == ["least"]
    plain = sql.prepare(f"SELECT b FROM {table}")
    assert plain.parameters is not None
    assert len(plain.parameters) == 0


def test_a_write_has_no_dataset(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"UPDATE {table} SET b = ? WHERE a = ?")
    assert made.dataset is None
    assert made.is_update
    assert made.parameters is not None
    assert len(made.parameters) == 2
    assert len(made.schema()) == 0
    assert sql.query(f"SELECT b FROM {table}")["b"].to_pylist() == ["w", "x", "y", "z"]


def test_it_runs_again_and_sees_what_is_new(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"SELECT count(*) AS n FROM {table}")
    assert made.query().to_pylist() == made.query().to_pylist() == [{"n": 4}]
    sql.ingest(DATA, table, "append")
    assert made.query().to_pylist() == [{"n": 8}]
    assert made.schema() == made.dataset


def test_parameters_by_position_and_by_name(sql: SqlClient, table: str) -> None:
    placed = sql.prepare(f"SELECT b FROM {table} WHERE a > ? AND a < ? ORDER BY a")
    placed.bind(pa.table({"x": [1], "y": [4]}))
    assert placed.query()["b"].to_pylist() == ["x", "y"]
    named = sql.prepare(f"SELECT b FROM {table} WHERE a > $least AND a < $most ORDER BY a")
    named.bind(pa.table({"most": [3], "least": [0]}))
    assert named.query()["b"].to_pylist() == ["w", "x"]
    named.bind(pa.table({"$least": [3], "$most": [9]}))
    assert named.query()["b"].to_pylist() == ["z"]


def test_a_row_of_answers_for_each_row_of_parameters(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"SELECT a, b FROM {table} WHERE a = ?")
    made.bind(pa.table({"a": [3, 1, 9, 3]}))
    assert made.query()["b"].to_pylist() == ["y", "w", "y"]
    made.bind(pa.table({"a": pa.array([], pa.int64())}))
    assert made.query().num_rows == 0


@pytest.mark.parametrize(
    "value",
    [
        pa.scalar("'; DROP TABLE t; --"),
        pa.scalar(b"\x00\xff"),
        pa.scalar(Decimal("12345678901234567890.123456789"), pa.decimal128(38, 9)),
        pa.scalar(dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC), pa.timestamp("us", "UTC")),
        pa.scalar(2**63 - 1),
        pa.scalar([1, None, 3]),
        pa.scalar({"x": 1, "y": "z"}),
        pa.scalar(None, pa.int16()),
    ],
    ids=lambda value: str(value.type),
)
def test_values_are_bound_as_they_are(sql: SqlClient, value: pa.Scalar) -> None:
    made = sql.prepare("SELECT ? AS v")
    made.bind(pa.table({"v": pa.array([value.as_py()], value.type)}))
    assert made.query()["v"].to_pylist() == [value.as_py()]


def test_parameters_that_do_not_fit(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"SELECT b FROM {table} WHERE a = ?")
    assert refusal(made.query).code in ("invalid_sql", "invalid_request")
    made.bind(pa.table({"a": [1], "b": [2]}))
    found = refusal(made.query)
    assert found.code == "invalid_request"
    assert "Parameters of the statement: 1; columns bound to them: 2" in found.message
    made.bind(pa.table({"a": ["not a number"]}))
    assert refusal(made.query).code in ("invalid_sql", "invalid_data")
    made.bind(pa.table({"a": [2]}))
    assert made.query()["b"].to_pylist() == ["x"]


def test_updates_row_by_row(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"UPDATE {table} SET b = $1 WHERE a >= $2")
    assert made.update(pa.table({"b": ["p", "q"], "a": [1, 3]})) == 6
    found = sql.rows(f"SELECT b FROM {table} ORDER BY a")
    assert [row["b"] for row in found] == ["p", "p", "q", "q"]
    assert sql.prepare(f"DELETE FROM {table} WHERE a = 1").update() == 1


def test_an_update_takes_the_parameters_that_come_with_it(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"INSERT INTO {table} VALUES (?, 'new')")
    assert made.update(pa.table({"a": [5, 6]})) == 2
    # Drivers send a stream without columns where they have no parameters.
    found = refusal(made.update)
    assert found.code in ("invalid_sql", "invalid_request")
    made.bind(pa.table({"a": [7]}))
    assert refusal(made.update).code == found.code
    assert sql.count(table) == 6


def test_a_batch_of_updates_is_one_commit(sql: SqlClient, table: str) -> None:
    before = len(sql.client.action("list_versions", table=table)["versions"])
    made = sql.prepare(f"INSERT INTO {table} VALUES (?, ?)")
    rows = pa.table({"a": range(10, 20), "b": [str(n) for n in range(10)]})
    assert made.update(rows) == 10
    assert sql.count(table) == 14
    assert len(sql.client.action("list_versions", table=table)["versions"]) == before + 1


def test_a_batch_of_updates_is_all_or_nothing(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"INSERT INTO {table} VALUES (CAST(? AS INTEGER), 'new')")
    found = refusal(lambda: made.update(pa.table({"a": ["5", "6", "seven"]})))
    assert found.code in ("invalid_sql", "invalid_data")
    assert "seven" in found.message
    assert sql.count(table) == 4
    assert made.update(pa.table({"a": ["5", "6"]})) == 2


def test_a_write_may_be_run_by_its_info(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"DELETE FROM {table} WHERE a = ?")
    made.bind(pa.table({"a": [1, 2, 7]}))
    info = made.info()
    assert (info.total_records, info.endpoints) == (2, [])
    assert sql.count(table) == 2


def test_it_belongs_to_the_transaction_it_was_made_in(sql: SqlClient, table: str) -> None:
    begun = sql.begin()
    made = sql.prepare(f"DELETE FROM {table} WHERE a = ?", begun)
    assert made.update(pa.table({"a": [1]})) == 1
    counting = sql.prepare(f"SELECT count(*) AS n FROM {table}", begun)
    assert counting.query().to_pylist() == [{"n": 3}]
    sql.rollback(begun)
    assert sql.count(table) == 4
    assert refusal(counting.query).code == "transaction_not_found"


def test_it_is_its_makers(sql: SqlClient, stranger: SqlClient, other: SqlClient) -> None:
    made = sql.prepare("SELECT 1 AS one")

    def elsewhere(client: SqlClient) -> pa.Table:
        return client.get("CommandPreparedStatementQuery", prepared_statement_handle=made.handle)

    assert refusal(lambda: elsewhere(stranger)).code == "statement_not_found"
    assert elsewhere(other).to_pylist() == [{"one": 1}]
    fields = {"prepared_statement_handle": made.handle}
    stranger.act("ClosePreparedStatement", "ActionClosePreparedStatementRequest", **fields)
    assert made.query().num_rows == 1


def test_a_closed_one_is_gone(sql: SqlClient) -> None:
    made = sql.prepare("SELECT ? AS one")
    made.close()
    assert refusal(made.query).code == "statement_not_found"
    assert refusal(lambda: made.bind(pa.table({"one": [1]}))).code == "statement_not_found"
    assert refusal(made.update).code == "statement_not_found"
    with pytest.raises(KeyError, match="no such prepared statement"):
        made.schema()
    made.close()


@pytest.fixture
def alone(swept_often: None, start_server: Callable[..., LocalServer]) -> LocalServer:
    """A server that nobody else uses, on which idle things stay for long."""
    return start_server()


@pytest.mark.parametrize("leave", [SqlClient.close_session, SqlClient.close])
def test_they_end_with_their_session(
    alone: LocalServer, connect_sql: Callable[..., SqlClient], leave: Callable[[SqlClient], None]
) -> None:
    leaving, staying = connect_sql(alone), connect_sql(alone)
    kept = staying.prepare("SELECT 1 AS one")
    made = leaving.prepare("SELECT length(?) AS n")
    made.bind(pa.table({"v": ["x" * 2**20]}))
    statements = alone.door.state.statements
    assert len(statements) == 2
    assert statements.bound_bytes >= 2**20
    leave(leaving)
    until = time.monotonic() + SECONDS_MAX
    while len(statements) > 1 and time.monotonic() < until:
        time.sleep(0.02)
    assert (len(statements), statements.bound_bytes) == (1, 0)
    assert kept.query().to_pylist() == [{"one": 1}]


def test_a_session_has_so_many(
    monkeypatch: pytest.MonkeyPatch, alone: LocalServer, connect_sql: Callable[..., SqlClient]
) -> None:
    monkeypatch.setattr(prepared, "SESSION_STATEMENTS_MAX", 2)
    sql, other = connect_sql(alone), connect_sql(alone)
    first, _ = sql.prepare("SELECT 1 AS one"), sql.prepare("SELECT 2 AS two")
    found = refusal(lambda: sql.prepare("SELECT 3 AS three"))
    assert found.code == "limit_exceeded"
    assert "holds 2 prepared statements" in found.message
    assert other.prepare("SELECT 3 AS three").query().num_rows == 1
    first.close()
    assert sql.prepare("SELECT 3 AS three").query().num_rows == 1


@pytest.mark.parametrize("limit", ["SESSION_BOUND_BYTES_MAX", "BOUND_BYTES_MAX"])
def test_what_is_bound_has_a_bound(
    monkeypatch: pytest.MonkeyPatch,
    alone: LocalServer,
    connect_sql: Callable[..., SqlClient],
    limit: str,
) -> None:
    monkeypatch.setattr(prepared, limit, 5000)
    sql, other = connect_sql(alone), connect_sql(alone)
    rows, more = pa.table({"v": ["x" * 3000]}), pa.table({"v": ["x" * 4000]})
    first, second = sql.prepare("SELECT length(?) AS n"), sql.prepare("SELECT length(?) AS n")
    first.bind(rows)
    found = refusal(lambda: second.bind(rows))
    assert found.code == "too_large"
    assert "may hold 5000" in found.message
    # In the place of what was bound before there is room.
    first.bind(more)
    assert first.query().to_pylist() == [{"n": 4000}]
    theirs = other.prepare("SELECT length(?) AS n")
    if limit == "BOUND_BYTES_MAX":
        assert refusal(lambda: theirs.bind(rows)).code == "too_large"
        first.close()
    theirs.bind(rows)
    assert theirs.query().to_pylist() == [{"n": 3000}]


def test_an_idle_one_expires(
    start_server: Callable[..., LocalServer], connect_sql: Callable[..., SqlClient]
) -> None:
    # The sweeper looks around as often as idle transactions ask it to.
    server = start_server(statement_idle_seconds=0.05, transaction_idle_seconds=0.2)
    client = connect_sql(server)
    made = client.prepare("SELECT 1 AS one")
    until = time.monotonic() + SECONDS_MAX
    for _ in iter(
        lambda: len(server.door.state.statements) > 0 and time.monotonic() < until, False
    ):
        time.sleep(0.02)
    assert refusal(made.query).code == "statement_not_found"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELEKT ?", "invalid_sql"),
        ("SELECT * FROM no_such", "table_not_found"),
        ("SELECT 1; SELECT 2", "invalid_sql"),
        ("SELECT * FROM read_csv(?)", "forbidden"),
    ],
)
def test_mistakes_are_found_while_preparing(
    server: LocalServer, sql: SqlClient, text: str, code: str
) -> None:
    assert refusal(lambda: sql.prepare(text)).code == code


def test_a_failed_one_leaves_nothing(server: LocalServer, sql: SqlClient) -> None:
    before = len(server.door.state.statements)
    refusal(lambda: sql.prepare("SELECT * FROM no_such"))
    assert len(server.door.state.statements) == before


def test_a_schema_that_hangs_on_parameters(sql: SqlClient) -> None:
    made: Prepared = sql.prepare("SELECT ? AS v")
    made.bind(pa.table({"v": [dt.date(2026, 1, 1)]}))
    assert made.schema() == pa.schema({"v": pa.date32()})
    made.bind(pa.table({"v": ["text"]}))
    assert made.schema() == pa.schema({"v": pa.string()})


def test_it_follows_its_session(sql: SqlClient, table: str) -> None:
    """A plan that was good a moment ago is not, once the session has changed."""
    made = sql.prepare(f"SELECT count(*) AS n FROM {table}")
    assert made.query().to_pylist() == [{"n": 4}]
    sql.execute("BEGIN")
    sql.execute(f"DELETE FROM {table} WHERE a = 1")
    assert made.query().to_pylist() == [{"n": 3}]
    sql.execute("ROLLBACK")
    assert made.query().to_pylist() == [{"n": 4}]
    moment = dt.datetime.now(dt.UTC).isoformat()
    sql.update(f"DELETE FROM {table}")
    assert made.query().to_pylist() == [{"n": 0}]
    sql.set_options(as_of=moment)
    assert made.query().to_pylist() == [{"n": 4}]
    sql.set_options(as_of=None)
    assert made.query().to_pylist() == [{"n": 0}]
    sql.update(f"CREATE TEMP TABLE {table} AS SELECT 1 AS one")
    assert made.query().to_pylist() == [{"n": 1}]


def test_corrupt_parameters_are_refused(sql: SqlClient) -> None:
    good = pa.record_batch({"v": ["abc", "def"]})
    made = sql.prepare("SELECT ? AS v")
    bad = pa.Table.from_batches([good, corrupt_offsets(good)])
    assert refusal(lambda: made.bind(bad)).code == "invalid_data"
    made.bind(pa.table({"v": ["abc"]}))
    assert made.query()["v"].to_pylist() == ["abc"]


def test_parameters_that_no_ticket_carries(sql: SqlClient) -> None:
    made = sql.prepare("SELECT length(?) AS n")
    made.bind(pa.table({"v": ["x" * 17 * 2**20]}))
    found = refusal(made.info)
    assert found.code == "too_large"
    assert "temporary table" in found.message


def test_an_answer_may_be_fetched_again(sql: SqlClient, table: str) -> None:
    made = sql.prepare(f"SELECT b FROM {table} WHERE a = ?")
    made.bind(pa.table({"a": [2]}))
    info = made.info()
    made.bind(pa.table({"a": [3]}))
    # A ticket has its parameters with it.
    assert sql.fetch(info).to_pylist() == sql.fetch(info).to_pylist() == [{"b": "x"}]
    assert made.query().to_pylist() == [{"b": "y"}]
