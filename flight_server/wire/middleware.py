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
from contextlib import ExitStack
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import unquote

from pyarrow import flight

from flight_server.auth import Authenticator, HandshakeToken, Identity
from flight_server.errors import InvalidRequest, PixelflightError, Unauthenticated, Unsupported
from flight_server.metastore.audit import Actor, Stage, enter_stage
from flight_server.model import Principal
from flight_server.operations import Call, Services
from flight_server.operations.audit import Attempt
from flight_server.operations.limits import RouteClass
from flight_server.operations.metering import Meter
from flight_server.wire.calls import RunningCall, RunningCalls
from flight_server.wire.guard import flight_error
from flight_server.wire.serials import serial
from flight_server.wire.sessions import COOKIE, SessionName

REQUEST_ID = "x-request-id"
TIMEOUT = "x-timeout-seconds"

Headers = Mapping[str, Sequence[str]]

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
# What calls are counted as; an action by its name.
_CLASSES = {
    "LIST_FLIGHTS": RouteClass.READ,
    "GET_FLIGHT_INFO": RouteClass.READ,
    "GET_SCHEMA": RouteClass.READ,
    "DO_GET": RouteClass.READ,
    "LIST_ACTIONS": RouteClass.READ,
    "DO_PUT": RouteClass.WRITE,
    "DO_EXCHANGE": RouteClass.WRITE,
}
_NOBODY = Actor(door="flight")
# What counts for a call before it is known whose it is.
_NOTHING_YET = Meter()
# What pyarrow's own clients begin their user agent with.
_PYARROW = "grpc-c++"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class Arrival(NamedTuple):
    """What is known of a call before its credential is looked at.

    `reads_codes` says whether the client goes by the gRPC code of an error.
    """

    method: str
    request_id: str
    reads_codes: bool


class Stranger(flight.ServerMiddleware):
    """One call without a valid credential, until its handler refuses it.

    The gate could do that itself, and does it where a handler would begin too late, but only
    handlers know the address that the call came from.
    """

    def __init__(self, services: Services, arrival: Arrival, error: PixelflightError) -> None:
        self.reads_codes = arrival.reads_codes
        self.request_id = arrival.request_id
        self._services = services
        self._method = arrival.method
        self._error = error
        self._peer = ""

    def enter(self, context: flight.ServerCallContext) -> None:
        """Unauthenticated, always, or LimitExceeded."""
        self._peer = _address(context.peer())
        raise self.refusal

    @property
    def refusal(self) -> PixelflightError:
        """What the client is told."""
        return self._services.limits.refused(self._error, self._actor.host)

    def told(self, error: PixelflightError) -> None:
        """The client is told so."""
        self._services.audit.told(self._actor, error, self._method, Attempt())

    @property
    def _actor(self) -> Actor:
        return Actor(door="flight", peer=self._peer, request_id=self.request_id)

    def sending_headers(self) -> dict[str, str]:
        """The request's id, echoed or made."""
        return {REQUEST_ID: self.request_id}


