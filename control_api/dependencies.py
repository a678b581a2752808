"""What routes ask for: the services, and the call that they serve."""

from __future__ import annotations

import math
import time
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer

from control_api.bookkeeping import arrived
from flight_server import auth, operations
from flight_server.engines.cancellation import Cancellation
from flight_server.errors import InvalidRequest

TIMEOUT = "x-timeout-seconds"
# Tells OpenAPI how to ask; who asks is found out by `call_of`.
SECURED = HTTPBearer(auto_error=False, description="An API key or a token, as 'Bearer …'.")


async def _services(request: Request) -> operations.Services:
    services: operations.Services = request.app.state.services
    return services


Services = Annotated[operations.Services, Depends(_services)]


async def _peer(request: Request) -> str | None:
    """The address that asks, or that a trusted proxy asks for."""
    return request.state.stage.actor.host or None


Peer = Annotated[str | None, Depends(_peer)]


def _identity(request: Request, services: Services, peer: Peer) -> auth.Identity:
    """Who asks. Unauthenticated."""
    authorization = request.headers.get("authorization", "")
    return services.authenticator.identify(authorization, peer, _certificate(request))


Identity = Annotated[auth.Identity, Depends(_identity)]


async def _call(request: Request, services: Services, identity: Identity) -> operations.Call:
    """The request as operations see it. LimitExceeded; InvalidRequest; TimedOut; Cancelled."""
    _check_once(request)
    seconds = min(_timeout(request), services.settings.deadline_seconds_max)
    cancellation = Cancellation(time.monotonic() + seconds, request.state.client.is_gone)
    actor = request.state.stage.actor
    call = operations.Call(
        identity.principal,
        request.state.request_id,
        cancellation,
        door=actor.door,
        peer=actor.peer,
        meter=services.limits.meter(identity.principal),
    )
    request.state.served.principal = identity.principal.id
    await arrived(request, services, identity, call)
    # Nothing is begun for whom it would come too late.
    cancellation.check()
    return call


Call = Annotated[operations.Call, Depends(_call)]


def _check_once(request: Request) -> None:
    """InvalidRequest where a parameter comes twice, of which one would not be looked at."""
    seen = set()
    for name, _ in request.query_params.multi_items():
        if name in seen:
            raise InvalidRequest(
                f"The parameter '{name[:80]}' stands in the URL more than once: give it once. "
                "Where it takes several names, they stand between commas."
            )
        seen.add(name)


async def _no_body(request: Request, call: Call) -> None:
    """InvalidRequest where a body comes to a route that would not do what it says."""
    sent = b""
    async for piece in request.stream():
        sent += piece
        if b"".join(sent.split()) not in (b"", b"{", b"{}"):
            raise InvalidRequest(
                "This route takes no body, and what is said there would not be done: leave it "
                "out. Parameters, where there are any, stand in the URL."
            )


# For what a client may well send a body to.
NO_BODY = Depends(_no_body)


async def identity_of(request: Request, services: operations.Services) -> auth.Identity:
    """Who asks, for what stands around the routes. Unauthenticated."""
    peer = request.state.stage.actor.host or None
    return await run_in_threadpool(_identity, request, services, peer)


async def call_of(request: Request, services: operations.Services) -> operations.Call:
    """The call, for a route that asks who calls only where it has to know. Errors as `_call`."""
    return await _call(request, services, await identity_of(request, services))


async def _ingest_token(request: Request) -> str | None:
    """The token that the request's Idempotency-Key stands for."""
    return getattr(request.state, "ingest_token", None)


IngestToken = Annotated[str | None, Depends(_ingest_token)]


def _certificate(request: Request) -> str | None:
    """The name in the client's certificate, if the settings say that it counts.

    A browser shows its certificate for every page that asks it to send something. So it does not
    count for pages of other origins.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return None
    name: str | None = getattr(request.state, "certificate", None)
    return name


def _timeout(request: Request) -> float:
    text = request.headers.get(TIMEOUT, "")
    if not text:
        return math.inf
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise InvalidRequest(f"The header '{TIMEOUT}' is '{text[:40]}': give a number above 0.")
    return seconds
