"""Errors as answers: the one shape, for routes and for the layers around them."""

from __future__ import annotations

import math

from starlette.responses import JSONResponse

from flight_server.errors import ErrorCode, PixelflightError

RETRY_SECONDS = 1


def error_response(error: PixelflightError, request_id: str) -> JSONResponse:
    """The error in the shape of every protocol, with the headers that its code asks for."""
    body = {"error": error.as_json(request_id)}
    response = JSONResponse(body, status_code=error.code.http)
    if error.code in (ErrorCode.UNAVAILABLE, ErrorCode.LIMIT_EXCEEDED):
        seconds = error.details.get("retry_after_seconds", RETRY_SECONDS)
        response.headers["retry-after"] = str(max(1, math.ceil(seconds)))
    if error.code is ErrorCode.UNAUTHENTICATED:
        response.headers["www-authenticate"] = "Bearer"
    return response
