"""Every request as metrics, traces, logs and its client know it: its id, its bytes, its end."""

from __future__ import annotations

import asyncio
import re
import uuid

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flight_server.errors import Cancelled
from flight_server.telemetry import TRACE_HEADERS, ServedRequest, Telemetry

REQUEST_ID = "x-request-id"
DOOR = "http"
# What the metrics call what came to no route, whatever a client calls it.
NOWHERE = "none"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class Observed:
    """A layer around everything that may refuse a request."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or whatever else ASGI brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        parents = {name: headers[name] for name in TRACE_HEADERS if name in headers}
        served = self._telemetry.begin(DOOR, request_id, NOWHERE, parents)
        served.peer = ":".join(str(part) for part in scope.get("client") or ())
        scope.setdefault("state", {}).update(request_id=request_id, served=served)
        counted = _Counted(self._telemetry, served, receive, send)
        try:
            await self._app(scope, counted.receive, counted.send)
        except asyncio.CancelledError:
            served.fail(Cancelled("The server is stopping."))
            raise
        except Exception as error:
            served.fail(error)
            raise
        finally:
            self._telemetry.end(served)


class Routed:
    """The innermost layer: tells the metrics which route a request came to, by its operationId."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or whatever else ASGI brings."""
        try:
            await self._app(scope, receive, send)
        finally:
            served = scope.get("state", {}).get("served")
            name = getattr(scope.get("endpoint"), "__name__", "")
            if served is not None and name:
                served.operation = name


class _Counted:
    """The two ways of a request, on which bytes are counted."""

    def __init__(
        self, telemetry: Telemetry, served: ServedRequest, receive: Receive, send: Send
    ) -> None:
        self._telemetry = telemetry
        self._served = served
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """The next message."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._served.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Passes a message on."""
        if message["type"] == "http.response.start":
            self._served.status = message["status"]
        elif message["type"] == "http.response.body":
            self._served.bytes_out += len(message.get("body", b""))
            if message.get("more_body", False):
                self._telemetry.metrics.open_stream(self._served)
        await self._send(message)
