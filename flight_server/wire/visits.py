"""One call as the gate let it in, or as its handler is to refuse it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from contextvars import Context
from typing import NamedTuple
from urllib.parse import unquote

from pyarrow import flight

from flight_server.auth import Authenticator, Credential, HandshakeToken, Identity
from flight_server.errors import Cancelled, PixelflightError
from flight_server.metastore.audit import Actor, Stage, enter_stage
from flight_server.model import Principal
from flight_server.operations import Call, Services
from flight_server.operations.audit import Attempt
from flight_server.operations.limits import RouteClass
from flight_server.operations.metering import Meter
from flight_server.telemetry import ServedRequest
from flight_server.wire.calls import RunningCall, RunningCalls
from flight_server.wire.sessions import COOKIE, SessionName

REQUEST_ID = "x-request-id"
DOOR, SQL_DOOR = "flight", "flight_sql"
# What is measured of a call, and the context in which that is known.
Observed = tuple[Context, ServedRequest]

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
# What counts for a call before it is known whose it is.
_NOTHING_YET = Meter()

logger = logging.getLogger(__name__)


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

    def __init__(
        self, services: Services, arrival: Arrival, error: PixelflightError, observed: Observed
    ) -> None:
        self.context, self.served = observed
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

    def call_completed(self, exception: Exception | None) -> None:
        """The call is over."""
        self._services.telemetry.end(self.served)


class Visit(flight.ServerMiddleware):
    """One call as the gate let it in, until it is completed.

    `door` becomes `flight_sql` where the call turns out to be one of that. `at_end` is what is
    closed when the call ends, however it ends. `served` is what is measured of it, and known in
    `context`: gRPC's threads remember nothing from one callback to the next.
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
        observed: Observed,
    ) -> None:
        self.reads_codes = arrival.reads_codes
        self.running = running
        # Whom to ask for the identity, until the handler has begun.
        self._identity = identity
        self.request_id = arrival.request_id
        self.door = DOOR
        self._method = arrival.method
        self._services = services
        self.meter = _NOTHING_YET
        self._attempt = Attempt()
        self._peer = ""
        self.context, self.served = observed
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
        self.served.principal = self.principal.id
        self.served.peer = self._peer
        self._services.audit.arrived(actor, self._identity.credential)
        self.meter = self._services.limits.meter(self.principal)
        if (kind := _CLASSES.get(self._method)) is not None:
            self.admit(kind)

    def admit(self, kind: RouteClass) -> None:
        """Counts the call. LimitExceeded. What a job does was counted when it was submitted."""
        if self.identity.credential is not Credential.JOB_TOKEN:
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

    def is_for(self, what: str, door: str = DOOR) -> None:
        """Tells what the RPC turned out to be for: one of a bounded number of names."""
        self.door = self.served.door = door
        self.served.operation = f"{self.served.operation} {what}"

    def is_stream(self) -> None:
        """Tells the metrics that rows stream for as long as the call runs."""
        self._services.telemetry.metrics.open_stream(self.served)

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
        self.served.moved(self.meter.total)
        if exception is not None:
            # pyarrow tells so of clients that have left; other errors were noted before.
            self.served.fail(Cancelled(str(exception)))
        try:
            self.at_end.close()
        except Exception:
            logger.exception("Closing what request %s had opened failed", self.request_id)
        finally:
            self._calls.end(self.running)
            self._services.telemetry.end(self.served)


def _address(peer: str) -> str:
    """HOST:PORT of what gRPC calls a peer: `ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000`."""
    return unquote(peer.partition(":")[2]) if peer.startswith(("ipv4:", "ipv6:")) else peer
