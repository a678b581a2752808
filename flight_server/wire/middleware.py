"""The gate before every call of every method: who asks, under which id, and until when.

Credentials are those of `auth.authenticator`; a handshake is answered with a token. Whoever shows
none gets no further, or no further than the first line of a handler, which knows where the call
came from. A client certificate is looked at there, too, as pyarrow shows it to handlers alone.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from http.cookies import CookieError, SimpleCookie

from pyarrow import flight

from flight_server.auth import Authenticator, Identity
from flight_server.errors import (
    InvalidRequest,
    Unauthenticated,
    Unsupported,
)
from flight_server.metastore.audit import Actor, Stage, enter_stage
from flight_server.operations import Call, Services
from flight_server.telemetry import TRACE_HEADERS
from flight_server.wire.calls import RunningCalls
from flight_server.wire.guard import described, flight_error
from flight_server.wire.serials import serial
from flight_server.wire.sessions import COOKIE
from flight_server.wire.visits import DOOR, REQUEST_ID, Arrival, Observed, Stranger, Visit

TIMEOUT = "x-timeout-seconds"

Headers = Mapping[str, Sequence[str]]
# What the metrics call each RPC.
RPC_NAMES = {method: method.name.lower() for method in flight.FlightMethod}

logger = logging.getLogger(__name__)

# Of these nothing is read of what the client sends before their handlers begin. Of the others
# pyarrow reads a descriptor or a schema, which is not for strangers: the gate refuses those.
_TAKEN_IN = frozenset(
    {
        flight.FlightMethod.LIST_FLIGHTS,
        flight.FlightMethod.DO_GET,
        flight.FlightMethod.DO_ACTION,
        flight.FlightMethod.LIST_ACTIONS,
    }
)
_NOBODY = Actor(door="flight")
# What pyarrow's own clients begin their user agent with.
_PYARROW = "grpc-c++"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class Gate(flight.ServerMiddlewareFactory):
    """Lets calls in that show a valid credential while the server is not stopping."""

    def __init__(self, services: Services, calls: RunningCalls) -> None:
        self._services = services
        self._calls = calls

    def start_call(self, info: flight.CallInfo, headers: Headers) -> Visit | Stranger:
        """The visit, or the coded reason why there is none."""
        reads_codes = _PYARROW not in _first(headers, "user-agent")
        arrival = Arrival(info.method.name, _request_id(headers), reads_codes)
        # Whoever was served in this thread before is not who acts now.
        enter_stage(Stage(_NOBODY))
        observed = self._observed(info.method, headers, arrival.request_id)
        try:
            return self._admit(info.method, headers, arrival, observed)
        except Unauthenticated as error:
            stranger = Stranger(self._services, arrival, error, observed)
            if info.method in _TAKEN_IN:
                return stranger
            refusal = stranger.refusal
            stranger.told(refusal)
            stranger.served.fail(refusal)
            stranger.call_completed(None)
            raise flight_error(refusal, arrival.request_id) from None
        except Exception as error:
            known = described(error, arrival.request_id)
            observed[1].fail(known)
            self._services.telemetry.end(observed[1])
            raise flight_error(known, arrival.request_id) from None

    def _admit(
        self,
        method: flight.FlightMethod,
        headers: Headers,
        arrival: Arrival,
        observed: Observed,
    ) -> Visit:
        services = self._services
        identity = self._identity(method, _first(headers, "authorization"))
        answer = {}
        if method is flight.FlightMethod.HANDSHAKE and isinstance(identity, Identity):
            answer = {"authorization": self._shake_hands(identity, arrival)}
        seconds = min(_timeout(headers), services.settings.deadline_seconds_max)
        cookie = _cookie(headers)
        running = self._calls.begin(time.monotonic() + seconds)
        return Visit(self._calls, running, identity, arrival, services, cookie, answer, observed)

    def _shake_hands(self, identity: Identity, arrival: Arrival) -> str:
        """The credential that the handshake is answered with."""
        call = Call(identity.principal, arrival.request_id, door="flight")
        self._services.audit.authenticated(call.actor, identity.credential, handshake=True)
        return f"Bearer {self._services.authenticator.session_token(identity)}"

    def _identity(
        self, method: flight.FlightMethod, authorization: str
    ) -> Identity | Authenticator:
        """Who asks, or whom to ask for it once the client's certificate is known."""
        authenticator = self._services.authenticator
        if self._services.settings.tls_client_identity:
            if method is flight.FlightMethod.HANDSHAKE:
                raise Unsupported(
                    "This server knows clients by their certificates and has no handshake: send "
                    "another credential in the header 'authorization' of each call."
                )
            if not authorization:
                return authenticator
        return authenticator.identify(authorization)

    def _observed(self, method: flight.FlightMethod, headers: Headers, request_id: str) -> Observed:
        telemetry = self._services.telemetry
        parents = {name: headers[name][0] for name in TRACE_HEADERS if name in headers}
        context = copy_context()
        served = context.run(telemetry.begin, DOOR, request_id, RPC_NAMES[method], parents)
        return context, served


class BareHandshake(flight.ServerAuthHandler):
    """Opens pyarrow's handshake, whose credential the gate has checked already."""

    def authenticate(self, outgoing: object, incoming: object) -> None:
        """Nothing is left to ask."""

    def is_valid(self, token: bytes) -> str:
        """The peer's identity, for which the gate is asked instead."""
        return ""


def _request_id(headers: Headers) -> str:
    given = _first(headers, REQUEST_ID)
    return given if _REQUEST_ID.fullmatch(given) else serial()


def _timeout(headers: Headers) -> float:
    text = _first(headers, TIMEOUT)
    if not text:
        return math.inf
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise InvalidRequest(f"The header '{TIMEOUT}' is '{text[:40]}': give a number above 0.")
    return seconds


def _cookie(headers: Headers) -> str | None:
    for header in headers.get("cookie", ()):
        try:
            found = SimpleCookie(header).get(COOKIE)
        except CookieError:
            continue
        if found is not None:
            return found.value
    return None


def _first(headers: Headers, name: str) -> str:
    values = headers.get(name) or [""]
    return values[0]
