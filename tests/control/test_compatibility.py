"""Clients of the last release go on working: the document that they know is kept, and compared."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.control.compatibility import broken

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT.read_text("utf-8"))
    return found


def test_nothing_breaks_a_client_of_the_kept_document(
    api: httpx.Client, kept: dict[str, Any]
) -> None:
    assert broken(kept, api.get("/openapi.json").json()) == []


ROWS = "/api/v1/tables/{table}/rows"

BREAKING: list[tuple[str, Change]] = [
    ("is gone", lambda d: d["paths"].pop("/api/v1/namespaces")),
    ("is gone", lambda d: d["paths"]["/api/v1/namespaces"].pop("post")),
    (
        "no longer takes 'catalog'",
        lambda d: d["paths"]["/api/v1/namespaces"]["get"].pop("parameters"),
    ),
    (
        "now needs 'catalog'",
        lambda d: d["paths"]["/api/v1/namespaces"]["get"]["parameters"][0].update(required=True),
    ),
    ("is called", lambda d: d["paths"][ROWS]["get"].update(operationId="other")),
    ("no longer answers", lambda d: d["paths"][ROWS]["get"]["responses"].pop("200")),
    (
        "no longer answers text/csv",
        lambda d: d["paths"][ROWS]["get"]["responses"]["200"]["content"].pop("text/csv"),
    ),
    (
        "now needs 'color'",
        lambda d: d["components"]["schemas"]["CreateRole"].update(required=["name", "color"]),
    ),
    (
        "has no 'description' any more",
        lambda d: d["components"]["schemas"]["CreateRole"]["properties"].pop("description"),
    ),
    (
        "is integer, no longer string",
        lambda d: d["components"]["schemas"]["CreateRole"]["properties"]["name"].update(
            type="integer"
        ),
    ),
    (
        "has no 'error' any more",
        lambda d: d["components"]["schemas"]["Error"]["properties"].pop("error"),
    ),
]
CATALOG = ("/api/v1/functions", "get", 0)


def parameter(document: dict[str, Any]) -> Any:
    path, method, place = CATALOG
    return document["paths"][path][method]["parameters"][place]["schema"]


def role(document: dict[str, Any]) -> Any:
    return document["components"]["schemas"]["CreateRole"]


def error(document: dict[str, Any]) -> Any:
    return document["components"]["schemas"]["Error"]["properties"]["error"]


def ready(document: dict[str, Any]) -> Any:
    answer = document["paths"]["/health/ready"]["get"]["responses"]["200"]
    return answer["content"]["application/json"]["schema"]["properties"]


def asked(document: dict[str, Any]) -> Any:
    return document["paths"][ROWS]["get"]["responses"]["200"]["content"]["application/json"]


def told(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


NULLABLE = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
MORE_BREAKING: list[tuple[str, Change]] = [
    ("is integer, no longer string", lambda d: parameter(d).update(type="integer")),
    ("has other values", lambda d: parameter(d).update(enum=["lake"])),
    ("must match another pattern", lambda d: parameter(d).update(pattern="^l")),
    ("has a narrower maxLength", lambda d: parameter(d).update(maxLength=3)),
    ("has a narrower minLength", lambda d: parameter(d).update(minLength=3)),
    (
        "no longer takes null",
        lambda d: role(d)["properties"].update(workspace={"type": "string"}),
    ),
    ("may now be null", lambda d: asked(d)["schema"]["properties"].update(version=NULLABLE)),
    ("may now lack 'code'", lambda d: error(d)["required"].remove("code")),
    ("has other values", lambda d: ready(d)["status"]["enum"].append("perhaps")),
    ("'definition'", lambda d: told(d, "Table")["properties"].pop("definition")),
    ("may now lack 'rows'", lambda d: told(d, "Table")["required"].remove("rows")),
    ("may now be null", lambda d: told(d, "User")["properties"].update(name=NULLABLE)),
    ("tables", lambda d: told(d, "SnapshotContent")["properties"].pop("tables")),
    (
        "[] is string, no longer object",
        lambda d: asked(d)["schema"]["properties"]["rows"].update(items={"type": "string"}),
    ),
    (
        "now needs a credential",
        lambda d: d["paths"]["/health/live"]["get"].update(security=[{"HTTPBearer": []}]),
    ),
    (
        "now needs a body",
        lambda d: d["paths"][ROWS]["get"].update(requestBody={"required": True}),
    ),
    (
        "no longer takes text/csv",
        lambda d: d["paths"][ROWS]["post"]["requestBody"]["content"].pop("text/csv"),
    ),
]
HARMLESS: list[Change] = [
    lambda d: parameter(d).pop("type"),
    lambda d: role(d)["required"].clear(),
    lambda d: d["paths"][ROWS]["get"]["responses"].pop("404"),
    lambda d: asked(d)["schema"]["properties"]["version"].update(minimum=0),
    lambda d: ready(d)["status"]["enum"].pop(),
    lambda d: error(d)["properties"]["code"]["examples"].append("new"),
    lambda d: d["paths"].update({"/api/v1/new": {"get": {"operationId": "new", "responses": {}}}}),
    lambda d: d["paths"]["/api/v1/namespaces"]["get"]["parameters"].append(
        {"in": "query", "name": "more", "required": False}
    ),
    lambda d: d["components"]["schemas"]["CreateRole"]["properties"].update(color={}),
    lambda d: d["components"]["schemas"]["Error"]["properties"].update(more={}),
    lambda d: d["components"]["schemas"]["Table"]["properties"].update(color={}),
    lambda d: d["paths"]["/health/live"]["get"].update(security=[{}, {"HTTPBearer": []}]),
    lambda d: d["paths"]["/api/v1/namespaces"]["get"].update(summary="Other words"),
]


@pytest.mark.parametrize(("said", "change"), BREAKING + MORE_BREAKING)
def test_what_breaks_a_client_is_told(kept: dict[str, Any], said: str, change: Change) -> None:
    changed = copy.deepcopy(kept)
    change(changed)
    told = broken(kept, changed)
    assert any(said in sentence for sentence in told), told


@pytest.mark.parametrize("change", HARMLESS)
def test_what_is_added_breaks_nobody(kept: dict[str, Any], change: Change) -> None:
    changed = copy.deepcopy(kept)
    change(changed)
    assert broken(kept, changed) == []
