"""The ADBC Flight SQL driver does its everyday work, as Python's database API has it."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi

from flight_server.testing.server import LocalServer

CITIES = pa.table({"id": [1, 2, 3], "city": ["Wien", "Zürich", None]})
# A join that DuckDB would need hours for, and whose first row comes after all of them.
ENDLESS = "SELECT sum(a.range * b.range % 7) AS n FROM range(10000000) a, range(10000000) b"
WAIT_SECONDS_MAX = 20


def rows_of(connection: Any, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """All rows of a SELECT."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def run(connection: Any, sql: str, parameters: Any = None) -> int:
    """Runs a statement that writes: the rows it counts."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def ingest(connection: Any, table: str, data: Any = CITIES, **options: Any) -> int:
    """A bulk ingest: the rows that were acknowledged."""
    with connection.cursor() as cursor:
        return int(cursor.adbc_ingest(table, data, **options))


@pytest.fixture
def cities(adbc: Any, name: str) -> str:
    """A table of three cities."""
    assert ingest(adbc, name) == 3
    return name


def test_a_query_answers_names_types_and_rows(adbc: Any, cities: str) -> None:
    with adbc.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {cities} ORDER BY id")
        assert [column[0] for column in cursor.description] == ["id", "city"]
        assert [cursor.fetchone(), cursor.fetchmany(1), cursor.fetchall(), cursor.fetchone()] == [
            (1, "Wien"),
            [(2, "Zürich")],
            [(3, None)],
            None,
        ]
        cursor.execute(f"FROM {cities} ORDER BY id")
        assert cursor.fetch_arrow_table().equals(CITIES)


def test_a_large_answer_is_read_batch_by_batch(adbc: Any) -> None:
    with adbc.cursor() as cursor:
        cursor.execute("SELECT range AS n, range::VARCHAR AS text FROM range(1000000)")
        batches = list(cursor.fetch_record_batch())
    assert sum(batch.num_rows for batch in batches) == 1_000_000
    # Batches of what DuckDB works with, 2,048 rows, would cost many times as much.
    assert len(batches) < 1_000_000 / 10_000


def test_an_empty_answer_has_its_schema(adbc: Any, cities: str) -> None:
    with adbc.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {cities} WHERE id > 9")
        found = cursor.fetch_arrow_table()
    assert (found.schema, found.num_rows) == (CITIES.schema, 0)


def test_columns_of_one_name_keep_it(adbc: Any, cities: str) -> None:
    both = f"{cities} a JOIN {cities} b ON a.id = b.id"
    sql = f"SELECT a.*, b.*, ? AS id, 1 AS x_1 FROM {both} WHERE a.id = ?"
    with adbc.cursor() as cursor:
        cursor.execute(sql, (7, 1))
        found = cursor.fetch_arrow_table()
    assert found.schema.names == ["id", "city", "id", "city", "id", "x_1"]
    assert [column.to_pylist() for column in found.columns] == [
        [1], ["Wien"], [1], ["Wien"], [7], [1]
    ]  # fmt: skip


def test_the_schema_is_known_without_running(adbc: Any) -> None:
    with adbc.cursor() as cursor:
        assert cursor.adbc_execute_schema(ENDLESS).names == ["n"]


@pytest.mark.parametrize(
    "value",
    [
        7, -(2**63), 2.5, True, "O'Hare; DROP TABLE x", b"\x00\xff", None, Decimal("12.50"),
        dt.date(2024, 2, 29), dt.datetime(2024, 1, 1, 12, 0, 0, 123456), dt.time(23, 59, 59, 1),
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC), [1, 2],
        {"a": 1, "b": "x"},
    ],
    ids=repr,
)  # fmt: skip
def test_a_parameter_comes_back_as_it_went(adbc: Any, value: Any) -> None:
    [(found,)] = rows_of(adbc, "SELECT ? AS value", (value,))
    assert found == value
    assert type(found) is type(value)


def test_a_duration_is_an_interval(adbc: Any) -> None:
    moment, took = dt.datetime(2024, 1, 1), dt.timedelta(days=1, microseconds=1)
    assert rows_of(adbc, "SELECT ? + ? AS value", (moment, took)) == [(moment + took,)]


def test_parameters_are_values_in_any_place(adbc: Any, cities: str) -> None:
    sql = f"SELECT city FROM {cities} WHERE id BETWEEN ? AND ? AND city LIKE ?"
    assert rows_of(adbc, sql, (1, 2, "Z%")) == [("Zürich",)]
    assert rows_of(adbc, "SELECT $2, $1, $2", ("a", "b")) == [("b", "a", "b")]


def test_a_statement_is_run_again_with_other_parameters(adbc: Any, cities: str) -> None:
    with adbc.cursor() as cursor:
        for number, city in ((1, "Wien"), (9, None), (2, "Zürich")):
            cursor.execute(f"SELECT city FROM {cities} WHERE id = ?", (number,))
            assert cursor.fetchone() == ((city,) if city else None)


def test_writes_answer_how_many_rows_they_changed(adbc: Any, name: str) -> None:
    run(adbc, f"CREATE TABLE {name} (id BIGINT, city VARCHAR)")
    assert run(adbc, f"INSERT INTO {name} VALUES (1, 'Wien'), (2, 'Graz')") == 2
    assert run(adbc, f"INSERT INTO {name} VALUES (?, ?)", (3, "Linz")) == 1
    assert run(adbc, f"UPDATE {name} SET city = upper(city) WHERE id < ?", (3,)) == 2
    assert run(adbc, f"DELETE FROM {name} WHERE city = 'Linz'") == 1
    assert rows_of(adbc, f"SELECT * FROM {name} ORDER BY id") == [(1, "WIEN"), (2, "GRAZ")]
    run(adbc, f"ALTER TABLE {name} ADD COLUMN people INTEGER")
    run(adbc, f"DROP TABLE {name}")
    with pytest.raises(dbapi.ProgrammingError, match=name):
        rows_of(adbc, f"SELECT * FROM {name}")


def test_many_rows_of_parameters_are_one_statement(adbc: Any, cities: str) -> None:
    rows = [(number, f"city {number}") for number in range(10, 110)]
    with adbc.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {cities} VALUES (?, ?)", rows)
        assert cursor.rowcount == 100
    assert rows_of(adbc, f"SELECT * FROM {cities} WHERE id >= 10 ORDER BY id") == rows


def test_a_batch_that_fails_in_its_middle_changes_nothing(adbc: Any, cities: str) -> None:
    with adbc.cursor() as cursor, pytest.raises(dbapi.Error):
        cursor.executemany(
            f"INSERT INTO {cities} VALUES (?::BIGINT, 'x')", [("10",), ("eleven",), ("12",)]
        )
    assert rows_of(adbc, f"SELECT count(*) FROM {cities}") == [(3,)]


def test_a_transaction_is_seen_by_others_once_it_is_committed(
    adbc: Any, transactional: Any, cities: str
) -> None:
    count = f"SELECT count(*) FROM {cities}"
    assert run(transactional, f"INSERT INTO {cities} VALUES (4, 'Bern')") == 1
    assert ingest(transactional, cities, CITIES, mode="append") == 3
    assert rows_of(transactional, count) == [(7,)], "a transaction sees its own writes"
    assert rows_of(adbc, count) == [(3,)]
    transactional.commit()
    assert rows_of(adbc, count) == [(7,)]


def test_what_is_rolled_back_never_was(adbc: Any, transactional: Any, cities: str) -> None:
    run(transactional, f"DELETE FROM {cities}")
    run(transactional, f"CREATE TABLE {cities}_more AS FROM {cities}")
    assert rows_of(transactional, f"SELECT count(*) FROM {cities}") == [(0,)]
    transactional.rollback()
    assert rows_of(adbc, f"SELECT count(*) FROM {cities}") == [(3,)]
    with pytest.raises(dbapi.ProgrammingError):
        rows_of(transactional, f"FROM {cities}_more")


def test_a_transaction_that_is_not_committed_ends_with_its_connection(
    start_server: Callable[..., LocalServer], connect_adbc: Callable[..., Any], name: str
) -> None:
    server = start_server()
    leaving, staying = connect_adbc(server), connect_adbc(server, autocommit=True)
    ingest(staying, name)
    run(leaving, f"DELETE FROM {name}")
    assert server.door.state.sessions.open_transactions == 1
    leaving.close()
    assert server.door.state.sessions.open_transactions == 0
    assert rows_of(staying, f"SELECT count(*) FROM {name}") == [(3,)]


def test_the_second_of_two_that_change_one_row_is_told_so(
    server: LocalServer, transactional: Any, connect_adbc: Callable[..., Any], cities: str
) -> None:
    other = connect_adbc(server)
    change = f"UPDATE {cities} SET city = 'Rom' WHERE id = 1"
    run(transactional, change)
    run(other, change)
    transactional.commit()
    with pytest.raises(dbapi.OperationalError, match="collided with another commit") as caught:
        other.commit()
    assert b"CONFLICT" in caught.value.details[0][1]
    # The driver has no way on from a commit that failed but a new connection.
    again = connect_adbc(server)
    assert run(again, change) == 1
    again.commit()


def test_a_transaction_that_was_idle_is_rolled_back_and_the_connection_goes_on(
    start_server: Callable[..., LocalServer], connect_adbc: Callable[..., Any], name: str
) -> None:
    server = start_server(transaction_idle_seconds=0.2)
    connection = connect_adbc(server)
    run(connection, f"CREATE TABLE {name} (a INT)")
    wait_for(lambda: server.door.state.sessions.open_transactions == 0)
    with pytest.raises(dbapi.ProgrammingError, match=r"nobody used it for 0\.2 seconds"):
        run(connection, f"INSERT INTO {name} VALUES (1)")
    connection.rollback()
    run(connection, f"CREATE TABLE {name} (a INT)")
    connection.commit()


def test_ingest_creates_appends_and_replaces(adbc: Any, name: str) -> None:
    with pytest.raises(dbapi.ProgrammingError, match=name):
        ingest(adbc, name, mode="append")
    assert ingest(adbc, name, mode="create") == 3
    with pytest.raises(dbapi.OperationalError, match="exists already") as caught:
        ingest(adbc, name, mode="create")
    assert b"ALREADY_EXISTS" in caught.value.details[0][1]
    assert ingest(adbc, name, mode="append") == 3
    assert ingest(adbc, name, mode="create_append") == 3
    assert rows_of(adbc, f"SELECT count(*) FROM {name}") == [(9,)]
    assert ingest(adbc, name, pa.table({"other": [1.5]}), mode="replace") == 1
    assert rows_of(adbc, f"FROM {name}") == [(1.5,)]
    assert ingest(adbc, f"{name}_new", mode="create_append") == 3


def test_ingest_takes_batches_readers_and_streams(adbc: Any, name: str) -> None:
    batches = CITIES.to_batches()
    assert ingest(adbc, name, batches[0]) == 3
    reader = pa.RecordBatchReader.from_batches(CITIES.schema, iter(batches * 3))
    assert ingest(adbc, name, reader, mode="append") == 9
    assert rows_of(adbc, f"SELECT count(*) FROM {name}") == [(12,)]


@pytest.mark.xfail(
    raises=dbapi.OperationalError,
    reason="the driver sends nothing at all, not even the schema, where there is no batch",
)
def test_ingest_takes_a_stream_without_batches(adbc: Any, name: str) -> None:
    assert ingest(adbc, name, CITIES.schema.empty_table()) == 0


def test_ingest_names_catalog_and_schema(adbc: Any, name: str) -> None:
    run(adbc, f"CREATE SCHEMA {name}")
    assert ingest(adbc, "cities", catalog_name="lake", db_schema_name=name) == 3
    assert rows_of(adbc, f"SELECT count(*) FROM lake.{name}.cities") == [(3,)]
    with pytest.raises(dbapi.ProgrammingError, match="no_such"):
        ingest(adbc, "cities", catalog_name="no_such")


def test_a_temporary_table_is_its_connections_own(
    server: LocalServer, adbc: Any, connect_adbc: Callable[..., Any], name: str
) -> None:
    assert ingest(adbc, name, temporary=True) == 3
    assert rows_of(adbc, f"SELECT count(*) FROM {name}") == [(3,)]
    other = connect_adbc(server, autocommit=True)
    with pytest.raises(dbapi.ProgrammingError, match=name):
        rows_of(other, f"SELECT count(*) FROM {name}")


def test_catalog_and_schema_of_a_connection_can_be_set(adbc: Any, name: str) -> None:
    assert (adbc.adbc_current_catalog, adbc.adbc_current_db_schema) == ("lake", "main")
    run(adbc, f"CREATE SCHEMA {name}")
    ingest(adbc, "cities", db_schema_name=name)
    adbc.adbc_current_db_schema = name
    assert adbc.adbc_current_db_schema == name
    assert rows_of(adbc, "SELECT count(*) FROM cities") == [(3,)]


def test_a_running_query_can_be_cancelled(
    start_server: Callable[..., LocalServer], connect_adbc: Callable[..., Any]
) -> None:
    server = start_server(queries_max=1, query_wait_seconds=0.2)
    connection = connect_adbc(server, autocommit=True)
    with connection.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: (cursor.execute(ENDLESS), cursor.fetchall()))
        wait_for(lambda: not server.door.calls.wait(0))
        while not running.done():
            cursor.adbc_cancel()
            time.sleep(0.05)
        with pytest.raises(dbapi.OperationalError, match=r"(?i)cancel"):
            running.result(WAIT_SECONDS_MAX)
    assert server.door.calls.wait(WAIT_SECONDS_MAX)
    assert rows_of(connection, "SELECT 1") == [(1,)]


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until something is so."""
    until = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < until, "it never came to be so"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("sql", "kind", "said"),
    [
        ("SELEC 1", dbapi.ProgrammingError, "(?i)syntax"),
        ("SELECT * FROM no_such_table", dbapi.ProgrammingError, "no_such_table"),
        ("SELECT nothing FROM range(3)", dbapi.ProgrammingError, "nothing"),
        ("SELECT 'x'::INTEGER", dbapi.Error, "(?i)convert|cast"),
        ("SELECT * FROM read_csv('/etc/passwd')", dbapi.Error, "read_csv"),
        ("DROP TABLE no_such_table", dbapi.ProgrammingError, "no_such_table"),
    ],
)
def test_a_mistake_has_its_class_and_its_reason(
    adbc: Any, sql: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        rows_of(adbc, sql)
    assert "Traceback" not in str(caught.value)
    assert "internal error" not in str(caught.value)


def test_a_wrong_key_is_refused(server: LocalServer, connect_adbc: Callable[..., Any]) -> None:
    with pytest.raises(dbapi.ProgrammingError, match="UNAUTHENTICATED"):
        rows_of(connect_adbc(server, "wrong", autocommit=True), "SELECT 1")


def test_a_user_and_a_password_are_a_key_as_well(
    server: LocalServer, connect_adbc: Callable[..., Any]
) -> None:
    options = {"username": "anybody", "password": server.key}
    connection = connect_adbc(server, None, autocommit=True, db_kwargs=options)
    assert rows_of(connection, "SELECT 1") == [(1,)]


def test_connections_of_many_threads_do_not_meet(
    server: LocalServer, connect_adbc: Callable[..., Any], cities: str
) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> int:
        connection = connect_adbc(server, autocommit=True)
        barrier.wait(WAIT_SECONDS_MAX)
        for step in range(5):
            run(connection, f"INSERT INTO {cities} VALUES ({number * 100 + step}, 'x')")
        return int(
            rows_of(connection, f"SELECT count(*) FROM {cities} WHERE id // 100 = {number}")[0][0]
        )

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(1, 5))) == [5] * 4


@pytest.mark.parametrize("user", ["a", "me", "any"])
def test_a_user_and_a_password(
    server: LocalServer, connect_adbc: Callable[..., Any], user: str
) -> None:
    """Any name with the key as the password; the session goes by the token that comes for it."""
    who = {"username": user, "password": server.key}
    connection = connect_adbc(server, None, db_kwargs=who, autocommit=True)
    run(connection, "CREATE TEMP TABLE mine AS SELECT 1 AS a")
    assert rows_of(connection, "FROM mine") == [(1,)]
