"""What was used, and how far the quotas are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from control_api.dependencies import Call, Services
from flight_server.bodies.bookkeeping import ReadUsage

router = APIRouter(prefix="/usage", tags=["usage"])


@router.get("")
def list_usage(
    services: Services, call: Call, query: Annotated[ReadUsage, Query()]
) -> dict[str, Any]:
    """Requests, rows, bytes and errors by day of UTC, and the quotas of your workspace."""
    return query.report(services, call)
