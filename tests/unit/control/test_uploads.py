"""Bodies of requests, read from a worker's thread while the event loop takes them in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from starlette.requests import ClientDisconnect

from control_api import uploads
from control_api.uploads import READY_BYTES_MAX, Upload
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.errors import Cancelled, InvalidRequest, TimedOut

PIECE = b"x" * 2**20


async def pieces(
    count: int, given: list[int], error: Exception | None = None
) -> AsyncIterator[bytes]:
    for number in range(count):
        given.append(number)
        yield PIECE
    if error is not None:
        raise error


def test_a_body_is_read_as_it_was_sent() -> None:
    async def run() -> bytes:
        upload = Upload(NEVER)
        for piece in (b"abc", b"", b"defg", b"h"):
            upload.add(piece)
        upload.end()
        assert upload.read(2) == b"ab"
        assert upload.read(4) == b"cdef"
        assert upload.read(0) == b""
        return upload.read() + upload.read() + upload.read(5)

    assert asyncio.run(run()) == b"gh"


def test_no_more_is_taken_than_may_be_kept_ready() -> None:
    async def run() -> tuple[int, int]:
        upload, given = Upload(NEVER), list[int]()
        filling = asyncio.ensure_future(upload.fill(pieces(50, given)))
        while not upload.is_full:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        ahead = len(given)
        read = 0
        while data := await asyncio.to_thread(upload.read, 3 * 2**20):
            read += len(data)
            assert len(given) * len(PIECE) <= read + READY_BYTES_MAX + len(PIECE)
        await filling
        return ahead, read

    ahead, read = asyncio.run(run())
    assert ahead * len(PIECE) <= READY_BYTES_MAX
    assert read == 50 * len(PIECE)


@pytest.mark.parametrize(
    ("error", "raised"),
    [(ClientDisconnect(), Cancelled), (InvalidRequest("no"), InvalidRequest)],
)
def test_what_breaks_a_body_is_raised_by_its_reader(
    error: Exception, raised: type[Exception]
) -> None:
    async def run() -> None:
        upload = Upload(NEVER)
        await upload.fill(pieces(2, [], error))
        assert len(upload.read(2 * len(PIECE))) == 2 * len(PIECE)
        with pytest.raises(raised):
            upload.read(1)

    asyncio.run(run())


def test_a_reader_waits_no_longer_than_its_request_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "WAIT_SECONDS", 0.01)

    async def run() -> None:
        upload = Upload(Cancellation(time.monotonic() + 0.05))
        with pytest.raises(TimedOut):
            await asyncio.to_thread(upload.read, 1)

    asyncio.run(run())
