"""A page that streams a million rows out of this server and plots them while they arrive.

It is written in TypeScript, under js-client/demo/, and `make demo-page` builds it into the folder
beside this module, which the package brings along. It is no more than any client: without a key it
reads nothing.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_api.page_files import page_file
from flight_server.errors import NotFound

router = APIRouter(include_in_schema=False)

BUILT = Path(__file__).parent / "demo_page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A name in the URL → the file, and its content type.
_FILES = {
    "/demo": ("index.html", "text/html; charset=utf-8"),
    "/demo/demo.css": ("demo.css", "text/css; charset=utf-8"),
    "/demo/demo.js": ("demo.js", "text/javascript; charset=utf-8"),
}


@router.get("/demo")
@router.get("/demo/demo.css")
@router.get("/demo/demo.js")
def demo(request: Request) -> Response:
    """A file of the page."""
    name, content_type = _FILES[request.url.path]
    try:
        content = (BUILT / name).read_bytes()
    except FileNotFoundError:
        raise NotFound("The demo page is not built: 'make demo-page' builds it.") from None
    return page_file(request, content, content_type, POLICY)
