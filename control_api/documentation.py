"""The OpenAPI document, and Swagger UI for it, which loads nothing from elsewhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse

from flight_server.errors import ErrorCode, NotFound

DESCRIPTION = """\
Tables that speak Arrow, over HTTP. Heavy data goes as Arrow, here or over Arrow Flight; every route
that carries rows speaks JSON, JSON lines, CSV and Arrow by `Accept` and `Content-Type`.

Every error has the same shape; `code` is for programs, `message` for people, and `request_id` finds
it in the server's log."""
TAGS = {
    "auth": "Who may come in, and who may do what.",
    "namespaces": "Directories of tables.",
    "tables": "Tables: made, described, changed, removed.",
    "rows": "Rows: read, written, changed, deleted; one or many.",
    "query": "SQL.",
    "batch": "Several changes at once.",
    "history": "What tables were, and what has changed in them.",
    "views": "SELECTs under a name.",
    "workspaces": "Isolated sets of namespaces.",
    "audit": "Who did what.",
    "usage": "What was used, and what is left of it.",
    "operations": "What the server tells of itself.",
    "health": "Whether it lives and serves.",
}
# What any route under the prefix may answer with.
ERRORS = (
    ErrorCode.INVALID_REQUEST,
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN,
    ErrorCode.NOT_FOUND,
    ErrorCode.CONFLICT,
    ErrorCode.TOO_LARGE,
    ErrorCode.LIMIT_EXCEEDED,
    ErrorCode.CANCELLED,
    ErrorCode.INTERNAL,
    ErrorCode.UNSUPPORTED,
    ErrorCode.UNAVAILABLE,
    ErrorCode.TIMED_OUT,
)
# Beside them, where rows are negotiated and versions named.
MORE_ERRORS = (
    ErrorCode.NOT_ACCEPTABLE,
    ErrorCode.VERSION_CHANGED,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
)
ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "retryable", "request_id", "details"],
            "properties": {
                "code": {"type": "string", "examples": [code.text for code in ErrorCode]},
                "message": {"type": "string"},
                "retryable": {"type": "boolean"},
                "request_id": {"type": "string"},
                "details": {"type": "object"},
            },
        }
    },
}
# Swagger UI styles some elements in place.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Pixelflight</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = """\
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null });
"""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def page() -> Response:
    """Swagger UI."""
    return HTMLResponse(PAGE, headers={"content-security-policy": POLICY})


@router.get("/docs/start.js")
def start() -> Response:
    """What starts it: scripts within the page are forbidden."""
    return Response(START, media_type="text/javascript")


@router.get("/docs/{name}")
def asset(name: str) -> Response:
    """A file of Swagger UI's."""
    if name not in ASSETS:
        raise NotFound(f"There is nothing at '/docs/{name[:100]}'.")
    return FileResponse(_folder() / name, media_type=ASSETS[name])


def document(app: FastAPI, prefix: str) -> dict[str, Any]:
    """The OpenAPI document of the application, made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        for path, operations in found["paths"].items():
            for operation in operations.values():
                _tell_errors(operation, path.startswith(prefix))
        components = found.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        components["Error"] = ERROR_SCHEMA
        app.openapi_schema = found
    return app.openapi_schema


def _tell_errors(operation: dict[str, Any], is_api: bool) -> None:
    """Documents what may go wrong, in place of FastAPI's own shape, which is never answered."""
    answers = operation["responses"]
    answers.pop("422", None)
    codes = (*ERRORS, *MORE_ERRORS) if is_api else (ErrorCode.INTERNAL, ErrorCode.UNAVAILABLE)
    for code in codes:
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        told = {"description": code.meaning, "content": content}
        answers.setdefault(str(code.http), told)


def _folder() -> Path:
    """Where the package swagger-ui-py keeps the files of Swagger UI; it is never imported."""
    found = importlib.util.find_spec("swagger_ui")
    assert found is not None, "it is a dependency"
    assert found.submodule_search_locations, "it is a package"
    return Path(found.submodule_search_locations[0]) / "static"
