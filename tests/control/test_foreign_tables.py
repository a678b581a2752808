"""Tables of another catalog over HTTP: in SQL, as rows, and in listings."""

from __future__ import annotations

from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.model import Author, TableRef
from tests.fix_foreign import WatchedEngine

V1 = "/api/v1"
ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "word": ["a", "b", None]})


@pytest.fixture
def words(memory: WatchedEngine) -> str:
    """A table of the other catalog, as SQL names it."""
    return memory.put(ROWS)


def path_of(words: str) -> str:
    return "memory:" + words.rsplit(".", 1)[1]


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def asked(api: httpx.Client, sql: str, **more: Any) -> httpx.Response:
    return api.post(f"{V1}/query", json={"sql": sql, **more})


def test_a_query_joins_it_with_the_lake(api: httpx.Client, words: str) -> None:
    asked(api, "CREATE OR REPLACE TABLE names AS SELECT 2 AS id, 'two' AS name")
    sql = f"SELECT word, name FROM {words} w JOIN names n ON w.id = n.id WHERE w.id < ?"
    assert rows(asked(api, sql, parameters=[3])) == [{"word": "b", "name": "two"}]
    assert asked(api, f"INSERT INTO names SELECT id, word FROM {words}").json()["rows"] == 3


def test_an_answer_of_it_is_not_kept(api: httpx.Client, memory: WatchedEngine, words: str) -> None:
    for sql in (f"SELECT count(*) AS id FROM {words}", f"SELECT id FROM {words} WHERE id = 3"):
        first = asked(api, sql, cache=True)
        assert (first.headers["x-cache"], rows(first)) == ("miss", [{"id": 3}])
    memory.delete(TableRef.parse(path_of(words)), "id = 3", Author("test"))
    second = asked(api, f"SELECT count(*) AS id FROM {words}", cache=True)
    assert (second.headers["x-cache"], rows(second)) == ("miss", [{"id": 2}])


def test_rows_and_aggregates_are_of_its_own_versions(
    api: httpx.Client, memory: WatchedEngine, words: str
) -> None:
    before, table = memory.snapshot(), path_of(words)
    memory.delete(TableRef.parse(table), "id = 3", Author("test"))
    url = f"{V1}/tables/{table}/rows"
    assert len(rows(api.get(url))) == 2
    assert len(rows(api.get(url, params={"version": before}))) == 3
    count = {"aggregate": "count(*) AS n"}
    assert rows(api.get(url, params=count)) == [{"n": 2}]
    assert rows(api.get(url, params={**count, "version": before})) == [{"n": 3}]


def test_what_is_missing_is_told(api: httpx.Client, words: str) -> None:
    error = asked(api, f"SELECT id + 1 FROM {words}_").json()["error"]
    assert error["code"] == "table_not_found"
    error = asked(api, "SELECT id FROM nowhere.main.t").json()["error"]
    assert error["code"] == "table_not_found"


def test_listings_show_it(api: httpx.Client, words: str) -> None:
    name = words.rsplit(".", 1)[1]
    found = api.get(f"{V1}/tables", params={"catalog": "memory", "pattern": name}).json()
    assert [one if isinstance(one, str) else one["table"] for one in found["tables"]]
    spaces = api.get(f"{V1}/namespaces", params={"catalog": "memory"}).json()
    assert "main" in str(spaces)
    described = api.get(f"{V1}/tables/{path_of(words)}").json()
    assert "word" in str(described)


def test_a_namespace_that_one_catalog_has_is_listed(api: httpx.Client, words: str) -> None:
    api.post(f"{V1}/namespaces", json={"namespace": "here_alone"})
    made = {"table": "here_alone.t", "columns": [{"name": "id", "type": "int64"}]}
    assert api.post(f"{V1}/tables", json=made).is_success
    found = api.get(f"{V1}/tables", params={"namespace": "here_alone"})
    assert found.status_code == 200, found.text
    assert "here_alone.t" in found.text
    missing = api.get(f"{V1}/tables", params={"namespace": "nowhere_at_all"})
    assert missing.json()["error"]["code"] == "namespace_not_found"


def test_it_keeps_no_views_and_snapshots(api: httpx.Client, words: str) -> None:
    table = path_of(words)
    for answer in (
        api.post(f"{V1}/snapshots", json={"name": "s", "table": table}),
        api.post(f"{V1}/snapshots/memory:s/restore"),
        api.post(f"{V1}/views", json={"view": "memory:v", "of": table}),
        api.delete(f"{V1}/tables/{table}?cascade=true"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "unsupported")
