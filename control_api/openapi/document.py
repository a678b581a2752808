"""The document itself: what FastAPI reads off the routes, and what is added to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import metadata
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from control_api.openapi.answers import answers, components
from control_api.openapi.errors_of import LOGINS, WITHOUT_CALL, WITHOUT_KEY
from control_api.openapi.examples import Example, examples
from control_api.openapi.shared import (
    error_components,
    error_references,
    error_schema,
    header_parameters,
    meanings_of,
)

JSON = "application/json"
DESCRIPTION = """\
The control plane of Pixelflight, an Arrow Flight data server: who may do what, tables and their
rows, queries, batches, history.

Rows come and go as JSON, JSON lines, CSV or an Arrow stream: say which by `Accept` and
`Content-Type`. Answers are compressed with zstd or gzip where `Accept-Encoding` asks for it, and
bodies may be, by `Content-Encoding`. A table is named `[catalog:][namespace.]name`; a slash in a
name is written `%2F`.

Every error has one shape, `{"error": {"code", "message", "retryable", "request_id", "details"}}`,
over HTTP as over Flight. What you may not see is told exactly like what is not there.
"""
TAGS = {
    "auth": "Who is asking: tokens, API keys, users, roles and grants.",
    "workspaces": "Sets of namespaces that know nothing of each other.",
    "namespaces": "Directories of tables.",
    "tables": "Tables and their columns.",
    "rows": "Rows of a table: one or many.",
    "query": "SQL.",
    "batch": "Several operations in one request.",
    "webhooks": "What happens, told by HTTP to who asked for it.",
    "imports": "Files into tables, and the uploads that they come by.",
    "jobs": "Work that outlasts a request, done now or by the clock.",
    "history": "Versions of a table: told of, compared, named and restored.",
    "indexes": "Indexes of a table, and the rows that are near to something by one.",
    "views": "Queries that are read like tables.",
    "computed columns": "Columns that are computed of others.",
    "functions": "What expressions of computed columns may call.",
    "providers": "Keys of providers of models, and what was called of them.",
    "snapshots": "States of a table or a namespace that are kept.",
    "audit": "Who did what, when, from where.",
    "usage": "What was used, and what is left.",
    "operations": "For those who run the server; without a key where not stated otherwise.",
}
CREDENTIALS = {
    "HTTPBearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key or a token, as 'Bearer …'.",
    },
    "HTTPBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "A user and its password, which may be an API key.",
    },
    "ClientCertificate": {
        "type": "mutualTLS",
        "description": "The certificate of the connection, where the settings let it count.",
    },
}
# What a route needs: one of them; or a credential only where the settings say so.
_NEEDED: list[dict[str, list[str]]] = [{name: []} for name in CREDENTIALS]
_PERHAPS = [{}, *_NEEDED]
# FastAPI's own shape of errors, which is never sent.
_NOT_OURS = ("HTTPValidationError", "ValidationError")


class OpenApi:
    """The document of these routes. Made when it is first asked for, and once."""

    def __init__(self, routes: Sequence[BaseRoute], prefix: str) -> None:
        self._routes = routes
        self._prefix = prefix

    @cached_property
    def text(self) -> bytes:
        """As it is sent."""
        return json.dumps(self._made, ensure_ascii=False, separators=(",", ":")).encode()

    def __call__(self) -> dict[str, Any]:
        """As a value; what FastAPI calls where it wants it."""
        return self._made

    @cached_property
    def _made(self) -> dict[str, Any]:
        document = get_openapi(
            title="Pixelflight",
            version=metadata.version("pixelflight"),
            description=DESCRIPTION,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            routes=self._routes,
        )
        used = {tag for _, _, one in _operations(document) for tag in one.get("tags", ())}
        document["tags"] = [
            {"name": name, "description": description}
            for name, description in TAGS.items()
            if name in used
        ]
        shown = examples()
        for path, method, operation in _operations(document):
            _add_answer(operation)
            _add_shared(operation, method, path.startswith(self._prefix))
            meanings_of(operation.get("parameters", ()))
            if (example := shown.get(operation["operationId"])) is not None:
                _add_example(operation, example)
        parts = document.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        for name in _NOT_OURS:
            schemas.pop(name, None)
        ours = {**components(), "Error": error_schema()}
        assert not set(ours) & set(schemas), "names of bodies are not those of answers"
        schemas.update(ours)
        parts["responses"] = error_components()
        parts["securitySchemes"] = CREDENTIALS
        return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of every route."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _add_answer(operation: dict[str, Any]) -> None:
    schema = answers().get(operation["operationId"])
    for status, response in operation["responses"].items():
        if schema is not None and status.startswith("2"):
            response.setdefault("content", {}).setdefault(JSON, {})["schema"] = schema


def _add_shared(operation: dict[str, Any], method: str, is_api: bool) -> None:
    responses = operation["responses"]
    # What is malformed is answered with 400.
    responses.pop("422", None)
    if is_api:
        name = operation["operationId"]
        operation["security"] = [] if name in LOGINS else _NEEDED
        operation["responses"] = {**error_references(method, operation), **responses}
        headers = header_parameters(method, name not in WITHOUT_CALL, name not in WITHOUT_KEY)
        operation["parameters"] = [*operation.get("parameters", ()), *headers]
    elif "401" in responses:
        operation["security"] = _PERHAPS
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _add_example(operation: dict[str, Any], example: Example) -> None:
    for parameter in operation.get("parameters", ()):
        name = parameter.get("name")
        if name in example.parameters:
            parameter["example"] = example.parameters[name]
    if example.request is not None:
        content = operation["requestBody"]["content"]
        content.setdefault(JSON, {})["example"] = example.request
    if example.answer is not None:
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                response.setdefault("content", {}).setdefault(JSON, {})["example"] = example.answer
