"""SQL over Pixeltable's tables, joined with those of the lake, over Flight SQL and HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flight_server.testing.server import LocalServer, local_server
from tests.fix_adbc import open_adbc
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient
from tests.fix_http import two_doors

NUMBERS = "pixeltable.main.numbers"
EVERY = "pixeltable.kinds.every"


@pytest.fixture(scope="module")
def mounted(
    pixeltable_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    """A server with the home as its second catalog."""
    data = tmp_path_factory.mktemp("mounted")
    with local_server(data, durability="none", pixeltable=str(pixeltable_home)) as server:
        yield server


@pytest.fixture
def both(mounted: LocalServer, connect_sql: Callable[..., SqlClient]) -> SqlClient:
    """A client, and a table of three names in the lake."""
    sql = connect_sql(mounted)
    sql.update("CREATE OR REPLACE TABLE names (id BIGINT, said VARCHAR)")
    sql.update("INSERT INTO names VALUES (1, 'one'), (2, 'two'), (9999, 'many')")
    return sql


def tuples(sql: SqlClient, text: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in sql.rows(text)]


def test_it_is_joined_filtered_and_counted(both: SqlClient) -> None:
    join = f"SELECT id, name, said FROM {NUMBERS} JOIN names USING (id) ORDER BY id"
    assert tuples(both, join) == [(1, "b%d", "one"), (2, "it's", "two")]
    count = f"SELECT count(*), count(x), min(twice) FROM {NUMBERS} WHERE id >= 10 AND name <> ''"
    assert tuples(both, count) == [(393, 336, 5.0)]
    missing = f"SELECT said FROM names WHERE id NOT IN (SELECT id FROM {NUMBERS})"
    assert tuples(both, missing) == [("many",)]
    few = 'SELECT count(*) AS n FROM pixeltable.views.few JOIN pixeltable."/main".inside i ON true'
    assert tuples(both, few) == [(0,)]
    assert len(tuples(both, f"SELECT id + 1 AS n FROM {NUMBERS} LIMIT 3")) == 3


def test_versions_are_those_of_the_table(both: SqlClient) -> None:
    for version, rows in ((1, 500), (3, 499), (5, 500)):
        text = f"SELECT count(*) + 0 FROM {NUMBERS} AT (VERSION => {version})"
        assert tuples(both, text) == [(rows,)]
    moment = f"SELECT count(*) + 0 FROM {NUMBERS} AT (TIMESTAMP => '2024-01-01')"
    assert refusal(lambda: both.rows(moment)).code == "version_not_found"


def test_a_copy_in_the_lake_has_every_value(both: SqlClient) -> None:
    assert both.update(f"CREATE OR REPLACE TABLE copy AS SELECT * FROM {EVERY}") == 40
    names = [name for name, *_ in tuples(both, f"DESCRIBE {EVERY}")]
    assert len(names) == 15
    for name in names:
        differing = (
            f"SELECT count(*) FROM {EVERY} p JOIN copy c USING (n) "
            f'WHERE p."{name}"::VARCHAR IS DISTINCT FROM c."{name}"::VARCHAR'
        )
        assert tuples(both, differing) == [(0,)], name


@pytest.mark.parametrize(
    "text",
    [
        f"INSERT INTO {NUMBERS} (id) VALUES (1)",
        f"INSERT INTO {NUMBERS} SELECT * FROM {NUMBERS}",
        f"UPDATE {NUMBERS} SET x = (SELECT 1)",
        f"DELETE FROM {NUMBERS} WHERE id = (SELECT 1)",
        "CREATE TABLE pixeltable.main.new AS SELECT 1 AS a",
        f"CREATE VIEW seen AS SELECT * FROM {NUMBERS}",
    ],
)
def test_sql_only_reads_it(both: SqlClient, text: str) -> None:
    assert refusal(lambda: both.update(text)).code == "unsupported"


def test_it_is_read_within_a_transaction_and_over_http(
    both: SqlClient, mounted: LocalServer
) -> None:
    begun = both.begin()
    rows = f"INSERT INTO names SELECT id, name FROM {NUMBERS} WHERE id BETWEEN 5 AND 7"
    assert both.update(rows, begun) == 3
    both.commit(begun)
    with two_doors(mounted) as doors, doors.client() as web:
        sql = f"SELECT said FROM names JOIN {NUMBERS} p USING (id) WHERE p.name = said AND id = $1"
        body = {"sql": sql, "parameters": [5]}
        answer = web.post("/api/v1/query", json=body)
        assert answer.json()["rows"] == [{"said": "Ähre"}], answer.text


PAINTS = "pixeltable.near.paints"


@pytest.mark.parametrize("which", [0, 1, 3])
def test_a_search_within_it_finds_what_plain_pixeltable_does(
    both: SqlClient, made_home: Path, which: int
) -> None:
    one = json.loads((made_home.parent / "nearest.json").read_text("utf-8"))[which]
    sought = one["sought"] if one["by"] == "vector" else f"'{one['sought']}'"
    near = f"search('pixeltable.near.{one['table']}', '{one['column']}', {sought}, 3)"
    found = f"SELECT n, _score FROM {near} ORDER BY _score"
    ordered = tuples(both, found if one["column"] == "picture" else f"{found} DESC")
    assert [list(row) for row in ordered] == one["rows"]


def test_a_search_takes_an_image_as_a_parameter_and_is_joined(
    both: SqlClient, mounted: LocalServer, made_home: Path
) -> None:
    image = (made_home.parent / "orange.png").read_bytes()
    text = (
        f"SELECT name, said IS NULL AS alone FROM search('{PAINTS}', 'picture', image := $1, "
        "filter := 'n > 0') LEFT JOIN names ON id = n ORDER BY _score LIMIT 1"
    )
    with open_adbc(mounted, autocommit=True) as adbc, adbc.cursor() as cursor:
        for _ in range(2):
            cursor.execute(text, [image])
            assert cursor.fetchall() == [("orange", True)]
        near = f"SELECT name FROM search('{PAINTS}', 'name', ?, 1, filter := ?)"
        cursor.execute(near, ["rage", "n <> 3"])
        assert cursor.fetchall() == [("green",)]
    with two_doors(mounted) as doors, doors.client() as web:
        encoded = base64.b64encode(image).decode()
        answer = web.post("/api/v1/query", json={"sql": text, "parameters": [encoded]})
        assert answer.json()["rows"] == [{"name": "orange", "alone": True}], answer.text
        vector = {"v": [0.0] * 8, "rest": 2}
        near = "SELECT n FROM search('pixeltable:near.vectors', 'v', $v) WHERE n % $rest = 0"
        answer = web.post("/api/v1/query", json={"sql": near, "parameters": vector})
        assert answer.status_code == 200, answer.text
        wrong = {"sql": near.replace("'v'", "'w'"), "parameters": vector}
        answer = web.post("/api/v1/query", json=wrong)
        assert answer.json()["error"]["code"] == "column_not_found"
