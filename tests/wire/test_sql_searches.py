"""Searches within SQL, over Flight SQL: what is near, joined, limited and bound to parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from flight_server.auth import Action, Grant
from flight_server.model import Author, Index, Metric, TableRef
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient
from tests.fix_foreign import WatchedEngine

POINTS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "owner": ["ann", "bob", "ann", None],
        "v": pa.array([[0, 0], [1, 0], [3, 0], None], pa.list_(pa.float32(), 2)),
    }
)


@pytest.fixture
def points(memory: WatchedEngine) -> str:
    """Points with an index, as SQL names their table."""
    name = memory.put(POINTS)
    table = TableRef(*name.split("."))
    memory.create_index(table, Index("v", name="near", metric=Metric.L2), Author("test"))
    return name


def tuples(sql: SqlClient, text: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in sql.rows(text)]


ASKED = [
    ("SELECT id, _score FROM search('{p}', 'v', [1, 0], 2)", [(2, 0.0), (1, 1.0)]),
    ("FROM search('{h}', 'V', vector := [1.0, -0.0]) SELECT id", [(2,), (1,), (3,)]),
    ("SELECT search.id FROM search('{p}', 'v', ARRAY[1, 0]::FLOAT[2], \"limit\" := 1)", [(2,)]),
    ("SELECT id FROM search('{p}', 'v', [1, 0], 1, filter := 'id <> 2')", [(1,)]),
    ("SELECT id FROM search('{p}', 'v', [1, 0], 1, index := 'near') WHERE id <> 2", []),
    ("SELECT a FROM Search('{p}', 'v', [1, 0], 1) AS s(a) WHERE a = 2", [(2,)]),
    ("SELECT count(*) FROM search('{p}', 'v', [1, 0])", [(3,)]),
    (
        "SELECT s.id, name, near._score FROM search('{p}', 'v', [3, 0], 2) AS s "
        "JOIN {l} USING (id) JOIN search('{p}', 'v', [1, 0]) AS near USING (id)",
        [(2, "two", 0.0)],
    ),
    ("WITH s AS (FROM search('{p}', 'v', [1, 0])) SELECT max(_score) FROM s", [(2.0,)]),
    ("SELECT id FROM {l} WHERE id IN (SELECT id FROM search('{p}', 'v', [1, 0], 1))", [(2,)]),
]


@pytest.mark.parametrize(("text", "wanted"), ASKED)
def test_it_finds_what_is_near(
    sql: SqlClient, points: str, named: str, text: str, wanted: Any
) -> None:
    here = points.replace("memory.main.", "memory:")
    assert tuples(sql, text.format(p=points, h=here, l=named)) == wanted


def test_its_columns_are_those_of_the_table_with_the_score(sql: SqlClient, points: str) -> None:
    info = sql.info("CommandStatementQuery", query=f"FROM search('{points}', 'v', [1, 0])")
    assert info.schema.names == ["id", "owner", "v", "_score"]
    assert sql.fetch(info)["v"].to_pylist() == [[1, 0], [0, 0], [3, 0]]
    described = f"SELECT column_name FROM (DESCRIBE FROM search('{points}', 'v', [1, 0]))"
    assert [name for (name,) in tuples(sql, described)] == info.schema.names


WRONG = [
    ("FROM search('memory.main.absent', 'v', [1, 0])", "table_not_found", "absent"),
    ("FROM search('{p}', 'w', [1, 0])", "column_not_found", "'w'"),
    ("FROM search('{p}', 'owner', [1, 0])", "index_not_found", "owner"),
    ("FROM search('{p}', 'v', [1])", "invalid_request", "vector"),
    ("FROM search('{p}', 'v', 'text')", "unsupported", "text"),
    ("FROM search('{p}', 'v', [1, 0], -1)", "invalid_request", "-1"),
    ("FROM search('{p}', 'v', [1, 0], filter := 'w > 1')", "column_not_found", "w"),
    ("FROM search('{p}', 'v', [1, 0], filter := 'read_text(1) > 1')", "forbidden", "read_text"),
    ("FROM search('{p}', 'v')", "invalid_sql", "sought"),
    ("FROM search('{p}', 'v', NULL)", "invalid_sql", "sought"),
    ("FROM search('{p}', 'v', [1, 0], text := 'a')", "invalid_sql", "2 are given"),
    ("FROM search('{p}', 'v', [1, 0], 1, 2)", "invalid_sql", "so many"),
    ("FROM search('{p}', 'v', [1, 0], lim := 1)", "invalid_sql", "'lim'"),
    ("FROM search('{p}', 'v', [1, 0], 'all')", "invalid_sql", "'limit'"),
    ("FROM search('{p}', 'v', [1, 0], Limit := 1)", "invalid_sql", 'quotes: "Limit" :='),
    ("FROM search('{p}', 'v', [1, 0], \"column\" := 'v')", "invalid_sql", "twice"),
    ("FROM search('{p}', 'v', [1, NULL])", "invalid_sql", "'sought'"),
    ("FROM search('{p}', 'v', (SELECT [1, 0]))", "invalid_sql", "'sought'"),
    ("FROM search('{p}', 'v', image := 'a')", "invalid_sql", "base64"),
    ("FROM {l} l, search(l.name, 'v', [1, 0])", "invalid_sql", "'table'"),
    ("FROM search('a.b.c.d', 'v', [1, 0])", "invalid_name", "a.b.c.d"),
    ("FROM search('{l}', 'name', 'one')", "unsupported", "lake"),
    ("FROM search('{p}', 'v', [1, 0]) WITH ORDINALITY", "unsupported", "ordinality"),
    ("SELECT search('{p}', 'v', [1, 0])", "invalid_sql", "search"),
    ("FROM main.search('{p}', 'v', [1, 0])", "invalid_sql", "search"),
]


@pytest.mark.parametrize(("text", "code", "word"), WRONG)
def test_what_is_wrong_is_named(
    sql: SqlClient, points: str, named: str, text: str, code: str, word: str
) -> None:
    told = refusal(lambda: sql.rows(text.format(p=points, l=named)))
    assert told.code == code, told
    assert word in told.message


def test_parameters_of_a_search_and_of_the_rest(sql: SqlClient, points: str) -> None:
    text = f"SELECT id, ? AS said FROM search('{points}', ?, ?, ?, filter := ?) WHERE id < ?"
    prepared = sql.prepare(text)
    assert prepared.parameters is not None
    assert prepared.dataset is not None
    told = [str(field.type) for field in prepared.parameters]
    assert told == ["null", "string", "null", "int64", "string", "int64"]
    assert prepared.dataset.names == ["id", "said"]
    vector = pa.array([[1.0, 0.0]], pa.list_(pa.float32()))
    rows = pa.table([["a"], ["v"], vector, [2], ["id <> 1"], [3]], names=list("abcdef"))
    prepared.bind(rows)
    assert prepared.query().to_pylist() == [{"id": 2, "said": "a"}]
    unbound = f"SELECT id, ? AS said FROM search('{points}', 'v', ?)"
    nulls = sql.prepare(unbound)
    nulls.bind(pa.table([["a"], pa.nulls(1)], names=["a", "b"]))
    assert refusal(nulls.query).code == "invalid_sql"


def test_what_is_hidden_is_not_found(connect_as: Callable[..., SqlClient], points: str) -> None:
    shown, name = frozenset({"id", "v"}), points.rsplit(".", 1)[1]
    grant = Grant("limited", frozenset({Action.READ}), "memory", "main", name, shown, "id <> 2")
    limited = connect_as(grant)
    found = f"FROM search('{points}', 'v', [1, 0], 1)"
    assert limited.query(found).column_names == ["id", "v", "_score"]
    assert tuples(limited, f"SELECT id {found}") == [(1,)]
    hidden = f"FROM search('{points}', 'v', [1, 0], filter := 'owner IS NULL')"
    assert refusal(lambda: limited.rows(hidden)).code == "column_not_found"
    nothing = Grant("other", frozenset({Action.READ}), "memory", "main", "other")
    nobody = connect_as(nothing)
    missing = refusal(lambda: nobody.rows("FROM search('memory.main.absent', 'v', [1, 0])"))
    told = refusal(lambda: nobody.rows(found))
    assert (told.code, told.message.replace(name, "absent")) == (missing.code, missing.message)


def test_what_is_found_is_written_and_kept_by_no_view(
    sql: SqlClient, points: str, named: str
) -> None:
    found = f"SELECT id, owner FROM search('{points}', 'v', [1, 0], 2)"
    assert sql.update(f"INSERT INTO {named} {found}") == 2
    merged = (
        f"MERGE INTO {named} t USING search('{points}', 'v', [1, 0], 1) s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET name = 'near'"
    )
    assert sql.update(merged) == 2
    assert sql.update(f"DELETE FROM {named} WHERE id IN (SELECT id FROM ({found}))") == 4
    view = f"CREATE VIEW {named}_view AS {found}"
    assert refusal(lambda: sql.update(view)).code == "unsupported"
