"""SQL over HTTP: parameters, snapshots, plans, statements that write, answers that are kept."""

from __future__ import annotations

import io
from typing import Any

import httpx
import polars as pl
import pyarrow as pa
import pytest

from tests.fix_client import Client
from tests.fix_http import TwoDoors

URL = "/api/v1/query"
ARROW = "application/vnd.apache.arrow.stream"
DATA = pa.table({"a": [1, 2, 3, 4], "b": ["x", "y", "x", "z"], "p": [1.5, 2.5, 3.5, 4.5]})


@pytest.fixture
def table(client: Client, name: str) -> str:
    client.put(DATA, ingest={"table": name, "mode": "create"})
    return name


def asked(api: httpx.Client, sql: str, **more: Any) -> httpx.Response:
    return api.post(URL, json={"sql": sql, **more})


def rows(api: httpx.Client, sql: str, **more: Any) -> list[dict[str, Any]]:
    answer = asked(api, sql, **more)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def told(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_a_query_with_parameters(api: httpx.Client, table: str) -> None:
    sql = f"SELECT a FROM {table} WHERE a > ? AND b = ? ORDER BY a"
    assert rows(api, sql, parameters=[1, "x"]) == [{"a": 3}]
    named = f"SELECT count(*) AS n FROM {table} WHERE b = $b"
    assert rows(api, named, parameters={"b": "x"}) == [{"n": 2}]
    assert rows(api, f"SELECT * FROM {table} ORDER BY a", limit=1) == DATA.to_pylist()[:1]
    assert rows(api, f"SELECT * FROM {table}", limit=0) == []


def test_the_answer_comes_in_any_form(api: httpx.Client, table: str) -> None:
    body = {"sql": f"SELECT b, sum(p) AS p FROM {table} GROUP BY b ORDER BY b"}
    answer = api.post(URL, json=body, headers={"accept": ARROW})
    frame = pl.read_ipc_stream(io.BytesIO(answer.content))
    assert frame.to_dicts() == [
        {"b": "x", "p": 5.0},
        {"b": "y", "p": 2.5},
        {"b": "z", "p": 4.5},
    ]
    csv = api.post(URL, json=body, headers={"accept": "text/csv"})
    assert csv.text.splitlines()[0] == '"b","p"'
    assert int(answer.headers["x-version"]) > 0


def test_the_past_can_be_asked(api: httpx.Client, table: str) -> None:
    then = asked(api, f"SELECT * FROM {table}").json()["version"]
    asked(api, f"DELETE FROM {table} WHERE a > 1")
    assert rows(api, f"SELECT count(*) AS n FROM {table}") == [{"n": 1}]
    assert rows(api, f"SELECT count(*) AS n FROM {table}", version=then) == [{"n": 4}]
    never = asked(api, f"SELECT * FROM {table}", version=10**6)
    assert told(never)[:2] == (404, "version_not_found")


def test_statements_that_write(api: httpx.Client, table: str) -> None:
    done = asked(api, f"UPDATE {table} SET p = 0 WHERE a < ?", parameters=[3]).json()
    assert (done["kind"], done["rows"]) == ("update", 2)
    assert done["commit"] == asked(api, f"SELECT * FROM {table}").json()["version"]
    assert asked(api, f"CREATE TABLE {table}_2 (x INTEGER)").json()["kind"] == "create_table"
    for more in ({"version": 1}, {"explain": True}, {"cache": True}, {"limit": 1}):
        assert told(asked(api, f"DELETE FROM {table}", **more))[:2] == (400, "invalid_request")
    assert told(asked(api, "BEGIN"))[1] == "invalid_request"


@pytest.mark.parametrize("accept", [ARROW, "text/csv", "application/x-ndjson, text/csv;q=0.5"])
def test_who_takes_rows_alone_writes_nothing(api: httpx.Client, table: str, accept: str) -> None:
    def sent(accept: str) -> httpx.Response:
        return api.post(URL, json={"sql": f"DELETE FROM {table}"}, headers={"accept": accept})

    status, code, message = told(sent(accept))
    assert (status, code) == (400, "invalid_request")
    assert "statement that writes (delete)" in message
    assert "application/json" in message
    assert rows(api, f"SELECT count(*) AS n FROM {table}") == [{"n": 4}]
    assert sent(f"{accept};q=1, application/*;q=0.1").json()["rows"] == 4


def test_a_plan(api: httpx.Client, table: str) -> None:
    [row] = rows(api, f"SELECT * FROM {table} WHERE a = 1", explain=True)
    assert "SCAN" in row["plan"].upper()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"sql": "SELEC 1"}, 400, "invalid_sql"),
        ({"sql": "SELECT * FROM nope"}, 404, "table_not_found"),
        ({"sql": "SELECT 1; SELECT 2"}, 400, "invalid_sql"),
        ({"sql": "SELECT * FROM read_csv('/etc/passwd')"}, 403, "forbidden"),
        ({"sql": "SELECT 1", "limit": -1}, 400, "invalid_request"),
        ({"query": "SELECT 1"}, 400, "invalid_request"),
        ({"sql": "SELECT ?", "parameters": []}, 400, "invalid_sql"),
        ({"sql": "SELECT cast('x' AS INTEGER)"}, 400, "invalid_data"),
    ],
)
def test_what_is_refused(api: httpx.Client, body: dict[str, Any], status: int, code: str) -> None:
    assert told(api.post(URL, json=body))[:2] == (status, code)


