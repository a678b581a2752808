"""What is counted and recorded of each request: who came, what it used, how it failed.

The books themselves are `operations`'; here is when HTTP writes into them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.types import Scope

from flight_server.auth import Credential, Identity
from flight_server.errors import PixelflightError
from flight_server.operations import Call, Services
from flight_server.operations.audit import Attempt
from flight_server.operations.limits import RouteClass, rate_headers, standing_of

# By the first part of a route's path below the prefix.
_ADMIN = frozenset({"auth", "workspaces", "audit", "usage"})
_BATCHES = "/batch/operations"
# Routes that ask by a body.
_ASKING = frozenset({"/query", "/batch/stream/{table:table}"})


async def arrived(request: Request, services: Services, identity: Identity, call: Call) -> None:
    """Somebody has shown a valid credential for a call. LimitExceeded."""
    request.state.stage.actor = call.actor
    request.state.attempt, request.state.meter = call.attempt, call.meter
    await _recorded(services, services.audit.arrived, call.actor, identity.credential)
    if identity.credential is Credential.JOB_TOKEN:
        # What a job does was counted when it was submitted.
        request.state.standing = None
    else:
        request.state.standing = services.limits.admit(call.principal, _class_of(request))


async def told(request: Request, error: PixelflightError) -> PixelflightError:
    """Takes note of an error, and gives what the client is to be told."""
    services, state = request.app.state.services, request.state
    error = services.limits.refused(error, state.stage.actor.host)
    state.standing = standing_of(error.details) or getattr(state, "standing", None)
    # Told to what measures and logs, around the routes.
    state.code = error.code
    if (meter := getattr(state, "meter", None)) is not None:
        meter.failed()
    attempt = getattr(state, "attempt", None) or Attempt()
    called = f"{request.method} {_pattern(request)}".rstrip()
    await _recorded(services, services.audit.told, state.stage.actor, error, called, attempt)
    return error


def ended(scope: Scope) -> None:
    """The last byte has been sent, or the client is gone."""
    if (meter := scope["state"].get("meter")) is not None:
        meter.end()
        # Bytes are those that crossed the network, which were counted there.
        served, moved = scope["state"]["served"], meter.total
        served.rows_in, served.rows_out = moved.rows_in, moved.rows_out


def headers(scope: Scope) -> dict[str, str]:
    """What an answer says of the limit that its request was counted under."""
    standing = scope["state"].get("standing")
    return {} if standing is None else rate_headers(standing)


async def _recorded(services: Services, record: Callable[..., Any], *told: Any) -> None:
    # The loop has other clients to serve than one who has to wait for room.
    await run_in_threadpool(record, *told) if services.audit.is_crowded else record(*told)


def _class_of(request: Request) -> RouteClass:
    path = _pattern(request)
    if path.split("/")[1:2] and path.split("/")[1] in _ADMIN:
        return RouteClass.ADMIN
    if path == _BATCHES:
        return RouteClass.BATCH
    is_asking = request.method in ("GET", "HEAD") or path in _ASKING
    return RouteClass.READ if is_asking else RouteClass.WRITE


def _pattern(request: Request) -> str:
    """The pattern of the request's path: within a path may stand what is in rows."""
    route = request.scope.get("route")
    return str(route.path) if route is not None else ""
