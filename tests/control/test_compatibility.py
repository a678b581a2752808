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
HARMLESS: list[Change] = [
    lambda d: d["paths"].update({"/api/v1/new": {"get": {"operationId": "new", "responses": {}}}}),
    lambda d: d["paths"]["/api/v1/namespaces"]["get"]["parameters"].append(
        {"in": "query", "name": "more", "required": False}
    ),
    lambda d: d["components"]["schemas"]["CreateRole"]["properties"].update(color={}),
    lambda d: d["components"]["schemas"]["Error"]["properties"].update(more={}),
    lambda d: d["paths"]["/api/v1/namespaces"]["get"].update(summary="Other words"),
]


@pytest.mark.parametrize(("said", "change"), BREAKING)
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
