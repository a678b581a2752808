"""Whoever mistakes a route, a parameter or a body is told what was wrong, and what there is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fix_http import TwoDoors

JSON = "application/json"
LOGIN = b"username=ann&password=a+long+sentence"


@pytest.fixture(scope="module", autouse=True)
def table(api: httpx.Client) -> None:
    made = {"table": "prices", "columns": [{"name": "price", "type": "float64"}]}
    assert api.post("/api/v1/tables", json=made).status_code == 201


def message(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    told: str = answer.json()["error"]["message"]
    return told


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("/tables", "/api/v1/tables"),
        ("/tables/prices/rows", "/api/v1/tables/prices/rows"),
        ("/api/v1/tabels", "/api/v1/tables"),
        ("/helth/ready", "/health/ready"),
        ("/", ""),
    ],
)
def test_a_path_that_leads_nowhere(api: httpx.Client, path: str, nearest: str) -> None:
    near = f" Did you mean '{nearest}'?" if nearest else ""
    expected = f"There is nothing at '{path}'.{near} What there is stands at '/docs'."
    assert message(api.get(path), 404) == expected


def test_a_method_that_a_path_has_not(api: httpx.Client) -> None:
    """Routes of one path are apart in the application, and Allow has to name all of them."""
    answer = api.put("/api/v1/tables/prices/rows", json={})
    told = "'PUT /api/v1/tables/prices/rows' is not possible: there is DELETE, GET, PATCH, POST."
    assert message(answer, 405) == told
    assert answer.headers["allow"] == "DELETE, GET, PATCH, POST"
    assert "there is POST" in message(api.get("/api/v1/query"), 405)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tables/prices/rows?slect=price", "has no parameter 'slect'. Did you mean 'select'?"),
        ("tables/prices/rows?limit=ten", "The parameter 'limit' of the route is \"ten\": input"),
        ("tables/prices/rows?as_of=2026-01-31", '2026-01-31": give a time zone, as in'),
        ("tables/prices/rows?select=a&select=price", "'select' stands in the URL more than once"),
        ("tables/prices/changes", "The route needs the parameter 'after'."),
        ("usage?of=everybody", "\"everybody\": input should be 'mine', 'workspace' or 'all'."),
    ],
)
def test_parameters(api: httpx.Client, path: str, expected: str) -> None:
    assert expected in message(api.get(f"/api/v1/{path}"))


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("query", {"sqll": "select 1"}, "has no field 'sqll'. Did you mean 'sql'?"),
        ("query", {"query": "select 1"}, "The body needs the field 'sql'."),
        ("query", {"sql": "select 1", "limit": "ten"}, "The field 'limit' of the body is \"ten\""),
        ("query", ["select 1"], "The body is not an object of JSON."),
        ("auth/users", {"name": "a", "passwrd": "x"}, "Did you mean 'password'?"),
        ("auth/users", {"name": "a", "password": 17}, "'password' of the body cannot be it:"),
        ("auth/grants", {"role": "r", "actions": ["select"]}, "'actions.0' of the body is \"sel"),
    ],
)
def test_fields(api: httpx.Client, path: str, body: Any, expected: str) -> None:
    assert expected in message(api.post(f"/api/v1/{path}", json=body))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"operation": "inset"}, "it is one of 'insert', 'upsert', 'update', 'delete'. Did you"),
        ({"op": "insert"}, "The body of the batch needs the field 'operations.0.operation'."),
        ({"operation": "insert", "table": "prices"}, "needs the field 'operations.0.data'."),
        (
            {"operation": "insert", "table": "prices", "data": [], "rows": []},
            "The body of the batch has no field 'operations.0.rows'.",
        ),
    ],
)
def test_operations_of_a_batch(api: httpx.Client, operation: Any, expected: str) -> None:
    answer = api.post("/api/v1/batch/operations", json={"operations": [operation]})
    assert expected in message(answer)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("PATCH", "tables/prices/rows", "Give a filter, which is 'where' over HTTP, or say"),
        ("POST", "views", "only a query can stand in a view"),
        ("POST", "tables", "none is partitioned by week(…): write a column, or year, month"),
        ("GET", "views/prices", "'prices' is a table and no view: ask for it, alter it and drop"),
    ],
)
def test_the_remedy_is_named(api: httpx.Client, method: str, path: str, expected: str) -> None:
    body = {
        "tables/prices/rows": {"set": {"price": 1}},
        "views": {"view": "cheap", "sql": "delete from prices"},
        "tables": {
            "table": "t",
            "columns": [{"name": "at", "type": "date32"}],
            "partition_by": ["week(at)"],
        },
    }.get(path)
    answer = api.request(method, f"/api/v1/{path}", json=body)
    assert expected in message(answer, 501 if path == "views" else 400)


def test_what_takes_no_body_ignores_none(api: httpx.Client) -> None:
    """Whoever asks for something by a field that nobody reads would get something else."""
    made = {"name": "kept", "table": "prices"}
    assert api.post("/api/v1/snapshots", json=made).status_code == 201
    paths = {
        path: operation["post"]
        for path, operation in api.get("/openapi.json").json()["paths"].items()
        if "post" in operation and "requestBody" not in operation["post"]
    }
    assert len(paths) >= 4
    for path in paths:
        url = path.replace("{table}", "kept" if "/snapshots/" in path else "prices")
        told = message(api.post(url, json={"table": "prices"}))
        assert told.startswith("This route takes no body"), path
    for nothing in (b"", b"{}", b" {\n}\n"):
        assert api.post("/api/v1/snapshots/kept/restore", content=nothing).status_code == 200


def test_a_batch_that_is_a_list(api: httpx.Client) -> None:
    answer = api.post("/api/v1/batch/operations", json=[])
    assert message(answer) == "The body is a list, where an object is needed."


def test_a_secret_is_not_said_back(api: httpx.Client) -> None:
    for body in ({"name": "a", "password": ["xyzzy"]}, ["a", "xyzzy"], {"password": "xyzzy"}):
        assert "xyzzy" not in message(api.post("/api/v1/auth/users", json=body))


@pytest.mark.parametrize(
    ("content_type", "body", "status", "expected"),
    [
        (
            "application/x-www-form-urlencoded",
            b'{"sql": "select 1"}',
            415,
            "Bodies of the type 'application/x-www-form-urlencoded' are not read here: send JSON, "
            "with the header 'content-type: application/json'.",
        ),
        (JSON, b"", 400, "The body is missing: send JSON, as application/json."),
        (
            JSON,
            b"select 1",
            400,
            "The body is not JSON: Expecting value: line 1 column 1 (char 0).",
        ),
        (JSON, b'{"sql": "\xff"}', 400, "The body is not JSON: it is not UTF-8 text"),
    ],
)
def test_bodies(
    api: httpx.Client, content_type: str, body: bytes, status: int, expected: str
) -> None:
    sent = api.post("/api/v1/query", content=body, headers={"content-type": content_type})
    assert expected in message(sent, status)


def test_nobody_learns_of_a_secret_by_a_wrong_type_of_body(doors: TwoDoors) -> None:
    with doors.client(headers={"content-type": "text/plain"}) as client:
        answer = client.post("/api/v1/auth/users", content=LOGIN)
    assert "long" not in message(answer, 415)
