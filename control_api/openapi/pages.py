"""Swagger UI, without a network: its files come with the server, and so does all that it asks for.

The page runs two scripts of this origin and none that is written into it.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_api.page_files import page_file

router = APIRouter(include_in_schema=False)

# Swagger UI sets styles on its elements; everything else is of this origin or is not loaded.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pixelflight: the HTTP API</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""
START = """\
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "none",
  persistAuthorization: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
# A name in the URL → its content type; the files of the package that carries Swagger UI.
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The document."""
    return _answer(request, request.app.state.openapi.text, "application/json")


@router.get("/docs")
async def documentation(request: Request) -> Response:
    """The page that shows it."""
    return _answer(request, PAGE.encode(), "text/html; charset=utf-8")


@router.get("/docs/start.js")
async def start(request: Request) -> Response:
    """What the page runs."""
    return _answer(request, START.encode(), "text/javascript; charset=utf-8")


@router.get("/docs/swagger-ui-bundle.js")
@router.get("/docs/swagger-ui.css")
@router.get("/docs/favicon.png")
def asset(request: Request) -> Response:
    """A file of Swagger UI."""
    name = request.url.path.rpartition("/")[2]
    return _answer(request, _file(name), _FILES[name])


def _answer(request: Request, content: bytes, content_type: str) -> Response:
    return page_file(request, content, content_type, POLICY)


@cache
def _file(name: str) -> bytes:
    return resources.files("fastapi_offline").joinpath("static", name).read_bytes()
