"""The OpenAPI document: whole, true of every route, and shown without a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fix_http import TwoDoors

API = "/api/v1"
OPEN = {"/health/live", "/health/ready", "/metrics"}


@pytest.fixture(scope="module")
def document(doors: TwoDoors) -> dict[str, Any]:
    with doors.client("") as nobody:
        found: dict[str, Any] = nobody.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_operation_has_a_name_a_summary_and_a_tag(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names), "a name for each"
    assert all(name.isidentifier() for name in names)
    known = {tag["name"] for tag in document["tags"]}
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert set(operation["tags"]) <= known, (path, operation["tags"])


def test_every_operation_says_what_may_go_wrong(document: dict[str, Any]) -> None:
    shape = {"$ref": "#/components/schemas/Error"}
    for method, path, operation in operations(document):
        assert "422" not in operation["responses"]
        if path.startswith(API):
            for status in ("400", "401", "403", "404", "409", "413", "429", "500", "503"):
                content = operation["responses"][status]["content"]
                assert content["application/json"]["schema"] == shape, (method, path)
            assert operation["security"], path


def test_nothing_is_served_that_is_not_in_it(document: dict[str, Any]) -> None:
    for _, path, _ in operations(document):
        assert path.startswith(API) or path in OPEN


def test_every_route_asks_for_a_credential(doors: TwoDoors, document: dict[str, Any]) -> None:
    with doors.client("") as nobody, doors.client("pf_wrong") as stranger:
        for method, path, operation in operations(document):
            if not path.startswith(f"{API}/") or "/auth/token" in path:
                continue
            at = path.replace("{", "").replace("}", "")
            for client in (nobody, stranger):
                answer = client.request(method, at)
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.json()["error"]["code"] == "unauthenticated"
            assert operation["operationId"]


def test_the_page_of_documentation_forbids_what_it_does_not_need(api: httpx.Client) -> None:
    page = api.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "http" not in page.text
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert api.get(f"/docs/{name}").status_code == 200
    assert api.get("/docs/../../etc/passwd").status_code == 404
    assert api.get("/docs/secret.txt").json()["error"]["code"] == "not_found"
