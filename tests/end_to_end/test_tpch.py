"""All queries of TPC-H through ADBC give what DuckDB gives on the same data.

The data is made here, at a hundredth of the smallest official size, and ingested by ADBC. Averages
are doubles, and a sum of doubles depends on the order of its parts, so they may differ in their
last digits; everything else has to be the same to the last one, decimals among it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from duckdb_extensions import import_extension

from flight_server.testing.server import LocalServer
from tests.fix_adbc import open_adbc

SCALE = 0.01
QUERIES = range(1, 23)
TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
SCHEMA = "tpch"
ROWS_MIN = 80_000


@pytest.fixture(scope="module")
def peer() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the data in native tables."""
    import_extension("tpch")
    with duckdb.connect() as connection:
        connection.execute("LOAD tpch")
        connection.execute(f"CALL dbgen(sf = {SCALE})")
        yield connection


@pytest.fixture(scope="module")
def loaded(server: LocalServer, peer: duckdb.DuckDBPyConnection) -> Iterator[Any]:
    """A connection to a server that has the same tables, in a schema of their own."""
    options = {"adbc.connection.db_schema": SCHEMA}
    with open_adbc(server, autocommit=True) as admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        rows = sum(ingest(cursor, peer, table) for table in TABLES)
        assert rows > ROWS_MIN, "too little was loaded to say anything"
        with open_adbc(server, autocommit=True, conn_kwargs=options) as connection:
            yield connection
        cursor.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def ingest(cursor: Any, peer: duckdb.DuckDBPyConnection, name: str) -> int:
    """Copies a table: the rows that were acknowledged."""
    table = peer.sql(f"FROM {name}").to_arrow_table()
    count = cursor.adbc_ingest(name, table, mode="create", db_schema_name=SCHEMA)
    assert count == table.num_rows
    return int(count)


@pytest.mark.parametrize("number", QUERIES)
def test_a_query_answers_as_duckdb_does(
    number: int, loaded: Any, peer: duckdb.DuckDBPyConnection
) -> None:
    text = query(peer, number)
    expected = peer.sql(text).to_arrow_table()
    with loaded.cursor() as cursor:
        cursor.execute(text)
        found = cursor.fetch_arrow_table()
    assert types(found) == types(expected)
    assert_same(found, expected)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_comes_back_as_it_went(
    name: str, loaded: Any, peer: duckdb.DuckDBPyConnection
) -> None:
    expected = peer.sql(f"FROM {name} ORDER BY ALL").to_arrow_table()
    with loaded.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name} ORDER BY ALL")
        found = cursor.fetch_arrow_table()
    assert types(found) == types(expected)
    assert found.to_pylist() == expected.to_pylist()


def test_a_wrong_answer_is_noticed(peer: duckdb.DuckDBPyConnection) -> None:
    expected = peer.sql(query(peer, 1)).to_arrow_table()
    with pytest.raises(AssertionError):
        assert_same(expected.slice(1), expected)
    sums = expected.column_names.index("sum_qty")
    wrong = expected.set_column(sums, "sum_qty", pa.array([1] * expected.num_rows))
    with pytest.raises(AssertionError):
        assert_same(wrong, expected)


def query(peer: duckdb.DuckDBPyConnection, number: int) -> str:
    """The text of a query, as DuckDB's extension has it."""
    row = peer.execute("SELECT query FROM tpch_queries() WHERE query_nr = ?", [number]).fetchone()
    assert row is not None
    return str(row[0])


def types(table: pa.Table) -> list[tuple[str, str]]:
    """Names and types of the columns."""
    return [(field.name, str(field.type)) for field in table.schema]


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    """The same rows in the same order, and the same values; averages to nine digits."""
    assert found.num_rows == expected.num_rows
    for mine, their in zip(found.to_pylist(), expected.to_pylist(), strict=True):
        assert mine == {name: rounded(value) for name, value in their.items()}


def rounded(value: Any) -> Any:
    """What a value is compared with: floats as floats are, everything else as it is."""
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
