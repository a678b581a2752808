"""What a query means does not change when it is parsed, checked, rewritten and written out."""

import math
from typing import Any

import duckdb
import pytest

from flight_server.model import TableRef
from flight_server.query import Source, TableUse, parse, rewrite

from .conftest import queries

ALL = queries()
DESCRIBED = ("DESCRIBE SELECT id, price FROM trades", "SHOW trades")


def whole(use: TableUse) -> Source:
    return Source(use.table, version=use.version)


@pytest.mark.parametrize("sql", ALL)
def test_a_rewritten_query_answers_as_the_original(
    lake: duckdb.DuckDBPyConnection, version: int, sql: str
) -> None:
    sql = sql.replace("{version}", str(version)).replace("{moment}", "2100-01-01")
    expected = answer(lake, sql)

    def source(use: TableUse) -> Source:
        return Source(use.table, version=version if use.as_of else use.version)

    assert answer(lake, rewrite(parse(sql), source)) == expected


@pytest.mark.parametrize("sql", ALL)
def test_tables_shown_by_all_their_columns_answer_the_same(
    lake: duckdb.DuckDBPyConnection, version: int, sql: str
) -> None:
    sql = sql.replace("{version}", str(version)).replace("{moment}", "2100-01-01")

    def narrowed(use: TableUse) -> Source:
        at = version if use.as_of else use.version
        return Source(use.table, columns_of(lake, use.table), "1 = 1", at)

    expected = answer(lake, sql)
    if sql in DESCRIBED:
        # DuckDB tells of the default of a column, and of what is computed from one it has none.
        expected = [(*row[:4], None, *row[5:]) for row in expected]
    assert answer(lake, rewrite(parse(sql), narrowed)) == expected


def test_enough_queries_are_compared() -> None:
    assert len(ALL) >= 150


def columns_of(lake: duckdb.DuckDBPyConnection, table: TableRef) -> tuple[str, ...]:
    return tuple(name for name, *_ in lake.execute(f"DESCRIBE {table.sql}").fetchall())


def answer(lake: duckdb.DuckDBPyConnection, sql: str) -> list[Any]:
    lake.execute("SELECT setseed(0.5)")
    return [tuple(comparable(value) for value in row) for row in lake.execute(sql).fetchall()]


def comparable(value: Any) -> Any:
    return "nan" if isinstance(value, float) and math.isnan(value) else value