class Visit(flight.ServerMiddleware):
    """One call as the gate let it in, until it is completed.

    `door` becomes `flight_sql` where the call turns out to be one of that. `at_end` is what is
    closed when the call ends, however it ends.
    """

    def __init__(
        self,
        calls: RunningCalls,
        running: RunningCall,
        identity: Identity | Authenticator,
        arrival: Arrival,
        services: Services,
        cookie: str | None,
        answer: Mapping[str, str],
    ) -> None:
        self.reads_codes = arrival.reads_codes
        self.running = running
        # Whom to ask for the identity, until the handler has begun.
        self._identity = identity
        self.request_id = arrival.request_id
        self.door = "flight"
        self._method = arrival.method
        self._services = services
        self.meter = _NOTHING_YET
        self._attempt = Attempt()
        self._peer = ""
        self._cookie = cookie
        self._calls = calls
        self._answer = {REQUEST_ID: self.request_id, **answer}
        self._context: flight.ServerCallContext | None = None
        self.at_end = ExitStack()

    @property
    def identity(self) -> Identity:
        """Who asks."""
        assert isinstance(self._identity, Identity), "asked for inside of handlers"
        return self._identity

    @property
    def principal(self) -> Principal:
        """Who asks, as the policy sees it."""
        return self.identity.principal

    @property
    def token(self) -> HandshakeToken | None:
        """The handshake's token, if that is what was shown."""
        return self.identity.token

    @property
    def call(self) -> Call:
        """The call as operations see it."""
        return Call(
            self.principal,
            self.request_id,
            self.running.cancellation,
            door=self.door,
            peer=self._peer,
            attempt=self._attempt,
            meter=self.meter,
        )

    def enter(self, context: flight.ServerCallContext) -> None:
        """The handler begins: from here on the client's leaving is seen, and where it is.

        Unauthenticated where a certificate is all that the client shows, and it is nobody's;
        LimitExceeded.
        """
        self._context = context
        self.running.attach(context.is_cancelled)
        self._peer = _address(context.peer())
        if not isinstance(self._identity, Identity):
            name = context.peer_identity().decode("utf-8", "replace")
            self._identity = self._identity.identify("", self._actor.host, name or None)
        actor = self._actor
        enter_stage(Stage(actor))
        self._services.audit.arrived(actor, self._identity.credential)
        self.meter = self._services.limits.meter(self.principal)
        if (kind := _CLASSES.get(self._method)) is not None:
            self.admit(kind)

    def admit(self, kind: RouteClass) -> None:
        """Counts the call. LimitExceeded."""
        self._services.limits.admit(self.principal, kind)

    def begin_stream(self) -> None:
        """The call sends a stream of rows, from here to its end. LimitExceeded."""
        self.at_end.enter_context(self.meter.stream())

    def told(self, error: PixelflightError) -> None:
        """The client is told of an error."""
        self.meter.failed()
        self._services.audit.told(self._actor, error, self._method, self._attempt)

    @property
    def _actor(self) -> Actor:
        """Who asks, as far as that is known by now."""
        if isinstance(self._identity, Identity):
            who = self._identity.principal
            return Actor(who.id, who.name, who.workspace, self.door, self._peer, self.request_id)
        return Actor(door=self.door, peer=self._peer, request_id=self.request_id)

    def session_names(self) -> list[SessionName]:
        """What this call's session may be found under, the likeliest first."""
        who = self.principal.id
        if self.token is not None:
            return [SessionName(who, "token", self.token.session)]
        assert self._context is not None, "sessions are asked for inside of handlers"
        # With the port: two clients on one machine are two sessions.
        names = [SessionName(who, "peer", self._context.peer())]
        return [SessionName(who, "cookie", self._cookie), *names] if self._cookie else names

    def set_cookie(self, value: str) -> None:
        """Hands the client a cookie for its session, in the answer to this call."""
        assert self._context is not None, "cookies are set inside of handlers"
        self._context.add_header("set-cookie", f"{COOKIE}={value}; HttpOnly")

    def sending_headers(self) -> dict[str, str]:
        """The request's id, echoed or made, and a handshake's token."""
        return self._answer

    def call_completed(self, exception: Exception | None) -> None:
        """The call is over, one way or the other."""
        self._context = None
        self.running.end()
        self.meter.end()
        try:
            self.at_end.close()
        except Exception:
            logger.exception("Closing what request %s had opened failed", self.request_id)
        finally:
            self._calls.end(self.running)


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
        try:
            return self._admit(info.method, headers, arrival)
        except Unauthenticated as error:
            stranger = Stranger(self._services, arrival, error)
            if info.method in _TAKEN_IN:
                return stranger
            refusal = stranger.refusal
            stranger.told(refusal)
            raise flight_error(refusal, arrival.request_id) from None
        except Exception as error:
            raise flight_error(error, arrival.request_id) from None

    def _admit(self, method: flight.FlightMethod, headers: Headers, arrival: Arrival) -> Visit:
        services = self._services
        identity = self._identity(method, _first(headers, "authorization"))
        answer = {}
        if method is flight.FlightMethod.HANDSHAKE and isinstance(identity, Identity):
            answer = {"authorization": self._shake_hands(identity, arrival)}
        seconds = min(_timeout(headers), services.settings.deadline_seconds_max)
        cookie = _cookie(headers)
        running = self._calls.begin(time.monotonic() + seconds)
        return Visit(self._calls, running, identity, arrival, services, cookie, answer)

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


class BareHandshake(flight.ServerAuthHandler):
    """Opens pyarrow's handshake, whose credential the gate has checked already."""

    def authenticate(self, outgoing: object, incoming: object) -> None:
        """Nothing is left to ask."""

    def is_valid(self, token: bytes) -> str:
        """The peer's identity, for which the gate is asked instead."""
        return ""


def _address(peer: str) -> str:
    """HOST:PORT of what gRPC calls a peer: `ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000`."""
    return unquote(peer.partition(":")[2]) if peer.startswith(("ipv4:", "ipv6:")) else peer


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
