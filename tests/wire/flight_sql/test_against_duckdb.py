"""Statements that write, here and in plain DuckDB: the same counts, and the same rows after."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing

import duckdb
import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.testing.server import LocalServer
from tests.fix_client import Client
from tests.fix_flight_sql import ALONE, SqlClient
from tests.wire.flight_sql.written import SEQUENCES, SETUP, lines, statements

TABLES = ("t", "s", '"Mixed Case"', "u", "v")


@pytest.fixture
def plain() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for line in lines(SETUP):
            connection.execute(line)
        yield connection


@pytest.fixture(scope="module")
def kept(server: LocalServer) -> Iterator[str]:
    """A namespace of committed tables; tests of a module may come with others between them."""
    namespace = f"kept_{uuid.uuid4().hex[:8]}"
    with closing(Client(server.url, server.key, generic_options=ALONE)) as client:
        made(SqlClient(client), namespace)
        yield namespace


def made(sql: SqlClient, namespace: str) -> None:
    """Makes the tables in a namespace, which the session uses from then on."""
    for line in (
        f"CREATE SCHEMA {namespace}",
        f"USE {namespace}",
        "BEGIN",
        *lines(SETUP),
        "COMMIT",
    ):
        sql.update(line)


@pytest.mark.parametrize("text", statements())
def test_a_statement_does_what_duckdb_does(
    sql: SqlClient, plain: duckdb.DuckDBPyConnection, kept: str, text: str
) -> None:
    sql.update(f"USE {kept}")
    sql.update("BEGIN")
    check(sql, plain, (text,))
    sql.update("ROLLBACK")


@pytest.mark.parametrize("texts", SEQUENCES)
def test_statements_do_what_duckdb_does(
    sql: SqlClient, plain: duckdb.DuckDBPyConnection, name: str, texts: tuple[str, ...]
) -> None:
    made(sql, name)
    check(sql, plain, texts)


def test_a_row_that_is_matched_twice_is_updated_and_counted_once(sql: SqlClient, kept: str) -> None:
    sql.update(f"USE {kept}")
    sql.update("BEGIN")
    assert sql.update("UPDATE t SET a = 'hit' FROM s WHERE t.id = s.id") == 2
    assert sql.rows("SELECT id FROM t WHERE a = 'hit' ORDER BY id") == [{"id": 1}, {"id": 2}]
    sql.update("ROLLBACK")


def check(sql: SqlClient, plain: duckdb.DuckDBPyConnection, texts: tuple[str, ...]) -> None:
    """Runs statements on both sides, and compares all that is there afterwards."""
    for text in texts:
        wanted = counted(plain, text)
        done = sql.update(text)
        if wanted is not None:
            assert done == wanted, text
    for table in TABLES:
        try:
            rows = plain.execute(f"SELECT * FROM {table}").to_arrow_table()
        except duckdb.CatalogException:
            with pytest.raises(flight.FlightError, match="There is no table"):
                sql.query(f"FROM {table}")
            continue
        assert shown(sql.query(f"SELECT * FROM {table}")) == shown(rows), table


def counted(plain: duckdb.DuckDBPyConnection, text: str) -> int | None:
    """Runs a statement: how many rows it changed, None where it is not about rows."""
    answer = plain.execute(text)
    if [column[0] for column in answer.description] != ["Count"]:
        return None
    row = answer.fetchone()
    return None if row is None else int(row[0])


def shown(table: pa.Table) -> tuple[list[str], list[str]]:
    """The columns, and the rows in an order of their own."""
    return table.column_names, sorted(str(list(row.values())) for row in table.to_pylist())
