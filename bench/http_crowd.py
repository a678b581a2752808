"""A process with many open connections to an HTTP server: asked by lines of JSON, as a peer is.

The connections are in a process of their own, so that their work is not the server's; they are
plain asyncio protocols, since any client library would take longer than the server does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import httptools
import uvloop

# How long answers may still come once nothing more is sent.
LINGER_SECONDS = 20.0


@dataclass
class Tally:
    """What came of the requests: seconds by status, and connections that broke."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    without_retry_after: int = 0
    broken: int = 0

    def count(self, status: int, seconds: float, retries: bool) -> None:
        """One answer."""
        self.seconds.setdefault(status, []).append(seconds)
        self.without_retry_after += status == 503 and not retries


class Connection(asyncio.Protocol):
    """One connection that is kept; it asks when it is told to and tells when it is idle."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self._since = 0.0
        self._retries = False
        self._asking = False

    def ask(self, since: float) -> None:
        """Sends the request; `since` is when it was due."""
        self._since, self._retries, self._asking = since, False, True
        self._transport.write(self._crowd.request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._crowd.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.tally.broken += self._asking

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._retries |= name.lower() == b"retry-after"

    def on_message_complete(self) -> None:
        self._asking = False
        seconds = time.perf_counter() - self._since
        self._crowd.tally.count(self._parser.get_status_code(), seconds, self._retries)
        self._crowd.answered(self)

    def close(self) -> None:
        self._transport.close()


class Crowd:
    """So many connections to one server, of which each asks the same request."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.idle: deque[Connection] = deque()
        self.tally = Tally()
        self._everybody: list[Connection] = []
        self._due: deque[float] = deque()
        self._until = 0.0
        self._at_once = False

    async def open(self, host: str, port: int, connections: int) -> None:
        """Opens the connections, a few at a time."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, made = await loop.create_connection(lambda: Connection(self), host, port)
            self._everybody.append(made)

    async def at_once(self, seconds: float) -> None:
        """Every connection asks again as soon as it is answered."""
        self._at_once, self._until = True, time.perf_counter() + seconds
        for one in [self.idle.popleft() for _ in range(len(self.idle))]:
            one.ask(time.perf_counter())
        await asyncio.sleep(seconds)
        await self._all_idle()

    async def at_rate(self, rate: float, seconds: float) -> None:
        """So many requests a second are due, whether earlier ones were answered or not.

        One that finds no idle connection waits for it, and its time counts from when it was due.
        """
        began = time.perf_counter()
        count = int(rate * seconds)
        for number in range(count):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if self.idle:
                self.idle.popleft().ask(due)
            else:
                self._due.append(due)
        await self._all_idle()

    def answered(self, one: Connection) -> None:
        """A connection has its answer."""
        if self._at_once and time.perf_counter() < self._until:
            one.ask(time.perf_counter())
        elif self._due:
            one.ask(self._due.popleft())
        else:
            self.idle.append(one)

    async def _all_idle(self) -> None:
        end = time.perf_counter() + LINGER_SECONDS
        while len(self.idle) + self.tally.broken < len(self._everybody):
            if time.perf_counter() > end:
                break
            await asyncio.sleep(0.01)

    @property
    def unanswered(self) -> int:
        """How many connections still wait, and requests that no connection was free for."""
        return len(self._everybody) - len(self.idle) - self.tally.broken + len(self._due)

    def close(self) -> None:
        for one in self._everybody:
            one.close()


async def _run(host: str, port: int, request: str, connections: int, seconds: float,
               rate: float | None) -> dict[str, Any]:  # fmt: skip
    crowd = Crowd(request.encode())
    await crowd.open(host, port, connections)
    began = time.perf_counter()
    await (crowd.at_once(seconds) if rate is None else crowd.at_rate(rate, seconds))
    elapsed = time.perf_counter() - began
    tally, unanswered = crowd.tally, crowd.unanswered
    crowd.close()
    return {
        "seconds": tally.seconds,
        "elapsed": elapsed,
        "broken": tally.broken,
        "unanswered": unanswered,
        "without_retry_after": tally.without_retry_after,
    }


def main() -> None:
    """Answers each line on standard input with a line."""
    for line in sys.stdin:
        print(json.dumps(uvloop.run(_run(**json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
