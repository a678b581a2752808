"""Which SELECTs are scans, and that a scan reads what the SELECT does."""

from typing import Any

import duckdb
import pytest

from flight_server.model import TableRef
from flight_server.query import (
    ScanShape,
    TableUse,
    check_order_by,
    check_predicate,
    parse,
    simple_scan,
)

T = TableUse(TableRef.of("trades"), bare=True)

SCANS: list[tuple[str, dict[str, Any]]] = [
    ("SELECT * FROM trades", {}),
    ("FROM trades", {}),
    ("TABLE trades", {}),
    ("SELECT t.* FROM trades t", {}),
    ("SELECT id, trades.Price FROM trades", {"columns": ("id", "Price")}),
    ("SELECT id AS id FROM trades AS x", {"columns": ("id",)}),
    (
        "SELECT x.id FROM trades AS x WHERE X.id > 2",
        {"columns": ("id",), "filter": "(id > 2)", "conditions": 1},
    ),
    (
        "FROM trades WHERE details.size > 1 AND trades.symbol = 'B'",
        {"filter": "((details.size > 1) AND (symbol = 'B'))", "conditions": 2},
    ),
    (
        "FROM trades WHERE main.trades.details.size IN (1, 2)",
        {"filter": "(details.size IN (1, 2))", "conditions": 1},
    ),
    (
        "FROM trades ORDER BY lower(symbol) DESC NULLS LAST, trades.id",
        {"order_by": "lower(symbol) DESC NULLS LAST, id"},
    ),
    ("FROM trades ORDER BY id LIMIT 2 OFFSET 1", {"order_by": "id", "limit": 2, "offset": 1}),
    (
        "SELECT id FROM trades ORDER BY id OFFSET 3",
        {"columns": ("id",), "order_by": "id", "offset": 3},
    ),
]


@pytest.mark.parametrize(("sql", "expected"), SCANS, ids=[sql for sql, _ in SCANS])
def test_what_is_a_scan(
    lake: duckdb.DuckDBPyConnection, sql: str, expected: dict[str, Any]
) -> None:
    found = simple_scan(parse(sql))
    assert found == ScanShape(T, **expected)
    assert run(lake, found) == lake.execute(sql).fetchall()


def run(lake: duckdb.DuckDBPyConnection, scan: ScanShape) -> list[Any]:
    columns = [row[0] for row in lake.execute("DESCRIBE trades").fetchall()]
    shown = ", ".join(scan.columns) if scan.columns else "*"
    where = f" WHERE {check_predicate(scan.filter, columns)}" if scan.filter else ""
    order = f" ORDER BY {check_order_by(scan.order_by, columns)}" if scan.order_by else ""
    limit = f" LIMIT {scan.limit}" if scan.limit is not None else ""
    sql = f"SELECT {shown} FROM trades{where}{order}{limit} OFFSET {scan.offset}"
    return lake.execute(sql).fetchall()


def test_the_table_says_its_version() -> None:
    found = simple_scan(parse("FROM sales.daily AT (VERSION => 3) LIMIT 0"))
    assert found == ScanShape(TableUse(TableRef.of("sales", "daily"), version=3), limit=0)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id + 1 FROM trades",
        "SELECT id AS x FROM trades",
        "SELECT id, id FROM trades",
        "SELECT DISTINCT id FROM trades",
        "SELECT DISTINCT ON (id) * FROM trades",
        "SELECT count(*) FROM trades",
        "SELECT id FROM trades GROUP BY id",
        "SELECT id FROM trades GROUP BY ALL",
        "SELECT id FROM trades HAVING id > 1",
        "SELECT id FROM trades QUALIFY row_number() OVER () = 1",
        "SELECT * EXCLUDE (id) FROM trades",
        "SELECT * REPLACE (1 AS id) FROM trades",
        "SELECT * RENAME (id AS x) FROM trades",
        "SELECT COLUMNS(*) FROM trades",
        "SELECT COLUMNS('i.*') FROM trades",
        "SELECT *, id FROM trades",
        "SELECT other.* FROM trades",
        "SELECT details.size FROM trades",
        "SELECT #1 FROM trades",
        "SELECT rowid FROM trades",
        "SELECT filename FROM trades",
        "SELECT current_date FROM trades",
        "FROM trades, sales.daily",
        "FROM trades JOIN sales.daily ON true",
        "FROM trades AS t(a, b)",
        "FROM trades TABLESAMPLE 10%",
        "FROM trades USING SAMPLE 5",
        "FROM (FROM trades)",
        "WITH x AS (FROM trades) FROM x",
        "WITH x AS (SELECT 1) FROM trades",
        "FROM trades UNION ALL FROM trades",
        "FROM trades WHERE id = $1",
        "FROM trades WHERE _row_id = 1",
        "FROM trades WHERE rowid = 1",
        "FROM trades WHERE id IN (SELECT 1)",
        "FROM trades WHERE EXISTS (FROM trades)",
        "FROM trades WHERE list_filter(tags, lambda x: x = 'p') = []",
        "FROM trades ORDER BY 1",
        "FROM trades ORDER BY ALL",
        "FROM trades ORDER BY row_number() OVER ()",
        "FROM trades LIMIT 10%",
        "FROM trades LIMIT (SELECT 1)",
        "FROM trades LIMIT 1 + 1",
        "FROM trades LIMIT NULL",
        "FROM trades LIMIT ?",
        "EXPLAIN FROM trades",
        "DESCRIBE trades",
        "VALUES (1)",
        "SELECT 1",
        "PIVOT trades ON symbol IN ('A') USING count(*)",
    ],
)
def test_what_is_none(sql: str) -> None:
    assert simple_scan(parse(sql)) is None
