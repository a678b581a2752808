"""Answers compressed on their way out, for clients that ask by `Accept-Encoding`.

Each piece that a route sends leaves at once, flushed so that the client can read up to its end:
whoever follows a live stream waits for nothing. Small answers, what is compressed already, and
what does not get smaller are passed on untouched. Large pieces are compressed in a thread, since
the event loop has other clients to serve.
"""

from __future__ import annotations

import os

import anyio
import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_api.encodings import ENCODERS, Encoder, preferred

# A packet of the network holds about as much.
SMALL_BYTES = 1200
# Compressing more than this takes longer than handing it to a thread.
INLINE_BYTES_MAX = 2**15
COMPRESSIBLE = (
    "text/",
    "application/json",
    "application/x-ndjson",
    "application/javascript",
    "application/vnd.apache.arrow.stream",
    "application/openmetrics-text",
)
# In a content type: the stream's own buffers are compressed.
COMPRESSED_WITHIN = "codecs="
# Answers without a body, or with a part of one whose bytes are counted.
UNTOUCHED_STATUSES = frozenset({204, 206, 304})


class Compression:
    """A layer around the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._threads: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or whatever else ASGI brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = preferred(Headers(scope=scope).get("accept-encoding", ""))
        if self._threads is None:  # A limiter belongs to the event loop that it is made in.
            self._threads = anyio.CapacityLimiter(os.cpu_count() or 1)
        await self._app(scope, receive, _Answer(send, wanted, self._threads).send)


class _Answer:
    def __init__(self, send: Send, wanted: str | None, threads: anyio.CapacityLimiter) -> None:
        self._send = send
        self._wanted = wanted
        self._threads = threads
        self._start: Message | None = None
        self._encoder: Encoder | None = None

    async def send(self, message: Message) -> None:
        """Passes a message on: the start only with the first piece, which decides."""
        if message["type"] == "http.response.start" and _is_compressible(message):
            MutableHeaders(scope=message).add_vary_header("accept-encoding")
            if self._wanted is not None:
                self._start = message
                return
        elif message["type"] == "http.response.body":
            if self._start is not None:
                await self._begin(message)
            if self._encoder is not None:
                message = {**message, "body": await self._encoded(self._encoder, message)}
                if not message["body"] and message.get("more_body", False):
                    return
        await self._send(message)

    async def _begin(self, message: Message) -> None:
        start, self._start = self._start, None
        assert start is not None, "an answer begins once"
        whole = not message.get("more_body", False)
        if self._wanted is not None and not (whole and len(message.get("body", b"")) < SMALL_BYTES):
            self._encoder = ENCODERS[self._wanted]()
            headers = MutableHeaders(scope=start)
            headers["content-encoding"] = self._wanted
            if "content-length" in headers:
                del headers["content-length"]
            tag = headers.get("etag", "")
            if tag.startswith('"'):
                # The same bytes no longer: the same meaning still.
                headers["etag"] = f"W/{tag}"
        await self._send(start)

    async def _encoded(self, encoder: Encoder, message: Message) -> bytes:
        piece: bytes = message.get("body", b"")
        step = encoder.encode if message.get("more_body", False) else encoder.finish
        if len(piece) <= INLINE_BYTES_MAX:
            return step(piece) if piece or step == encoder.finish else b""
        return await anyio.to_thread.run_sync(step, piece, limiter=self._threads)


def _is_compressible(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").lower()
    return (
        start["status"] not in UNTOUCHED_STATUSES
        and "content-encoding" not in headers
        # Bytes that are counted, and that a digest is of.
        and "accept-ranges" not in headers
        and kind.startswith(COMPRESSIBLE)
        and COMPRESSED_WITHIN not in kind
    )
