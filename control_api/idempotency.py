"""`Idempotency-Key`: a write that is sent again is done once, and answered as it was before.

Works like the draft of the IETF (draft-ietf-httpapi-idempotency-key-header). A key belongs to the
principal that sends it. Successes are kept and come again, with `idempotency-replayed: true`; what
failed has changed nothing and may be sent again. The same key with another request is refused.

A server that dies after the commit and before the answer is kept has done the write, and does not
know. Rows that are inserted are safe from that, since the key becomes the engine's token, which is
written in the rows' own transaction; so are batches, which leave a receipt in theirs, and what can
be made only once, as a user or a table.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_api.bookkeeping import told
from control_api.dependencies import call_of, identity_of
from control_api.refusals import error_response
from flight_server.errors import (
    Conflict,
    ErrorCode,
    InvalidRequest,
    PixelflightError,
    Unauthenticated,
)
from flight_server.metastore.kept_answers import KeptAnswer
from flight_server.operations import Services

HEADER = "idempotency-key"
REPLAYED = "idempotency-replayed"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# A larger answer streams, and is none that a write gives.
ANSWER_BYTES_MAX = 2**20
# Their answers hold secrets, which are shown once and kept nowhere.
_SECRETS = re.compile(
    r"/auth/(token(/.*)?|api-keys(/[^/]+/rotate)?)|/batch/webhooks(/[^/]+/rotate)?"
)
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_KEPT_HEADERS = frozenset({"content-encoding", "content-type", "location", "x-version"})


class Idempotency:
    """A layer around the router."""

    def __init__(self, app: ASGIApp, services: Services, prefix: str) -> None:
        self._app = app
        self._services = services
        self._prefix = prefix
        self._running: set[tuple[str, str]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or whatever else ASGI brings."""
        is_write = scope["type"] == "http" and scope["method"] in WRITES
        key = Headers(scope=scope).get(HEADER) if is_write else None
        if key is None or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        try:
            await self._once(key, scope, receive, send)
        except PixelflightError as error:
            request = Request(scope)
            told_error = await told(request, error)
            refusal = error_response(told_error, request.state.request_id)
            await refusal(scope, receive, send)

    async def _once(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        _check_key(key, scope["path"].removeprefix(self._prefix))
        try:
            principal = (await identity_of(Request(scope), self._services)).principal
        except Unauthenticated:
            await self._app(scope, receive, send)  # It says so itself.
            return
        claim = (principal.id, key)
        if claim in self._running:
            raise Conflict(
                f"A request with the Idempotency-Key '{key}' is being served: ask again once it "
                "has been."
            )
        self._running.add(claim)
        try:
            await self._answer(claim, scope, receive, send)
        finally:
            self._running.discard(claim)

    async def _answer(
        self, claim: tuple[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        answers = self._services.kept_answers
        body = _Hashed(scope, receive)
        kept = await run_in_threadpool(answers.find, *claim)
        if kept is None:
            scope["state"]["ingest_token"] = _token(claim)
            answer = _Held(send)
            await self._app(scope, body.receive, answer.send)
            if answer.is_success and (digest := await body.digest()) is not None:
                await run_in_threadpool(answers.keep, *claim, answer.kept(digest))
            await answer.release()
            return
        if await body.digest() != kept.digest:
            raise Conflict(
                f"The Idempotency-Key '{claim[1]}' was used for another request: each request "
                "needs a key of its own.",
                code=ErrorCode.TOKEN_CONFLICT,
            )
        # Counted and limited as any other request.
        await call_of(Request(scope), self._services)
        await _replay(kept, send)


class _Hashed:
    """The body on its way, of which a digest is made."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._is_read = False
        kind = Headers(scope=scope).get("content-type", "")
        parts = (scope["method"], scope["path"], scope["query_string"].decode("latin-1"), kind)
        self._hash = hashlib.sha256("\n".join(parts).encode())

    async def receive(self) -> Message:
        """The next message."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._hash.update(message.get("body", b""))
            self._is_read = not message.get("more_body", False)
        return message

    async def digest(self) -> str | None:
        """That of the whole request, of which what nobody has read is read now.

        None where that cannot be read, as it is too large.
        """
        try:
            while not self._is_read:
                if (await self.receive())["type"] == "http.disconnect":
                    break
        except PixelflightError:
            return None
        return self._hash.hexdigest()


class _Held:
    """An answer that is held back until it is kept, unless it is none to keep."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[Message] = []
        self._bytes = 0
        self._is_held = True

    async def send(self, message: Message) -> None:
        """Holds a message back or passes it on."""
        if not self._is_held:
            await self._send(message)
            return
        self._messages.append(message)
        self._bytes += len(message.get("body", b""))
        if self._bytes > ANSWER_BYTES_MAX:
            await self.release()

    async def release(self) -> None:
        """Lets go of what was held."""
        self._is_held = False
        for message in self._messages:
            await self._send(message)
        self._messages.clear()

    @property
    def is_success(self) -> bool:
        """Whether it is here as a whole, and tells of something done."""
        if not self._messages or self._messages[-1].get("more_body", False):
            return False
        return bool(200 <= self._messages[0].get("status", 0) < 300)

    def kept(self, digest: str) -> KeptAnswer:
        """The answer as it can be given again."""
        start = self._messages[0]
        headers = Headers(raw=start["headers"])
        body = b"".join(message.get("body", b"") for message in self._messages[1:])
        kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        return KeptAnswer(digest, start["status"], kept, body)


async def _replay(kept: KeptAnswer, send: Send) -> None:
    start: Message = {"type": "http.response.start", "status": kept.status, "headers": []}
    headers = MutableHeaders(scope=start)
    told_again: Mapping[str, str] = {
        **kept.headers,
        REPLAYED: "true",
        "content-length": str(len(kept.body)),
    }
    headers.update(told_again)
    await send(start)
    await send({"type": "http.response.body", "body": kept.body})


def _check_key(key: str, path: str) -> None:
    if not _KEY.fullmatch(key):
        raise InvalidRequest(
            "The header 'Idempotency-Key' must have 1 to 255 printable ASCII characters, such as "
            "a UUID."
        )
    if _SECRETS.fullmatch(path):
        raise InvalidRequest(
            "The answer of this route holds a secret, which is shown once and kept nowhere: leave "
            "the header 'Idempotency-Key' out."
        )


def _token(claim: tuple[str, str]) -> str:
    """The engine's token of an ingest that comes under the key."""
    return "idempotency-key " + hashlib.sha256("\n".join(claim).encode()).hexdigest()
