"""SQL that writes and transactions by the Python client, and the documents' example of them."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import AlreadyExists, Conflict, InvalidRequest, NotFound
from flight_server.testing.server import LocalServer

LEAVE_SECONDS_MAX = 15
PAGE = Path(__file__).parents[2] / "docs" / "flight.md"


@pytest.fixture
def ours(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as client:
        yield client


@pytest.fixture
def other(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as client:
        yield client


@pytest.fixture
def table(ours: Client, name: str) -> str:
    ours.execute(f"create table {name} as select 1 as x")
    return name


def values(client: Client, table: str) -> list[int]:
    return [row["x"] for row in client.sql(f"from {table} order by x").to_pylist()]


def test_a_statement_says_what_it_has_done(ours: Client, name: str) -> None:
    made = ours.execute(f"create table {name} (x integer)")
    assert (made.kind, made.rows or 0) == ("create_table", 0)
    put = ours.execute(f"insert into {name} values (?), (?)", [1, 2])
    assert (put.kind, put.rows) == ("insert", 2)
    assert put.commit is not None
    assert ours.versions(name)[0].snapshot == put.commit
    assert values(ours, name) == [1, 2]
    with pytest.raises(AlreadyExists):
        ours.execute(f"create table {name} (x integer)")


def test_reads_and_writes_have_ways_of_their_own(ours: Client, table: str) -> None:
    with pytest.raises(InvalidRequest):
        ours.execute(f"from {table}")
    for read in (ours.sql, ours.plan):
        with pytest.raises(InvalidRequest) as refused:
            read(f"delete from {table}")
        assert refused.value.details["statement"] == "delete"
    assert values(ours, table) == [1]


def test_a_transaction_is_one_commit(ours: Client, other: Client, table: str) -> None:
    before = len(ours.versions(table))
    with ours.transaction():
        ours.execute(f"insert into {table} values (2)")
        ours.execute(f"insert into {table} values (3)")
        assert values(ours, table) == [1, 2, 3]
        # Another client of the same process is another session.
        assert values(other, table) == [1]
    assert values(other, table) == [1, 2, 3]
    assert len(ours.versions(table)) == before + 1


def test_an_exception_undoes_it(ours: Client, table: str) -> None:
    with pytest.raises(NotFound), ours.transaction():
        delete_and_fail(ours, table)
    assert values(ours, table) == [1]
    # The client is out of the transaction: what it does now stands by itself.
    assert ours.execute(f"insert into {table} values (2)").commit is not None


def delete_and_fail(client: Client, table: str) -> None:
    client.execute(f"delete from {table}")
    client.sql("from nowhere_at_all")


def test_a_result_that_is_half_read_does_not_hold_the_rollback(ours: Client, table: str) -> None:
    with pytest.raises(KeyError), ours.transaction():
        leave_in_the_middle(ours, table)
    assert ours.execute(f"insert into {table} values (2)").commit is not None


def leave_in_the_middle(client: Client, table: str) -> None:
    client.execute(f"delete from {table}")
    next(client.sql("select range as r from range(50_000_000)").batches())
    raise KeyError("enough")


def test_who_comes_second_is_told(ours: Client, other: Client, table: str) -> None:
    with pytest.raises(Conflict), ours.transaction():
        update_both(ours, other, table)
    assert values(ours, table) == [11]


def update_both(ours: Client, other: Client, table: str) -> None:
    ours.execute(f"update {table} set x = x + 100")
    other.execute(f"update {table} set x = x + 10")


def test_leaving_rolls_back(start_server: Callable[..., LocalServer]) -> None:
    server = start_server()
    with connect(server.url, server.key) as staying:
        staying.execute("create table t as select 1 as x")
        with connect(server.url, server.key) as client:
            client.execute("begin")
            client.execute("delete from t")
            assert held(server) == (1, 0)
        assert comes_true(lambda: held(server) == (0, 0))
        assert values(staying, "t") == [1]


# What the driver of a notebook holds in the middle of its work.
HOLD = """
import sys, time
from adbc_driver_flightsql import DatabaseOptions, dbapi

options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {sys.argv[2]}"}
connection = dbapi.connect(sys.argv[1], db_kwargs=options)
cursor = connection.cursor()
cursor.execute("DELETE FROM t")
cursor.execute("SELECT length(?) AS n", ("x" * 1_000_000,))
cursor.fetchall()
print("ready", flush=True)
time.sleep(1000)
"""


def test_what_a_killed_process_held_ends_within_seconds(
    start_server: Callable[..., LocalServer], connect_adbc: Callable[..., Any]
) -> None:
    # Idle things stay for minutes here, far longer than anything is waited for.
    server = start_server()
    assert server.services.settings.transaction_idle_seconds > 5 * LEAVE_SECONDS_MAX
    with connect_adbc(server, autocommit=True).cursor() as cursor:
        cursor.adbc_ingest("t", pa.table({"a": [1]}))
    command = [sys.executable, "-c", HOLD, server.url, server.key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            assert held(server) == (1, 1)
            assert server.door.state.statements.bound_bytes >= 1_000_000
        finally:
            process.kill()
    assert comes_true(lambda: held(server) == (0, 0))
    assert server.door.state.statements.bound_bytes == 0


def held(server: LocalServer) -> tuple[int, int]:
    """How many transactions and prepared statements the server holds for its clients."""
    state = server.door.state
    return state.sessions.open_transactions, len(state.statements)


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether it is so within the time that a client's leaving may take to be noticed."""
    until = time.monotonic() + LEAVE_SECONDS_MAX
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_the_example_of_the_documents_runs(ours: Client) -> None:
    section = PAGE.read_text("utf-8").partition("## SQL that writes")[2]
    block = re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert block is not None
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(block[1], {"client": ours})
    finally:
        ours.execute("drop table if exists stock")
    assert printed.getvalue() == "2\n[{'most': 6}]\n"
