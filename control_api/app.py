"""The HTTP door: routers, request ids, and the one place where errors become JSON.

Holds no route bodies. Knows `operations` and what stands below; knows nothing of Flight.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from control_api.routes import health
from flight_server.errors import (
    ErrorCode,
    Internal,
    InvalidRequest,
    NotFound,
    PixelflightError,
)
from flight_server.operations import Services

log = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"
REQUEST_ID_LENGTH_MAX = 128


def create_app(services: Services) -> FastAPI:
    """The application over assembled services. `app.state.serving` is what `ready` says."""
    app = FastAPI(title="Pixelflight", version="1", redoc_url=None)
    app.state.services = services
    app.state.serving = True
    app.middleware("http")(_with_request_id)
    app.add_exception_handler(PixelflightError, _pixelflight_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.include_router(health.router)
    return app


async def _with_request_id(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Takes the client's request id or makes one, and echoes it. Bugs end here, logged."""
    given = request.headers.get(REQUEST_ID, "")
    usable = given.isprintable() and 0 < len(given) <= REQUEST_ID_LENGTH_MAX
    request.state.request_id = given if usable else uuid.uuid4().hex
    try:
        response = await call_next(request)
    except Exception:
        request_id = request.state.request_id
        log.exception("internal error (id=%s)", request_id)
        response = _answer(request, Internal(f"internal error (id={request_id})"))
    response.headers[REQUEST_ID] = request.state.request_id
    return response


async def _pixelflight_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PixelflightError), "registered for this class"
    return _answer(request, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for this class"
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors()
    ]
    return _answer(request, InvalidRequest("The request is malformed: " + "; ".join(problems)))


async def _http_error(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException), "registered for this class"
    if error.status_code == ErrorCode.NOT_FOUND.http:
        return _answer(request, NotFound(f"There is nothing at '{request.url.path}'."))
    message = f"'{request.method} {request.url.path}' is not possible: {error.detail}."
    response = _answer(request, InvalidRequest(message))
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    return response


def _answer(request: Request, error: PixelflightError) -> JSONResponse:
    body = {"error": error.as_json(request.state.request_id)}
    return JSONResponse(body, status_code=error.code.http)
