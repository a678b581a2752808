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


@router.get("/live")
async def live() -> dict[str, str]:
    """Answers for as long as the process does."""
    return {"status": "live"}


@router.get("/ready")
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
