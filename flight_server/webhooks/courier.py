"""The courier: a process that sends what it is given and says how that went.

It reads a line of JSON for each message from standard input, sends as many at once as there are,
and writes a line for each answer. It ends when its input does, which is when the server ends,
however that came. It opens nothing but connections to addresses that may be dialled, follows no
redirect, and keeps connections for the next message.

Run as `python -m flight_server.webhooks.courier`; the server does.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from flight_server.dialling import Destination, Dialling
from flight_server.dialling.connections import AddressRefused, as_url, connections
from flight_server.errors import PixelflightError
from flight_server.webhooks.signatures import signed, written

LINE_BYTES_MAX = 64 * 2**20
# So much of an answer is read, which lets its connection be used again; the rest nobody needs.
ANSWER_BYTES_MAX = 64 * 2**10
EACH_HOST_MAX = 32
KEPT_SECONDS = 30.0
# Results that come closely after each other are told together.
TOLD_SECONDS = 0.02
NICENESS = 5
AGENT = "pixelflight-webhooks"

log = logging.getLogger(__name__)


async def serve() -> None:
    """Sends what comes until nothing comes any more."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    first = json.loads(await reader.readline())
    pool = connections(
        Dialling(first["networks"]), each_host_max=EACH_HOST_MAX, kept_seconds=KEPT_SECONDS
    )
    timeout = aiohttp.ClientTimeout(total=first["timeout_seconds"])
    headers = {
        "content-type": "application/json",
        "user-agent": AGENT,
        "accept-encoding": "identity",
    }
    sending: set[asyncio.Task[None]] = set()
    results = _Results()
    async with aiohttp.ClientSession(
        connector=pool, timeout=timeout, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        while line := await reader.readline():
            task = asyncio.create_task(_deliver(session, json.loads(line), results))
            sending.add(task)
            task.add_done_callback(sending.discard)
        for task in sending:
            task.cancel()


async def _deliver(
    session: aiohttp.ClientSession, message: Mapping[str, Any], results: _Results
) -> None:
    began = time.monotonic()
    result: dict[str, Any] = {"number": message["number"]}
    try:
        result |= await _answer(session, message)
    except (aiohttp.ClientError, OSError, PixelflightError, ValueError) as error:
        result["error"] = _said(error)
    except TimeoutError:
        result["error"] = "It did not answer in time."
    except Exception as error:
        log.exception("a delivery could not be sent")
        result["error"] = _said(error)
    result["duration_ms"] = round((time.monotonic() - began) * 1000, 1)
    results.add(result)


async def _answer(session: aiohttp.ClientSession, message: Mapping[str, Any]) -> dict[str, Any]:
    keys = message["secrets"]
    body = written(message["webhook_id"], message["event"], message["at"], message["data"], keys)
    headers = message["headers"] | signed(message["id"], body, keys, dt.datetime.now(dt.UTC))
    async with session.post(
        as_url(Destination.of(message["url"])),
        data=body.encode(),
        headers=headers,
        allow_redirects=False,
    ) as response:
        found: dict[str, Any] = {"status": response.status}
        if (spared := _seconds(response.headers.get("retry-after", ""))) is not None:
            found["retry_after"] = spared
        # The status is the answer; what comes behind it may be endless, or be cut.
        with suppress(aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError):
            await response.content.readexactly(ANSWER_BYTES_MAX)
        return found


def _seconds(text: str) -> float | None:
    """What Retry-After asks for: seconds, or a moment."""
    if text.isdecimal():
        return float(text[:9])
    with suppress(ValueError, TypeError):
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is not None:
            return max(0.0, (moment - dt.datetime.now(dt.UTC)).total_seconds())
    return None


def _said(error: Exception) -> str:
    """What went wrong, without the URL or anything that was sent."""
    if isinstance(error, PixelflightError):
        return error.message
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, AddressRefused):
        return cause.error.message
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "Its certificate is not valid for its name."
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return f"No connection: {os.strerror(number) if number else 'nobody answers'}."
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "It closed the connection without an answer."
    return f"It could not be sent ({type(error).__name__})."


class _Results:
    """What there is to tell, some of it at a time: each line read wakes the server."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, result: Mapping[str, Any]) -> None:
        self._lines.append(json.dumps(result) + "\n")
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(TOLD_SECONDS, self.tell)

    def tell(self) -> None:
        # A server that is gone hears nothing; the end of the input tells of that.
        with suppress(BrokenPipeError):
            sys.stdout.write("".join(self._lines))
            sys.stdout.flush()
        self._lines.clear()


def main() -> None:
    """Runs the courier; without uvloop it is slower. Who serves a call goes first."""
    os.nice(NICENESS)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    # A server that is gone takes no results.
    with suppress(KeyboardInterrupt, BrokenPipeError):
        main()
