"""OpenAPI says of rows what is so: each form, and examples that fit what they are of."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest

ROWS = "/api/v1/tables/{table}/rows"
FORMS = {
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "application/vnd.apache.arrow.stream",
}


@pytest.fixture(scope="module")
def paths(api: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json()["paths"]
    return found


def test_rows_come_and_go_in_every_form(paths: dict[str, Any]) -> None:
    for path, verb in ((ROWS, "get"), (f"{ROWS}/{{row}}", "get"), ("/api/v1/query", "post")):
        assert set(paths[path][verb]["responses"]["200"]["content"]) == FORMS, path
    assert set(paths[ROWS]["post"]["requestBody"]["content"]) == FORMS


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        (ROWS, "post"),
        (ROWS, "patch"),
        (ROWS, "delete"),
        (f"{ROWS}/{{row}}", "put"),
        (f"{ROWS}/{{row}}", "patch"),
        (f"{ROWS}/key/{{values}}", "put"),
        (f"{ROWS}/key/{{values}}", "patch"),
        ("/api/v1/batch/operations", "post"),
    ],
)
def test_examples_fit_their_schemas(paths: dict[str, Any], path: str, verb: str) -> None:
    content = paths[path][verb]["requestBody"]["content"]["application/json"]
    jsonschema.Draft202012Validator.check_schema(content["schema"])
    jsonschema.validate(content["example"], content["schema"])


def test_what_stands_behind_the_question_mark(paths: dict[str, Any]) -> None:
    names = {one["name"] for one in paths[ROWS]["get"]["parameters"] if one["in"] == "query"}
    assert {"select", "where", "order_by", "limit", "cursor", "version", "aggregate"} <= names
