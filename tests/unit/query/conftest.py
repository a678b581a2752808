"""A lake with a few tables, plain DuckDB and DuckLake, for the tests of the query room."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from duckdb_extensions import import_extension

DATA = Path(__file__).parents[2] / "data"

SETUP = """
CREATE SCHEMA sales;
CREATE SCHEMA "sub/name space";
CREATE TABLE trades (
    id INTEGER, symbol VARCHAR, venue VARCHAR, price DOUBLE, ts TIMESTAMP, tags VARCHAR[],
    details STRUCT(size INTEGER, note VARCHAR)
);
INSERT INTO trades VALUES
    (1, 'A', 'x', 10.5, '2024-01-01 10:00:00', ['p', 'q'], {'size': 1, 'note': 'n'}),
    (2, 'A', 'y', 11, '2024-01-01 10:01:00', ['p'], {'size': 2, 'note': NULL}),
    (3, 'B', 'x', 9, '2024-01-01 10:02:00', [], {'size': 3, 'note': ''}),
    (4, 'B', 'x', NULL, '2024-01-01 10:05:00', NULL, NULL),
    (5, 'C', 'y', 30.25, '2024-01-01 10:06:00', ['r', 's', 't'], {'size': 5, 'note': 'z'});
CREATE TABLE quotes AS FROM (VALUES
    ('A', TIMESTAMP '2024-01-01 09:59:00', 10),
    ('A', TIMESTAMP '2024-01-01 10:00:30', 11),
    ('B', TIMESTAMP '2024-01-01 10:01:59', 8)
) q(symbol, ts, bid);
CREATE TABLE sales.daily AS FROM (VALUES
    (DATE '2024-01-01', 10), (DATE '2024-01-02', 20), (DATE '2024-01-03', 30)
) d(day, total);
CREATE TABLE wide AS FROM (VALUES ('ann', 1, 2, 3), ('bob', 4, NULL, 6)) w(name, jan, feb, mar);
CREATE TABLE odd ("order" INTEGER, "select" INTEGER, "Mixed Case" INTEGER, "quo""te" INTEGER);
INSERT INTO odd VALUES (1, 2, 3, 4);
CREATE TABLE "sub/name space"."tab.le" AS SELECT 7 AS n;
CREATE TABLE files AS SELECT 'a.png' AS filename;
"""


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose default catalog is a DuckLake with the tables of SETUP."""
    folder = tmp_path_factory.mktemp("lake")
    import_extension("ducklake")
    with duckdb.connect(":memory:") as connection:
        connection.execute("LOAD ducklake")
        connection.execute(
            f"ATTACH 'ducklake:{folder}/catalog.ducklake' AS lake (DATA_PATH '{folder}/files')"
        )
        connection.execute("USE lake.main")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(SETUP)
        yield connection


@pytest.fixture(scope="session")
def version(lake: duckdb.DuckDBPyConnection) -> int:
    """The newest snapshot, in which all tables are there."""
    row = lake.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')").fetchone()
    assert row is not None
    return int(row[0])


def queries() -> list[str]:
    """The statements of queries.sql, one a paragraph."""
    text = (DATA / "queries.sql").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("-- ")]
    return [part.strip() for part in re.split(r"\n\s*\n", "\n".join(lines)) if part.strip()]


def attacks() -> dict[str, Any]:
    """The groups of attacks.toml: `attack` and `innocent`."""
    return tomllib.loads((DATA / "attacks.toml").read_text("utf-8"))
