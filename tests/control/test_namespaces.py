"""Namespaces over HTTP."""

from __future__ import annotations

import httpx

from tests.fix_http import TwoDoors


def test_a_namespace_is_made_listed_and_removed(api: httpx.Client) -> None:
    made = api.post("/api/v1/namespaces", json={"namespace": "a/b"})
    assert (made.status_code, set(made.json())) == (201, {"commit"})
    assert "a/b" in api.get("/api/v1/namespaces").json()["namespaces"]
    assert api.delete("/api/v1/namespaces/a/b").status_code == 200
    assert "a/b" not in api.get("/api/v1/namespaces").json()["namespaces"]


def test_a_reader_may_list_and_not_make(doors: TwoDoors) -> None:
    with doors.client(doors.key_of("reader")) as reader:
        assert "main" in reader.get("/api/v1/namespaces").json()["namespaces"]
        refused = reader.post("/api/v1/namespaces", json={"namespace": "mine"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


def test_nobody_may_ask_without_a_credential(doors: TwoDoors) -> None:
    with doors.client("") as nobody:
        refused = nobody.get("/api/v1/namespaces")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"] == "Bearer"


def test_what_is_in_a_namespace(api: httpx.Client) -> None:
    there = "/api/v1/namespaces"
    answer = api.post(there, json={"namespace": "dir/sub"})
    assert (answer.status_code, answer.headers["location"]) == (201, f"{there}/dir%2Fsub")
    again = api.post(there, json={"namespace": "dir/sub", "if_not_exists": True})
    assert (again.status_code, again.json()) == (200, {"commit": None})
    refused(api.post(there, json={"namespace": "dir/sub"}), 409, "already_exists")
    api.post(there, json={"namespace": "dir"})
    columns = [{"name": "id", "type": "int8"}]
    assert api.post("/api/v1/tables", json={"table": "dir.t", "columns": columns}).is_success
    assert api.get(f"{there}/dir").json() == {
        "namespace": "dir",
        "namespaces": ["dir/sub"],
        "tables": ["dir.t"],
    }
    assert api.get(f"{there}/dir%2Fsub").json()["tables"] == []
    refused(api.get(f"{there}/nope"), 404, "namespace_not_found")
    refused(api.delete(f"{there}/dir"), 409, "conflict")
    assert api.delete(f"{there}/dir/sub").json()["commit"] > 0
    refused(api.delete(f"{there}/dir/sub"), 404, "namespace_not_found")
    gone = api.delete(f"{there}/dir/sub", params={"if_exists": True})
    assert gone.json() == {"commit": None}


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
