"""Bodies of requests as something that can be read from a worker's thread.

A small body is there whole. Of a large one the event loop keeps a few megabytes ready, and stops
taking bytes from the network while nobody reads them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from control_api.dependencies import Call
from flight_server.engines.cancellation import Cancellation
from flight_server.errors import Cancelled, PixelflightError

# Bodies up to this size are read before the route begins.
WHOLE_BYTES_MAX = 256 * 2**10
READY_BYTES_MAX = 8 * 2**20
WAIT_SECONDS = 0.1


class Upload:
    """The bytes of one body. `read` blocks; one thread at a time reads."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._wanted = asyncio.Event()
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._is_ended = False
        self._error: PixelflightError | None = None

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer at the end only; all that are left where no size is given.

        Cancelled where the client leaves; TimedOut.
        """
        wanted = size if size >= 0 else 2**62
        taken: list[bytes] = []
        while wanted:
            piece = self._next()
            if not piece:
                break
            if len(piece) > wanted:
                self._put_back(piece[wanted:])
                piece = piece[:wanted]
            wanted -= len(piece)
            taken.append(piece)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _next(self) -> bytes:
        with self._changed:
            while not self._pieces and not self._is_ended:
                self._cancellation.check()
                self._changed.wait(WAIT_SECONDS)
            if not self._pieces:
                if self._error is not None:
                    raise self._error
                return b""
            piece = self._pieces.popleft()
            was_full = self._bytes >= READY_BYTES_MAX
            self._bytes -= len(piece)
            is_wanted = was_full and self._bytes < READY_BYTES_MAX
        if is_wanted:
            self._loop.call_soon_threadsafe(self._wanted.set)
        return piece

    def _put_back(self, piece: bytes) -> None:
        with self._changed:
            self._pieces.appendleft(piece)
            self._bytes += len(piece)

    def add(self, piece: bytes) -> bool:
        """Takes a piece, in the event loop; whether more are welcome."""
        with self._changed:
            # An empty one would be taken for the end.
            if piece:
                self._pieces.append(piece)
                self._bytes += len(piece)
                self._changed.notify()
            return self._bytes < READY_BYTES_MAX

    def end(self, error: PixelflightError | None = None) -> None:
        """Nothing comes any more: because all came, or because of an error."""
        with self._changed:
            self._is_ended = True
            self._error = error
            self._changed.notify()

    async def fill(self, pieces: AsyncIterator[bytes]) -> None:
        """Takes pieces as fast as they are read."""
        try:
            async for piece in pieces:
                if not self.add(piece):
                    self._wanted.clear()
                    if self.is_full:
                        await self._wanted.wait()
        except ClientDisconnect:
            self.end(Cancelled("The client left before the end of the body."))
        except PixelflightError as error:
            self.end(error)
        else:
            self.end()

    @property
    def is_full(self) -> bool:
        """Whether there is as much as may be kept ready."""
        with self._changed:
            return self._bytes >= READY_BYTES_MAX


async def _upload(request: Request, call: Call) -> AsyncIterator[Upload]:
    """The body, of which the beginning is there."""
    upload = Upload(call.cancellation)
    pieces = request.stream()
    size = 0
    try:
        async for piece in pieces:
            size += len(piece)
            upload.add(piece)
            if size > WHOLE_BYTES_MAX:
                break
        else:
            upload.end()
    except ClientDisconnect:
        upload.end(Cancelled("The client left before the end of the body."))
    filling = asyncio.ensure_future(upload.fill(pieces)) if size > WHOLE_BYTES_MAX else None
    try:
        yield upload
    finally:
        if filling is not None:
            filling.cancel()


Body = Annotated[Upload, Depends(_upload)]
