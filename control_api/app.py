"""The HTTP door: routers, what surrounds them, and the one place where errors become JSON.

Holds no route bodies. Knows `operations` and what stands below; knows nothing of Flight.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from control_api import demo, openapi
from control_api.bookkeeping import told
from control_api.dependencies import SECURED
from control_api.layers import surround
from control_api.mistakes import ill_fitting, nothing_there, other_methods, unreadable
from control_api.openapi import OpenApi
from control_api.paths import with_slashes
from control_api.refusals import error_response
from control_api.routes import (
    audit,
    auth_keys,
    auth_roles,
    auth_tokens,
    auth_users,
    batch,
    computed_columns,
    exports,
    functions,
    health,
    history,
    imports,
    indexes,
    jobs,
    metrics,
    namespaces,
    providers,
    query,
    rows,
    single_rows,
    snapshots,
    streams,
    tables,
    usage,
    views,
    webhooks,
    workspaces,
)
from flight_server import operations
from flight_server.errors import ErrorCode, PixelflightError
from flight_server.operations import Services

PREFIX = "/api/v1"
# Under the prefix, in the order in which the documentation shows them.
ROUTERS = (
    auth_tokens.router,
    auth_users.router,
    auth_keys.router,
    namespaces.router,
    tables.router,
    rows.router,
    single_rows.router,
    query.router,
    batch.router,
    imports.router,
    jobs.router,
    exports.router,
    streams.router,
    history.router,
    indexes.router,
    views.router,
    computed_columns.router,
    functions.router,
    providers.router,
    snapshots.router,
    webhooks.router,
    audit.router,
    auth_roles.router,
    workspaces.router,
    usage.router,
)


def create_app(services: Services) -> FastAPI:
    """The application over assembled services. `app.state.serving` is what `ready` says."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_with_threads,
        routes=_routes().routes,
    )
    app.state.services = services
    app.state.openapi = app.openapi = _openapi()  # type: ignore[method-assign]
    app.state.serving = True
    app.state.checks = operations.Checks(services)
    app.add_exception_handler(PixelflightError, _pixelflight_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    surround(app, services, PREFIX)
    return app


@functools.cache
def _routes() -> APIRouter:
    """All routes. Analysing them takes most of a start: applications of one process share them."""
    # Operations are called what their functions are, which tests keep from being given twice.
    every = APIRouter(generate_unique_id_function=lambda route: route.name)
    for router in (health.router, metrics.router, openapi.router, demo.router):
        every.include_router(router)
    for router in ROUTERS:
        every.include_router(router, prefix=PREFIX, dependencies=[Depends(SECURED)])
    return every


@functools.cache
def _openapi() -> OpenApi:
    return OpenApi(_routes().routes, PREFIX)


@asynccontextmanager
async def _with_threads(app: FastAPI) -> AsyncIterator[None]:
    """A thread for each request that may run: otherwise slow ones would keep others waiting."""
    threads = anyio.to_thread.current_default_thread_limiter()
    threads.total_tokens = app.state.services.settings.http_requests_max
    yield


async def _pixelflight_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PixelflightError), "registered for this class"
    return await _answer(request, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for this class"
    document = await run_in_threadpool(request.app.openapi)
    return await _answer(request, ill_fitting(document, request, error))


async def _http_error(request: Request, error: Exception) -> Response:
    """What Starlette and FastAPI themselves refuse: unknown paths and methods, broken bodies."""
    assert isinstance(error, HTTPException), "registered for this class"
    if isinstance(error.__cause__, PixelflightError):
        # FastAPI's own word for whatever goes wrong while it reads a body.
        return await _answer(request, error.__cause__)
    if error.status_code == ErrorCode.INVALID_REQUEST.http:
        return await _answer(request, unreadable())
    path = with_slashes(request.url.path)
    document = await run_in_threadpool(request.app.openapi)
    if error.status_code == ErrorCode.NOT_FOUND.http:
        return await _answer(request, nothing_there(document, path, PREFIX))
    allowed, refusal = other_methods(document, request.method, path)
    response = await _answer(request, refusal)
    response.status_code = error.status_code
    response.headers["allow"] = allowed
    return response


async def _answer(request: Request, error: PixelflightError) -> JSONResponse:
    return error_response(await told(request, error), request.state.request_id)
