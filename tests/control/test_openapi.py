"""The OpenAPI document says enough of every route, and the page that shows it needs no network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from openapi_spec_validator import validate

from control_api.app import PREFIX
from control_api.openapi.answers import answers, components
from control_api.openapi.document import TAGS
from flight_server.errors import ErrorCode
from tests.fix_http import TwoDoors


@pytest.fixture(scope="module")
def document(api: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json()
    return found


def routes(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_it_is_openapi_and_needs_no_key(doors: TwoDoors, document: dict[str, Any]) -> None:
    validate(document)
    assert document["info"]["title"] == "Pixelflight"
    assert len(document["info"]["description"]) > 200
    with doors.client("") as nobody:
        assert nobody.get("/openapi.json").json() == document


def test_every_route_says_what_it_is(document: dict[str, Any]) -> None:
    silent = [
        f"{method} {path}"
        for path, method, operation in routes(document)
        if not (operation.get("summary") and operation.get("description"))
        or len(operation.get("tags", ())) != 1
        or operation["tags"][0] not in TAGS
    ]
    assert silent == []


def test_operation_ids_are_short_and_given_once(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in routes(document)]
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z_]{2,39}", name)] == []
    assert sorted(names) == sorted(set(names))


def test_tags_are_told_in_order(document: dict[str, Any]) -> None:
    assert [tag["name"] for tag in document["tags"]] == [
        name for name in TAGS if any(name in one["tags"] for _, _, one in routes(document))
    ]
    assert all(len(tag["description"]) > 3 for tag in document["tags"])


def test_routes_under_the_prefix_ask_for_a_credential(document: dict[str, Any]) -> None:
    ways: list[dict[str, list[str]]] = [
        {name: []} for name in document["components"]["securitySchemes"]
    ]
    assert len(ways) == 3
    for path, method, operation in routes(document):
        expected: Any = ways if path.startswith(PREFIX) else None
        if "/auth/token" in path:
            expected = []
        if path == "/metrics":
            expected = [{}, *ways]
        assert operation.get("security") == expected, f"{method} {path}"


def test_every_route_tells_of_its_errors(document: dict[str, Any]) -> None:
    for path, method, operation in routes(document):
        if not path.startswith(PREFIX):
            continue
        statuses = set(operation["responses"])
        takes_body = "requestBody" in operation
        assert {"500", "503"} <= statuses, path
        assert ("401" in statuses) == ("429" in statuses) != path.endswith("/revoke"), path
        assert ("415" in statuses) == takes_body, f"{method} {path}"
        assert not takes_body or {"400", "413"} <= statuses, f"{method} {path}"
        for status in statuses:
            if int(status) >= 400:
                reference = operation["responses"][status]["$ref"]
                assert reference.startswith("#/components/responses/")


def test_the_shape_of_errors_is_a_component(document: dict[str, Any]) -> None:
    error = document["components"]["schemas"]["Error"]["properties"]["error"]
    assert set(error["properties"]["code"]["examples"]) == {code.text for code in ErrorCode}
    assert "HTTPValidationError" not in document["components"]["schemas"]
    told = str(document["components"]["responses"])
    assert [code for code in ErrorCode if f"`{code.text}`" not in told] == []
    for response in document["components"]["responses"].values():
        content = response["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Error"}
        assert content["example"]["error"]["message"]


def test_writes_take_an_idempotency_key(document: dict[str, Any]) -> None:
    for path, method, operation in routes(document):
        if not path.startswith(PREFIX):
            continue
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert "x-request-id" in names
        assert ("x-timeout-seconds" in names) == ("504" in operation["responses"]), path
        secret = operation["operationId"].endswith(
            ("_token", "create_key", "rotate_key", "create_webhook", "rotate_webhook")
        )
        assert ("idempotency-key" in names) == (method != "get" and not secret), path


def test_the_page_loads_nothing_from_elsewhere(doors: TwoDoors) -> None:
    with doors.client("") as nobody:
        page = nobody.get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        assert len(loaded) == 4
        for path in loaded:
            assert path.startswith("/docs/")
            answer = nobody.get(path)
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            known = {"if-none-match": answer.headers["etag"]}
            assert nobody.get(path, headers=known).status_code == 304
    assert "<script>" not in page.text


def test_the_page_asks_for_the_document(doors: TwoDoors) -> None:
    with doors.client("") as nobody:
        assert '"/openapi.json"' in nobody.get("/docs/start.js").text
        assert "SwaggerUIBundle" in nobody.get("/docs/swagger-ui-bundle.js").text
        assert nobody.get("/docs/../app.py").status_code == 404
        assert nobody.get("/docs/other.js").status_code == 404


def test_every_route_asks_for_a_credential(doors: TwoDoors, document: dict[str, Any]) -> None:
    with doors.client("") as nobody, doors.client("pf_wrong") as stranger:
        for path, method, _ in routes(document):
            if not path.startswith(f"{PREFIX}/") or "/auth/token" in path:
                continue
            at = path.replace("{", "").replace("}", "")
            for client in (nobody, stranger):
                answer = client.request(method, at)
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.json()["error"]["code"] == "unauthenticated"


# One of these says what a schema holds.
TELLING = {"$ref", "anyOf", "properties", "additionalProperties", "items"}


def test_every_answer_says_what_it_holds(document: dict[str, Any]) -> None:
    """A route without: add it to control_api/openapi/answers.py."""
    silent = []
    for path, method, operation in routes(document):
        for status, response in operation["responses"].items():
            if status >= "3":
                continue
            assert ("content" in response) == (status != "204"), f"{method} {path}"
            for kind, content in response.get("content", {}).items():
                schema = content.get("schema", {})
                if not TELLING & set(schema) and (
                    kind == "application/json" or "type" not in schema
                ):
                    silent.append(f"{method} {path}: {status} {kind}")
    assert silent == []


def test_no_schema_is_told_of_and_answered_by_nobody(document: dict[str, Any]) -> None:
    known = {operation["operationId"] for _, _, operation in routes(document)}
    assert set(answers()) - known == set()
    text = json.dumps(document)
    assert [one for one in components() if f'"#/components/schemas/{one}"' not in text] == []


def test_every_parameter_says_what_it_is(document: dict[str, Any]) -> None:
    silent = [
        f"{method} {path}: {parameter['name']}"
        for path, method, operation in routes(document)
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert silent == []


def test_no_route_is_outside_of_the_document(doors: TwoDoors, document: dict[str, Any]) -> None:
    """But for the document itself, the page that shows it, and the page that shows a stream."""
    told = {(path, method) for path, method, _ in routes(document)}
    there = set(served(doors.app.routes))
    hidden = {path for path, method in there - told}
    assert {path for path in hidden if path != "/openapi.json"} == {
        path for path in hidden if path.startswith(("/docs", "/demo"))
    }
    assert told - there == set()
    assert len(told) > 60


def served(found: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Paths, as the document has them, and methods that the application answers."""
    for route in iter_route_contexts(list(found)):
        for method in route.methods or ():
            if method != "HEAD":
                yield re.sub(r":\w+}", "}", route.path or ""), method.lower()
