"""What of another catalog's tables somebody may not see is missing from SQL as well."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from flight_server.auth import Action, Grant
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient
from tests.fix_foreign import WatchedEngine

READ = frozenset({Action.READ})
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "owner": ["ann", "bob", "ann", "cyd"],
        "pay": pa.array([10, 20, 30, 40], pa.int64()),
        "v": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.float32(), 2)),
    }
)

Connect = Callable[..., SqlClient]


@pytest.fixture
def table(memory: WatchedEngine) -> str:
    """A table of the other catalog, as SQL names it."""
    return memory.put(ROWS)


def bare(table: str) -> str:
    return table.rsplit(".", 1)[1]


@pytest.fixture
def limited(connect_as: Connect, table: str) -> SqlClient:
    """Somebody who sees the rows of ann, without their pay."""
    shown = frozenset({"id", "owner", "v"})
    grant = Grant("limited", READ, "memory", "main", bare(table), shown, "owner = 'ann'")
    return connect_as(grant)


READS = [
    ("SELECT id FROM {t} ORDER BY id", [1, 3]),
    ("SELECT id + 0 AS id FROM {t} ORDER BY id", [1, 3]),
    ("SELECT a.id FROM {t} a JOIN {t} b ON a.id <= b.id ORDER BY a.id", [1, 1, 3]),
    ("SELECT id FROM {t} WHERE id = 2", []),
    ("SELECT id + 0 AS id FROM {t} LIMIT 2", [1, 3]),
    ("SELECT id + 0 AS id FROM {t} LIMIT 1 OFFSET 1", [3]),
    ("SELECT count(*) AS id FROM {t} WHERE id >= 2", [1]),
    ("SELECT id FROM {t} WHERE owner <> 'ann' OR id = 3", [3]),
    ("SELECT id FROM {t} WHERE v[1] > 1 AND 1 // (id - 2) < 5", [3]),
]


@pytest.mark.parametrize(("text", "ids"), READS)
def test_hidden_rows_stay_hidden(limited: SqlClient, table: str, text: str, ids: list[int]) -> None:
    assert limited.query(text.format(t=table))["id"].to_pylist() == ids


def test_hidden_columns_are_missing_ones(
    limited: SqlClient, memory: WatchedEngine, table: str
) -> None:
    assert limited.query(f"SELECT * FROM {table}").column_names == ["id", "owner", "v"]
    assert limited.query(f"SELECT * EXCLUDE (v) FROM {table} t").column_names == ["id", "owner"]
    for text in ("SELECT {c} FROM {t} AS x, {t} AS y", "SELECT id + 1 FROM {t} WHERE {c} > 15"):
        hidden = refusal(lambda: limited.rows(text.format(c="pay", t=table)))  # noqa: B023
        missing = refusal(lambda: limited.rows(text.format(c="nil", t=table)))  # noqa: B023
        assert hidden.code == missing.code == "invalid_sql"
        assert hidden.message.replace("pay", "nil") == missing.message
    assert all("pay" not in asked.columns for asked in memory.asked if asked.columns)


def test_an_error_tells_nothing_of_a_hidden_row(limited: SqlClient, table: str) -> None:
    found = limited.rows(f"SELECT id FROM {table} WHERE CASE WHEN id = 2 THEN error('x') END")
    assert found == []


def test_a_plan_is_not_shown_of_a_part(limited: SqlClient, table: str) -> None:
    assert refusal(lambda: limited.rows(f"EXPLAIN SELECT id FROM {table}")).code == "forbidden"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM {t}",
        "SELECT count(*) FROM {t} JOIN {t} AS b USING (id)",
        "CREATE TEMP TABLE mine AS SELECT * FROM {t}",
        "INSERT INTO {t} SELECT 1",
        "UPDATE {t} SET id = (SELECT 1)",
        "CREATE VIEW v_new AS SELECT * FROM {t}",
    ],
)
def test_a_hidden_table_looks_missing(connect_as: Connect, table: str, text: str) -> None:
    every = frozenset(Action) - {Action.ADMIN, Action.GRANT}
    nobody = connect_as(
        Grant("limited", every, "memory", "elsewhere"), Grant("r", every, "lake", "main")
    )

    def told(name: str) -> tuple[str, str]:
        statement = text.format(t=f"memory.main.{name}")
        ask = nobody.rows if text.startswith("SELECT") else nobody.update
        found = refusal(lambda: ask(statement))
        return found.code, found.message.replace(name, "absent")

    assert told(bare(table)) == told("absent")


@pytest.mark.parametrize("rows", ["owner = 'ann'", "id % 2 = 1 OR upper(owner) = 'ZED'"])
@pytest.mark.parametrize("catalog", ["memory", "lake"])
def test_lists_of_a_fixed_size_are_shown_of_visible_rows(
    connect_as: Connect, sql: SqlClient, table: str, catalog: str, rows: str
) -> None:
    name = bare(table)
    if catalog == "lake":
        sql.ingest(ROWS, name, "create")
    client = connect_as(Grant("limited", READ, catalog, "main", name, None, rows))
    found = client.rows(f"SELECT v, id + 0 AS n FROM {catalog}.main.{name} ORDER BY n")
    assert [row["v"] for row in found] == [[1, 2], [5, 6]]
    assert client.rows(f"SELECT v FROM {catalog}.main.{name} WHERE v[1] > 1") == [{"v": [5, 6]}]
