"""Whether the process lives and whether it can serve; asked by load balancers, without a key.

Tells nothing beyond that: what is kept is told to those who may know it.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from control_api.refusals import error_response
from flight_server.errors import Unavailable

router = APIRouter(prefix="/health", tags=["operations"])

_SERVING = {"status": "failed", "reason": "The server is starting or stopping."}
READY = {"status": "ready", "checks": {"metastore": {"status": "ok"}}}
NOT_READY = {
    "error": {
        "code": "unavailable",
        "message": "The server is not ready. serving: The server is starting or stopping.",
        "retryable": True,
        "request_id": "5f24d5b223c8-7",
        "details": {},
    },
    "status": "not_ready",
    "checks": {"serving": _SERVING, "metastore": {"status": "ok"}},
}


def _answered(example: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of an answer: every member of the example is always there."""
    schema = {
        "type": "object",
        "properties": {
            "status": {"type": "string", "enum": ["ready", "not_ready"]},
            "checks": {"type": "object", "additionalProperties": {"type": "object"}},
            "error": {"type": "object"},
        },
        "required": sorted(example),
    }
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": "Whether it can serve.", "content": content}


# Some checks of uptime ask by HEAD.
@router.head("/live", include_in_schema=False)
@router.get("/live")
async def live() -> dict[str, str]:
    """Answers for as long as the process does."""
    return {"status": "live"}


@router.head("/ready", include_in_schema=False)
@router.get(
    "/ready",
    response_class=JSONResponse,
    responses={200: _answered(READY), 503: _answered(NOT_READY)},
)
def ready(request: Request) -> Response:
    """Answers 200 while the server can serve, and 503 with the reasons while it cannot.

    Asked are the metastore, each engine, and whether the disk can be written and has room.
    """
    state = request.app.state
    found = state.checks.readiness(None if state.serving else "The server is starting or stopping.")
    checks = {name: _told(result) for name, result in found.checks.items()}
    if found.is_ready:
        return JSONResponse({"status": "ready", "checks": checks})
    reasons = [f"{name}: {result}" for name, result in found.checks.items() if result != "ok"]
    error = Unavailable("The server is not ready. " + " ".join(reasons))
    more = {"status": "not_ready", "checks": checks}
    return error_response(error, request.state.request_id, more)


def _told(result: str) -> dict[str, Any]:
    return {"status": "ok"} if result == "ok" else {"status": "failed", "reason": result}
