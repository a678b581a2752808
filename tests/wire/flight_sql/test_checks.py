"""Checks in SQL: made, added, dropped, enforced; of temporary tables as well."""

from __future__ import annotations

import pytest

from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient


@pytest.mark.parametrize("kind", ["", "TEMP "])
def test_checks_of_a_new_table(sql: SqlClient, name: str, kind: str) -> None:
    sql.update(
        f"CREATE {kind}TABLE {name} (a INT CHECK (a > 0), b VARCHAR, "
        'CONSTRAINT "b is short" CHECK (length(b) < a))'
    )
    assert sql.update(f"INSERT INTO {name} VALUES (3, 'xx'), (NULL, 'long'), (1, NULL)") == 3
    for write, check in (
        (f"INSERT INTO {name} VALUES (0, '')", "a_check"),
        (f"INSERT INTO {name} SELECT a, 'xxxxx' FROM {name}", "b is short"),
        (f"UPDATE {name} SET a = a - 1", "a_check"),
        (f"UPDATE {name} SET b = s.v FROM (SELECT 'xxxx' AS v) AS s WHERE a = 3", "b is short"),
        (
            f"MERGE INTO {name} USING (SELECT 3 AS k) AS s ON a = k "
            "WHEN MATCHED THEN UPDATE SET a = 2",
            "b is short",
        ),
    ):
        found = refusal(lambda: sql.update(write))  # noqa: B023
        assert (found.code, f"'{check}'" in found.message) == ("check_violation", True), write
    assert sql.count(name) == 3


def test_checks_come_and_go(sql: SqlClient, name: str) -> None:
    sql.update(f"CREATE TABLE {name} (a INT, b INT)")
    sql.update(f"INSERT INTO {name} VALUES (1, 2)")
    add = f"ALTER TABLE {name} ADD CONSTRAINT sorted CHECK (a < b)"
    sql.update(add)
    assert refusal(lambda: sql.update(add)).code == "already_exists"
    other = f"ALTER TABLE {name} ADD CONSTRAINT never CHECK (a > b)"
    assert refusal(lambda: sql.update(other)).code == "check_violation"
    assert (
        refusal(lambda: sql.update(f"INSERT INTO {name} VALUES (2, 1)")).code == "check_violation"
    )
    sql.update(f"ALTER TABLE {name} ADD COLUMN c INT DEFAULT 1 CHECK (c > 0)")
    assert refusal(lambda: sql.update(f"UPDATE {name} SET c = 0")).code == "check_violation"
    sql.update(f"ALTER TABLE {name} DROP CONSTRAINT sorted")
    sql.update(f"INSERT INTO {name} VALUES (2, 1, 1)")
    assert (
        refusal(lambda: sql.update(f"ALTER TABLE {name} DROP CONSTRAINT sorted")).code
        == "not_found"
    )
    sql.update(f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS sorted")
    sql.update(f"COMMENT ON COLUMN {name}.a IS 'the first'")
    assert sql.count(name) == 2


def test_checks_within_a_transaction(sql: SqlClient, name: str) -> None:
    sql.update(f"CREATE TABLE {name} (a INT)")
    sql.update("BEGIN")
    sql.update(f"INSERT INTO {name} VALUES (1)")
    sql.update(f"ALTER TABLE {name} ADD CONSTRAINT few CHECK (a < 5)")
    assert refusal(lambda: sql.update(f"INSERT INTO {name} VALUES (9)")).code == "check_violation"
    sql.update("ROLLBACK")
    sql.update(f"INSERT INTO {name} VALUES (9)")
    assert sql.count(name) == 1
