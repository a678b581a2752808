"""The gate before every call of every method: who asks, under which id, and until when.

Credentials are those of `auth.authenticator`; a handshake is answered with a token. What the gate
refuses never reaches a handler. Only a client certificate is looked at later, as pyarrow shows it
to handlers alone: before anything else that they do.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http.cookies import CookieError, SimpleCookie

from pyarrow import flight

from flight_server.auth import Authenticator, HandshakeToken, Identity
from flight_server.errors import InvalidRequest, Unsupported
from flight_server.model import Principal
from flight_server.operations import Call, Services
from flight_server.wire.calls import RunningCall, RunningCalls
from flight_server.wire.guard import flight_error
from flight_server.wire.serials import serial
from flight_server.wire.sessions import COOKIE, SessionName

REQUEST_ID = "x-request-id"
TIMEOUT = "x-timeout-seconds"

Headers = Mapping[str, Sequence[str]]

logger = logging.getLogger(__name__)

# What pyarrow's own clients begin their user agent with.
_PYARROW = "grpc-c++"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class Visit(flight.ServerMiddleware):
    """One call as the gate let it in, until it is completed.

    `at_end` is what is closed when the call ends, however it ends.
    """

    def __init__(
        self,
        calls: RunningCalls,
        running: RunningCall,
        identity: Identity | Authenticator,
        request_id: str,
        cookie: str | None,
        answer: Mapping[str, str],
        reads_codes: bool = False,
    ) -> None:
        # Whether the client goes by the gRPC code of an error.
        self.reads_codes = reads_codes
        self.running = running
        # Whom to ask for the identity, until the handler has begun.
        self._identity = identity
        self.request_id = request_id
        self._cookie = cookie
        self._calls = calls
        self._answer = {REQUEST_ID: request_id, **answer}
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

    def identify(self) -> None:
        """Finds out whose certificate the client shows, where that is all it does."""
        if isinstance(self._identity, Identity):
            return
        assert self._context is not None, "the handler has begun"
        name = self._context.peer_identity().decode("utf-8", "replace")
        self._identity = self._identity.identify("", self._context.peer(), name or None)

    @property
    def call(self) -> Call:
        """The call as operations see it."""
        return Call(self.principal, self.request_id, self.running.cancellation)

    def enter(self, context: flight.ServerCallContext) -> None:
        """The handler begins: from here on the client's leaving is seen."""
        self._context = context
        self.running.attach(context.is_cancelled)

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

    def start_call(self, info: flight.CallInfo, headers: Headers) -> Visit:
        """The visit, or the coded reason why there is none."""
        request_id = _request_id(headers)
        try:
            return self._admit(info.method, headers, request_id)
        except Exception as error:
            raise flight_error(error, request_id) from None

    def _admit(self, method: flight.FlightMethod, headers: Headers, request_id: str) -> Visit:
        authenticator = self._services.authenticator
        identity = self._identity(method, _first(headers, "authorization"))
        answer = {}
        if method is flight.FlightMethod.HANDSHAKE and isinstance(identity, Identity):
            answer["authorization"] = f"Bearer {authenticator.session_token(identity)}"
        seconds = min(_timeout(headers), self._services.settings.deadline_seconds_max)
        cookie = _cookie(headers)
        running = self._calls.begin(time.monotonic() + seconds)
        reads_codes = _PYARROW not in _first(headers, "user-agent")
        return Visit(self._calls, running, identity, request_id, cookie, answer, reads_codes)

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