def test_kept_answers_are_of_one_snapshot(api: httpx.Client, table: str) -> None:
    def cached(sql: str, **more: Any) -> tuple[str, list[dict[str, Any]]]:
        answer = asked(api, sql, cache=True, **more)
        return answer.headers["x-cache"], answer.json()["rows"]

    sql = f"SELECT count(*) AS n FROM {table} WHERE a > ?"
    assert cached(sql, parameters=[1]) == ("miss", [{"n": 3}])
    assert cached(sql, parameters=[1]) == ("hit", [{"n": 3}])
    assert cached(sql, parameters=[2]) == ("miss", [{"n": 2}])
    asked(api, f"DELETE FROM {table} WHERE a = 4")
    assert cached(sql, parameters=[1]) == ("miss", [{"n": 2}])
    assert cached(sql, parameters=[1], limit=0) == ("hit", [])
    assert cached(f"SELECT now() AS n, a FROM {table}")[0] == "miss"
    assert cached(f"SELECT now() AS n, a FROM {table}")[0] == "miss"
    assert "x-cache" not in asked(api, sql, parameters=[1]).headers


def test_kept_answers_are_for_all_who_see_the_same(doors: TwoDoors, table: str) -> None:
    sql = {"sql": f"SELECT sum(a) AS s FROM {table}", "cache": True}
    with doors.client() as admin, doors.client(doors.key_of("reader")) as reader:
        assert admin.post(URL, json=sql).headers["x-cache"] == "miss"
        assert reader.post(URL, json=sql).headers["x-cache"] == "hit"


class TestAggregates:
    """`GET …/rows?aggregate=…`."""

    def found(self, api: httpx.Client, table: str, **query: Any) -> Any:
        answer = api.get(f"/api/v1/tables/{table}/rows", params=query)
        return answer.json()["rows"] if answer.status_code == 200 else told(answer)[:2]

    def test_all_of_it(self, api: httpx.Client, table: str) -> None:
        query = {"aggregate": "count(*), sum(p) AS total, max(a)"}
        assert self.found(api, table, **query) == [{"count(*)": 4, "total": 12.0, "max(a)": 4}]

    def test_in_groups(self, api: httpx.Client, table: str) -> None:
        query: dict[str, Any] = {
            "aggregate": "count(*) AS n",
            "group_by": "b",
            "order_by": "n desc, b",
        }
        assert self.found(api, table, **query) == [
            {"b": "x", "n": 2},
            {"b": "y", "n": 1},
            {"b": "z", "n": 1},
        ]
        query |= {"where": '{"a": {"lt": 4}}', "limit": 1, "offset": 1}
        assert self.found(api, table, **query) == [{"b": "y", "n": 1}]
        assert self.found(api, table, group_by="b", order_by="b", limit=1) == [
            {"b": "x", "count(*)": 2}
        ]

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ({"aggregate": "count(*) FROM x"}, "invalid_sql"),
            ({"aggregate": "*"}, "invalid_sql"),
            ({"aggregate": "sum(nope)"}, "invalid_sql"),
            ({"aggregate": "count(*)", "group_by": "b HAVING true"}, "invalid_sql"),
            ({"aggregate": "count(*)", "where": "1) OR (1"}, "invalid_sql"),
            ({"aggregate": "count(*)", "select": "a"}, "invalid_request"),
            ({"aggregate": "(SELECT 1 FROM other)"}, "table_not_found"),
        ],
    )
    def test_refused(self, api: httpx.Client, table: str, query: dict[str, Any], code: str) -> None:
        assert self.found(api, table, **query)[1] == code

    def test_of_the_past(self, api: httpx.Client, table: str) -> None:
        url = f"/api/v1/tables/{table}/rows"
        then = api.get(url).json()["version"]
        api.delete(url, params={"all": True})
        answer = api.get(url, params={"aggregate": "count(*)", "version": then}).json()
        assert (answer["rows"], answer["version"]) == ([{"count(*)": 4}], then)


