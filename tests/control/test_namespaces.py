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
