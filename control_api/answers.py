"""Rows on their way to a client: encoded in a worker's thread, sent from the event loop.

What is wrong before the first rows is an error like any other. A failure in the middle of a
stream is told as far as its form allows, and then the connection is cut without the mark of an
end: Arrow gets a batch without rows whose metadata holds the error, JSON lines a last line
`{"error": …}`, JSON and CSV nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from control_api.encodings import ENCODERS, Encoder
from control_api.media_types import Form, reads_errors_inside
from flight_server.engines.stream import Batches
from flight_server.errors import Internal, PixelflightError
from flight_server.formats.arrow_streams import ArrowWriter
from flight_server.formats.batches import in_rows, resized
from flight_server.formats.csv_rows import CsvWriter
from flight_server.formats.json_rows import JsonWriter
from flight_server.operations import Call
from flight_server.telemetry import serving_now

# An answer that ends within so many bytes is sent whole, with its length.
WHOLE_BYTES_MAX = 64 * 2**10
# Text takes a few times as many bytes as the batches it is made of.
TEXT_BATCH_BYTES = 512 * 2**10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """What is told beside the rows: members of the JSON object, and headers of every form."""

    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """What a client chooses beside the form, where it may.

    So many rows at a time; JSON as a list and no object; CSV without names; an encoding.
    """

    rows_each: int | None = None
    is_list: bool = False
    header: bool = True
    encoding: str | None = None


def rows_answer(
    batches: Batches,
    form: Form,
    call: Call,
    bytes_each: int,
    told: Told | None = None,
    shape: Shape | None = None,
) -> Response:
    """The answer that carries the rows, which it closes. Errors before the first rows are raised.

    It is made in a worker's thread.
    """
    told, shape = told or Told(), shape or Shape()
    progress = _Progress()
    pieces = _pieces(batches, form, call, bytes_each, told.members, progress, shape)
    headers = {"vary": "accept", **told.headers}
    if shape.encoding is not None:
        headers["content-encoding"] = shape.encoding
        pieces = _encoded(pieces, ENCODERS[shape.encoding]())
    first: list[Any] = []
    size = 0
    for some in pieces:
        first += some
        size += sum(map(len, some))
        if size > WHOLE_BYTES_MAX:
            progress.is_sent = True
            return _Streamed(first, pieces, call, form.value, headers)
    whole = first[0] if len(first) == 1 else b"".join(first)
    return Response(whole, headers=headers, media_type=form.value)


@dataclass
class _Progress:
    """Whether something has been sent, so that an error can no longer be the answer."""

    is_sent: bool = False


class _Cut(Exception):
    """The stream ends here without its end."""


def _pieces(
    batches: Batches,
    form: Form,
    call: Call,
    bytes_each: int,
    members: Mapping[str, Any],
    progress: _Progress,
    shape: Shape,
) -> Iterator[list[Any]]:
    """The pieces of the answer, several at a time. `_Cut` ends it in the middle."""
    write = _WRITERS[form](batches, members, shape)
    each = bytes_each if form is Form.ARROW else min(bytes_each, TEXT_BATCH_BYTES)
    try:
        with call.meter.stream():
            sized = resized(batches, each)
            if shape.rows_each is not None:
                sized = in_rows(batches, shape.rows_each)
            yield from write.pieces(_checked(sized, call))
    except Exception as error:
        if not progress.is_sent:
            raise
        call.meter.failed()
        if (served := serving_now()) is not None:
            served.fail(error)
        yield write.error(_told(error, call.request_id))
        raise _Cut from None
    finally:
        batches.close()


def _encoded(pieces: Iterator[list[Any]], encoder: Encoder) -> Iterator[list[Any]]:
    """The pieces compressed, each so that it can be read when it comes."""
    with contextlib.closing(pieces):  # type: ignore[type-var]  # a generator
        try:
            for some in pieces:
                yield [encoder.encode(b"".join(some))]
        except _Cut:
            yield [encoder.finish(b"")]
            raise
        yield [encoder.finish(b"")]


def _checked(batches: Iterable[Any], call: Call) -> Iterator[Any]:
    for batch in batches:
        call.cancellation.check()
        call.meter.sent(batch)
        yield batch


def _told(error: Exception, request_id: str) -> dict[str, Any]:
    """The error as clients see it; one that we did not raise is a bug."""
    if isinstance(error, PixelflightError):
        return error.as_json(request_id)
    log.error("internal error (id=%s)", request_id, exc_info=error)
    return Internal(f"internal error (id={request_id})").as_json(request_id)


class _Arrow:
    def __init__(self, batches: Batches, members: Mapping[str, Any], shape: Shape) -> None:
        self._writer = ArrowWriter(batches.schema)

    def pieces(self, batches: Iterator[Any]) -> Iterator[list[Any]]:
        start = self._writer.begin()
        for batch in batches:
            yield start + self._writer.rows(batch)
            start = []
        yield start + self._writer.end()

    def error(self, told: dict[str, Any]) -> list[Any]:
        return self._writer.error(told)


class _Lines:
    def __init__(self, batches: Batches, members: Mapping[str, Any], shape: Shape) -> None:
        self._writer = JsonWriter(batches.schema)

    def pieces(self, batches: Iterator[Any]) -> Iterator[list[Any]]:
        for batch in batches:
            yield self._writer.rows(batch)

    def error(self, told: dict[str, Any]) -> list[Any]:
        return [json.dumps({"error": told}, ensure_ascii=False).encode() + b"\n"]


class _Csv:
    def __init__(self, batches: Batches, members: Mapping[str, Any], shape: Shape) -> None:
        self._writer = CsvWriter(batches.schema)
        if not shape.header:
            self._writer.header()

    def pieces(self, batches: Iterator[Any]) -> Iterator[list[Any]]:
        for batch in batches:
            yield self._writer.rows(batch)
        yield self._writer.header()

    def error(self, told: dict[str, Any]) -> list[Any]:
        return []


class _Json:
    """`{"rows": […], …}`, the members last, since they may be known last; or the list alone."""

    def __init__(self, batches: Batches, members: Mapping[str, Any], shape: Shape) -> None:
        self._writer = JsonWriter(batches.schema)
        self._start, self._end = b'{"rows":[', "]}"
        if shape.is_list:
            self._start, self._end = b"[", "]"
        elif members:
            rest = json.dumps(dict(members), ensure_ascii=False, separators=(",", ":"))
            self._end = "]," + rest[1:]

    def pieces(self, batches: Iterator[Any]) -> Iterator[list[Any]]:
        start = [self._start]
        is_first = True
        for batch in batches:
            written = self._writer.rows(batch, before=",\n", after="")
            if is_first:
                written[0] = written[0][1:]
                is_first = False
            yield start + written
            start = []
        yield [*start, self._end.encode()]

    def error(self, told: dict[str, Any]) -> list[Any]:
        return []


_WRITERS: dict[Form, Callable[[Batches, Mapping[str, Any], Shape], Any]] = {
    Form.JSON: _Json,
    Form.LINES: _Lines,
    Form.CSV: _Csv,
    Form.ARROW: _Arrow,
}


_END = {"type": "http.response.body", "body": b"", "more_body": False}


class _Streamed(Response):
    """An answer that is sent while it is made: one piece travels, and the next is in the making."""

    def __init__(
        self,
        first: list[Any],
        pieces: Iterator[list[Any]],
        call: Call,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(None, headers=dict(headers), media_type=media_type)
        del self.headers["content-length"]
        self._first = first
        self._pieces = pieces
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it all, or as much as the client stays for."""
        client = scope["state"]["client"]
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        coming: asyncio.Future[list[Any] | None] | None = None
        try:
            await send(start)
            some: list[Any] | None = self._first
            while some is not None:
                coming = asyncio.ensure_future(anyio.to_thread.run_sync(self._next))
                for piece in some:
                    if client.is_gone():
                        return
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                some, coming = await coming, None
            await send(_END)
        except _Cut:
            accept = Headers(scope=scope).get("accept", "")
            if self.media_type == Form.ARROW.value and reads_errors_inside(accept):
                await send(_END)
        finally:
            with anyio.CancelScope(shield=True):
                await self._end(coming)

    def _next(self) -> list[Any] | None:
        return next(self._pieces, None)

    async def _end(self, coming: asyncio.Future[list[Any] | None] | None) -> None:
        """Frees what the rows are read from, whether or not they were all read."""
        if coming is not None:
            self._call.cancellation.cancel()
            await asyncio.wait([coming])
            if not coming.cancelled():
                coming.exception()
        await anyio.to_thread.run_sync(functools.partial(_close, self._pieces))


def _close(pieces: Any) -> None:
    pieces.close()
