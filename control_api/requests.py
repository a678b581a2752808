"""What surrounds every HTTP request: its place among those that run, its client's leaving.

Pure ASGI, because Starlette's middleware of functions copies every body through a queue, and a
stream of rows passes here untouched.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_api.bookkeeping import ended, headers
from control_api.observed import REQUEST_ID
from control_api.peers import networks, peer_of
from control_api.refusals import error_response
from flight_server.errors import Internal, PixelflightError, Unavailable
from flight_server.metastore.audit import Actor, Stage, enter_stage

# So many requests are worked at together. All at once they would be slower, each and together, and
# the thread that refuses those too many would stand in line with them for a core. Fewer would make
# smaller groups of inserts, which are committed together.
WORKED_AT_MAX = 4 * (os.cpu_count() or 1)
# Whoever takes longer than this is waiting for something, and others begin meanwhile.
SHORT_WORK_SECONDS = 1.0
# Load balancers must hear an answer while the server is full.
ALWAYS_ADMITTED = ("/health/", "/metrics")

log = logging.getLogger(__name__)


class Requests:
    """`running_max` requests run at once; others are refused on the spot.

    A request runs until its answer begins: rows that stream to a slow client keep nobody waiting.
    Of those that run, the first few are worked at, and the others wait for their turn.
    """

    def __init__(self, app: ASGIApp, running_max: int, proxies: Sequence[str] = ()) -> None:
        self._app = app
        self._proxies = networks(proxies)
        self._running_max = running_max
        self._running = 0
        self._turns = asyncio.Semaphore(WORKED_AT_MAX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or whatever else ASGI brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["state"]["request_id"]
        client = _Client(receive)
        answer = _Answer(scope, client.receive, send, request_id)
        stage = Stage(Actor(door="http", peer=peer_of(scope, self._proxies), request_id=request_id))
        enter_stage(stage)
        scope["state"].update(client=client, stage=stage)
        is_counted = not scope["path"].startswith(ALWAYS_ADMITTED)
        if is_counted and self._running >= self._running_max:
            await answer.refuse(Unavailable("The server is at its limit: try again in a moment."))
            return
        answer.on_start = self._leave if is_counted else None
        self._running += is_counted
        try:
            await client.watch(scope)
            if is_counted:
                await self._begin(answer)
            await self._app(scope, client.receive, answer.send)
        except Exception:
            log.exception("internal error (id=%s)", request_id)
            if answer.is_started:
                raise  # The server below cuts the connection: the client sees that it broke off.
            await answer.refuse(Internal(f"internal error (id={request_id})"))
        finally:
            answer.start()
            client.forget()
            ended(scope)

    async def _begin(self, answer: _Answer) -> None:
        """Waits for the request's turn, which ends when its answer begins or it takes long."""
        await self._turns.acquire()
        turn = _Turn(self._turns)
        asyncio.get_running_loop().call_later(SHORT_WORK_SECONDS, turn.end)

        def start() -> None:
            turn.end()
            self._leave()

        answer.on_start = start

    def _leave(self) -> None:
        self._running -= 1


class _Turn:
    """Is ended once, whoever ends it first."""

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns: asyncio.Semaphore | None = turns

    def end(self) -> None:
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.release()


class _Answer:
    """The way back, on which every answer gets the request's id. `on_start` is called once."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self.is_started = False
        self.on_start: Callable[[], None] | None = None

    def start(self) -> None:
        """The answer begins, or there will be none."""
        tell, self.on_start = self.on_start, None
        if tell is not None:
            tell()

    async def send(self, message: Message) -> None:
        """Passes a message on."""
        if message["type"] == "http.response.start":
            self.is_started = True
            self.start()
            sent = MutableHeaders(scope=message)
            sent[REQUEST_ID] = self._request_id
            sent.update(headers(self._scope))
        await self._send(message)

    async def refuse(self, error: PixelflightError) -> None:
        """Answers with an error that never reached a route."""
        response = error_response(error, self._request_id)
        await response(self._scope, self._receive, self.send)


class _Client:
    """Who sent the request. `is_gone` may be asked from any thread.

    Once the body has been read, ASGI tells of the client's leaving by one more message, for which
    somebody has to wait.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._first: Message | None = None
        self._leaving: asyncio.Task[Message] | None = None
        self._gone = False

    def is_gone(self) -> bool:
        """Whether it has left."""
        return self._gone

    async def watch(self, scope: Scope) -> None:
        """Looks out for the client's leaving from the beginning where no body is to come."""
        names = {name for name, _ in scope["headers"]}
        if not names & {b"content-length", b"transfer-encoding"}:
            self._first = await self.receive()

    async def receive(self) -> Message:
        """The next message."""
        if (first := self._first) is not None:
            self._first = None
            return first
        if self._leaving is not None:
            return await asyncio.shield(self._leaving)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone = True
        elif not message.get("more_body", False):
            self._leaving = asyncio.create_task(self._wait())
        return message

    async def _wait(self) -> Message:
        message = await self._receive()
        self._gone = message["type"] == "http.disconnect"
        return message

    def forget(self) -> None:
        """The request is over."""
        if self._leaving is not None:
            self._leaving.cancel()