class TestBatches:
    """`POST /batch/operations`."""

    def sent(self, api: httpx.Client, *operations: dict[str, Any], **more: Any) -> httpx.Response:
        return api.post("/api/v1/batch/operations", json={"operations": operations, **more})

    def test_the_example_runs_unchanged(self, client: Client, api: httpx.Client) -> None:
        products = pa.schema([("id", pa.int64()), ("name", pa.string()), ("price", pa.float64())])
        empty = products.empty_table()
        client.put(empty, ingest={"table": "products", "mode": "create", "key": ["id"]})
        body = {
            "operations": [
                {
                    "operation": "insert",
                    "table": "products",
                    "data": [{"id": 1, "name": "a", "price": 10.5}, {"id": 2, "name": "b"}],
                },
                {
                    "operation": "update",
                    "table": "products",
                    "where": {"id": 1},
                    "set": {"price": 12.99},
                },
                {"operation": "upsert", "table": "products", "data": {"id": 2, "price": 3}},
                {"operation": "delete", "table": "products", "where": "price < 5"},
            ],
            "transaction": True,
            "continue_on_error": False,
            "return_results": True,
        }
        answer = api.post("/api/v1/batch/operations", json=body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["total_operations"], told["successful"], told["failed"]) == (4, 4, 0)
        assert told["errors"] == []
        assert told["execution_time_ms"] > 0
        assert [one["status"] for one in told["results"]] == ["success"] * 4
        assert [one["rows"] for one in told["results"]] == [2, 1, 1, 1]
        assert len({one["commit"] for one in told["results"]}) == 1
        left = api.get("/api/v1/tables/products/rows").json()["rows"]
        assert left == [{"id": 1, "name": "a", "price": 12.99}]

    def test_all_or_nothing(self, api: httpx.Client, table: str) -> None:
        before = api.get(f"/api/v1/tables/{table}/rows").json()
        answer = self.sent(
            api,
            {"operation": "insert", "table": table, "data": {"a": 9}},
            {"operation": "update", "table": table, "where": {"a": 1}, "set": {"a": "x"}},
            {"operation": "delete", "table": table, "all": True},
        )
        told = answer.json()
        assert (answer.status_code, told["error"]["code"]) == (400, "invalid_data")
        assert [one["status"] for one in told["results"]] == ["rolled_back", "failed", "skipped"]
        assert (told["successful"], told["failed"]) == (0, 1)
        assert told["errors"][0]["operation"] == 1
        after = api.get(f"/api/v1/tables/{table}/rows").json()
        assert (after["rows"], after["version"]) == (before["rows"], before["version"])

    def test_each_for_itself(self, api: httpx.Client, table: str) -> None:
        wrong = {"operation": "delete", "table": "nope", "all": True}
        good = {"operation": "insert", "table": table, "data": {"a": 9}}
        answer = self.sent(api, good, wrong, good, continue_on_error=True)
        told = answer.json()
        assert (answer.status_code, told["successful"], told["failed"]) == (200, 2, 1)
        assert told["errors"][0]["code"] == "table_not_found"
        answer = self.sent(api, good, wrong, good, transaction=False, return_results=False)
        told = answer.json()
        assert (answer.status_code, told["successful"], told["results"]) == (404, 1, [])
        assert rows(api, f"SELECT count(*) AS n FROM {table} WHERE a = 9") == [{"n": 3}]

    @pytest.mark.parametrize(
        ("operations", "more", "status", "message"),
        [
            ([{"operation": "merge", "table": "t"}], {}, 400, "merge"),
            (
                [{"operation": "insert", "tabel": "t", "data": []}],
                {},
                400,
                "no field 'operations.0.tabel'",
            ),
            ([{"operation": "insert", "table": "t", "data": {"a": 1}}] * 1001, {}, 413, "1001"),
            ([{"operation": "insert", "table": "t", "data": [{"a": 1}] * 1001}], {}, 413, "1001"),
            ([], {"transaction": True, "continue_on_error": True}, 400, "contradict"),
        ],
    )
    def test_refused(
        self, api: httpx.Client, operations: Any, more: Any, status: int, message: str
    ) -> None:
        answer = self.sent(api, *operations, **more)
        assert answer.status_code == status
        assert message in answer.json()["error"]["message"]

    def test_without_where(self, api: httpx.Client, table: str) -> None:
        answer = self.sent(api, {"operation": "delete", "table": table})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")

    def test_nothing_to_do(self, api: httpx.Client) -> None:
        assert self.sent(api).json()["total_operations"] == 0

    def test_a_reader(self, doors: TwoDoors, table: str) -> None:
        with doors.client(doors.key_of("reader")) as reader:
            operation = {"operation": "insert", "table": table, "data": {"a": 1}}
            assert self.sent(reader, operation).json()["errors"][0]["code"] == "forbidden"
