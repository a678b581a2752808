"""Statements about views, taken apart."""

from __future__ import annotations

import pytest

from flight_server.model import TableRef
from flight_server.query import CreateView, DropView, RenameView, TableUse, Write, parse_any

T = TableUse(TableRef.of("t"), bare=True)
SALES = TableUse(TableRef.of("sales", "daily"))

READ: list[tuple[str, Write]] = [
    ("CREATE VIEW t AS FROM s ;", CreateView(T, "FROM s")),
    (
        "CREATE OR REPLACE VIEW sales.daily (a, b) AS SELECT 1, 2",
        CreateView(SALES, "SELECT 1, 2", ("a", "b"), or_replace=True),
    ),
    ("CREATE VIEW IF NOT EXISTS t AS SELECT 1", CreateView(T, "SELECT 1", if_not_exists=True)),
    ("DROP VIEW IF EXISTS t CASCADE", DropView(T, True)),
    ("ALTER VIEW IF EXISTS t RENAME TO u", RenameView(T, "u", True)),
]


@pytest.mark.parametrize(("sql", "expected"), READ, ids=[sql for sql, _ in READ])
def test_what_a_statement_says(sql: str, expected: Write) -> None:
    assert parse_any(sql) == expected


def test_names_are_completed_by_the_session() -> None:
    found = parse_any("DROP VIEW v", default_catalog="c", default_namespace="n")
    assert found == DropView(TableUse(TableRef("c", "n", "v"), bare=True))
