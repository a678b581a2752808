"""Checks and comments of columns in CREATE, ALTER and COMMENT."""

from __future__ import annotations

import pyarrow as pa
import pytest

from flight_server.model import (
    AddColumn,
    DropCheck,
    SetCheck,
    SetColumnComment,
    TableRef,
)
from flight_server.query import AlterTable, Column, CreateTable, TableUse, Write, parse_any

T = TableUse(TableRef.of("t"), bare=True)
SALES = TableUse(TableRef.of("sales", "daily"))


def altered(
    *changes: SetCheck | DropCheck | AddColumn | SetColumnComment, if_column: bool = False
) -> AlterTable:
    return AlterTable(T, changes, if_column=if_column)


STATEMENTS: list[tuple[str, Write]] = [
    (
        "CREATE TABLE t (a INT CHECK (A > 0) NOT NULL CONSTRAINT few CHECK (a < 9), CHECK (b), "
        'b BOOL, CONSTRAINT "a check" CHECK (a in (1, 2) OR (b)), CHECK (a <> 3))',
        CreateTable(
            T,
            (
                Column("a", pa.int32(), False, checks=(("", "A > 0"), ("few", "a < 9"))),
                Column("b", pa.bool_()),
            ),
            checks=(
                ("a_check", "(a > 0)"),
                ("few", "(a < 9)"),
                ("check", "b"),
                ("a check", "((a IN (1, 2)) OR b)"),
                ("check_2", "(a != 3)"),
            ),
        ),
    ),
    (
        "ALTER TABLE t ADD c INT CHECK (c > a) CONSTRAINT x CHECK (c < 9)",
        altered(
            AddColumn(pa.field("c", pa.int32())),
            SetCheck("c_check", "c > a"),
            SetCheck("x", "c < 9"),
        ),
    ),
    ("ALTER TABLE t ADD CONSTRAINT x CHECK (a > 0);", altered(SetCheck("x", "a > 0"))),
    ("ALTER TABLE t DROP CONSTRAINT x", altered(DropCheck("x"))),
    (
        'ALTER TABLE t DROP CONSTRAINT IF EXISTS "a b"',
        altered(DropCheck("a b"), if_column=True),
    ),
    ("COMMENT ON COLUMN t.a IS 'x'", altered(SetColumnComment("a", "x"))),
    (
        'COMMENT ON COLUMN sales.daily."a.b" IS NULL',
        AlterTable(SALES, (SetColumnComment("a.b", ""),)),
    ),
]


@pytest.mark.parametrize(("sql", "meant"), STATEMENTS, ids=[sql for sql, _ in STATEMENTS])
def test_rules_are_read(sql: str, meant: Write) -> None:
    assert parse_any(sql) == meant
