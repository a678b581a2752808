"""Whether the process lives and whether it can serve; asked by load balancers, without a key.

Tells nothing beyond that: what is mounted is told to those who may know it.
"""

from __future__ import annotations

from fastapi import APIRouter, Request

from flight_server import operations
from flight_server.errors import Unavailable

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
def live() -> dict[str, str]:
    """Answers for as long as the process does."""
    return {"status": "live"}


@router.get("/ready")
def ready(request: Request) -> dict[str, str]:
    """Answers 200 while the server serves and every engine answers, 503 otherwise."""
    if not request.app.state.serving:
        raise Unavailable("The server is starting or stopping.")
    operations.health(request.app.state.services)
    return {"status": "ready"}
