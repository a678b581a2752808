"""Bodies of requests: decompressed as they come, and no larger than they may be.

A body that says `Content-Encoding: gzip` or `zstd` reaches the routes as if it had not been
compressed, a piece of bounded size at a time. JSON is held in memory whole, so it has a limit of
its own, compressed or not; rows that stream are limited only where they were compressed, because
61 KB can become 2 GB.
"""

from __future__ import annotations

from collections.abc import Iterator

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_api.encodings import DECODERS, Decoder
from control_api.refusals import error_response
from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded

JSON = "application/json"
PLAIN = "identity"


class Decompression:
    """A layer around the routes."""

    def __init__(self, app: ASGIApp, json_bytes_max: int, decompressed_bytes_max: int) -> None:
        self._app = app
        self._json_bytes_max = json_bytes_max
        self._decompressed_bytes_max = decompressed_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or whatever else ASGI brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        encoding = headers.get("content-encoding", PLAIN).strip().lower()
        kind = headers.get("content-type", JSON).partition(";")[0].strip().lower()
        is_json = kind == JSON or kind.endswith("+json")
        if encoding == PLAIN and not is_json:
            await self._app(scope, receive, send)
        elif encoding != PLAIN and encoding not in DECODERS:
            refusal = error_response(_not_understood(encoding), scope["state"]["request_id"])
            refusal.headers["accept-encoding"] = "zstd, gzip"
            await refusal(scope, receive, send)
        else:
            most = self._json_bytes_max if is_json else self._decompressed_bytes_max
            body = _Body(receive, encoding, "JSON" if is_json else "", most)
            await self._app(scope if encoding == PLAIN else _as_plain(scope), body.receive, send)


class _Body:
    """The body, plain: all that comes out of a piece before the next piece is asked for."""

    def __init__(self, receive: Receive, encoding: str, kind: str, bytes_max: int) -> None:
        self._receive = receive
        self._decoder = None if encoding == PLAIN else DECODERS[encoding]()
        self._kind = kind
        self._bytes_max = bytes_max
        self._bytes = 0
        self._parts: Iterator[bytes] = iter(())
        self._is_last = False
        self._is_ended = False

    async def receive(self) -> Message:
        """The next message. LimitExceeded (too_large); InvalidRequest (invalid_data)."""
        if self._decoder is None:
            message = await self._receive()
            self._count(message.get("body", b""))
            return message
        while (part := next(self._parts, None)) is None:
            if self._is_last:
                return await self._end(self._decoder)
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._is_last = not message.get("more_body", False)
            self._parts = self._decoder.decode(message.get("body", b""))
        self._count(part)
        return {"type": "http.request", "body": part, "more_body": True}

    async def _end(self, decoder: Decoder) -> Message:
        if not decoder.is_complete:
            raise InvalidRequest(
                "The compressed body ends before it is complete.", code=ErrorCode.INVALID_DATA
            )
        if self._is_ended:
            return await self._receive()
        self._is_ended = True
        return {"type": "http.request", "body": b"", "more_body": False}

    def _count(self, part: bytes) -> None:
        self._bytes += len(part)
        if self._bytes > self._bytes_max:
            what = f"The body of {self._kind}" if self._kind else "The body, decompressed,"
            raise LimitExceeded(
                f"{what} is larger than {self._bytes_max} bytes. Send several smaller ones, or "
                "rows as an Arrow stream.",
                code=ErrorCode.TOO_LARGE,
                details={"bytes_max": self._bytes_max},
            )


def _as_plain(scope: Scope) -> Scope:
    """The request as one whose body was never compressed, and whose length nobody knows."""
    dropped = (b"content-encoding", b"content-length")
    headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
    return dict(scope, headers=headers)


def _not_understood(encoding: str) -> InvalidRequest:
    return InvalidRequest(
        f"The body's Content-Encoding '{encoding[:40]}' is not understood: send it as gzip or "
        "zstd, or as it is.",
        code=ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    )
