"""The files of a page, as a browser is answered with them: once, until they change."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response


def page_file(request: Request, content: bytes, content_type: str, policy: str) -> Response:
    """A file with its policy; without its content for whoever has it already."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {
        "content-security-policy": policy,
        "etag": tag,
        "cache-control": "no-cache",
        "content-type": content_type,
    }
    known = request.headers.get("if-none-match", "")
    if tag in {one.strip().removeprefix("W/") for one in known.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers)
