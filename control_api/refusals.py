"""Errors as answers: the one shape, for routes and for the layers around them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.responses import JSONResponse

from flight_server.errors import ErrorCode, PixelflightError
from flight_server.telemetry import serving_now

RETRY_SECONDS = 1
NOTHING: Mapping[str, Any] = MappingProxyType({})


def error_response(
    error: PixelflightError, request_id: str, more: Mapping[str, Any] = NOTHING
) -> JSONResponse:
    """The error in the shape of every protocol, with the headers that its code asks for.

    `more` stands beside it in the body.
    """
    if (served := serving_now()) is not None:
        served.fail(error)
    body = {"error": error.as_json(request_id), **more}
    response = JSONResponse(body, status_code=error.code.http)
    if error.code in (ErrorCode.UNAVAILABLE, ErrorCode.LIMIT_EXCEEDED):
        seconds = error.details.get("retry_after_seconds", RETRY_SECONDS)
        response.headers["retry-after"] = str(max(1, math.ceil(seconds)))
    if error.code is ErrorCode.UNAUTHENTICATED:
        response.headers["www-authenticate"] = "Bearer"
    return response
