"""What the server measures, for Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from control_api.dependencies import Services, call_of
from control_api.openapi.shared import errors
from flight_server import operations
from flight_server.errors import ErrorCode

FORMATS = ("text/plain", "application/openmetrics-text")

router = APIRouter(tags=["operations"])


async def _may_measure(request: Request, services: Services) -> None:
    """Unauthenticated or Forbidden where metrics are not for everybody."""
    if not operations.metrics_are_open(services):
        operations.check_may_measure(services, await call_of(request, services))


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {name: {"schema": {"type": "string"}} for name in FORMATS}},
        **errors(ErrorCode.UNAUTHENTICATED, ErrorCode.FORBIDDEN, ErrorCode.LIMIT_EXCEEDED),
    },
)
def metrics(
    request: Request, services: Services, allowed: Annotated[None, Depends(_may_measure)]
) -> Response:
    """Counters and gauges in the text format of Prometheus, or that of OpenMetrics if asked for.

    Needs no key where the server listens to its own machine only, else that of an admin
    (`metrics_access`). Names of tables and of people are in none of them.
    """
    accept = request.headers.get("accept", "")
    text, content_type = services.telemetry.metrics.exposition(accept)
    return Response(text, headers={"content-type": content_type})
