"""Asks what a thousand open connections get: below the server's capacity, and far above it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from bench import sample
from bench.http_calls import rows_of
from bench.processes import Conversation, python
from bench.results import Row
from bench.server import TABLE, put, running
from bench.sizes import Sizes

CONNECTIONS = 1_000
# How many connections ask without a pause while the capacity is measured.
BUSY = 16
SHARE = 0.7
OVERLOAD = 3.0
OK, REFUSED = 200, 503


@dataclass(frozen=True)
class Outcome:
    """What came of many requests."""

    seconds: dict[int, list[float]]
    elapsed: float
    lost: int
    without_retry_after: int

    def count(self, status: int) -> int:
        """How many were answered so."""
        return len(self.seconds.get(status, ()))

    @property
    def failed(self) -> int:
        """How many were answered by anything but a success, or by nothing."""
        return self.lost + sum(len(times) for code, times in self.seconds.items() if code != OK)

    @property
    def rate(self) -> float:
        """Successes a second."""
        return self.count(OK) / self.elapsed

    def percentile(self, percent: float, status: int = OK) -> float:
        """The time that so many percent of the answers stayed below, in milliseconds."""
        times = self.seconds.get(status)
        return float(np.percentile(times, percent)) * 1e3 if times else 0.0


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question: reads of one row."""
    rows = max(1_000, sizes.rows // 100)
    connections = min(CONNECTIONS, 10 * sizes.writers * max(sizes.clients))
    with sample.workspace() as folder, ExitStack() as closing:
        server, calls = closing.enter_context(running(folder / "ours"))
        put(server, calls, sample.sample(rows))
        address = urlsplit(server.http)
        request = (
            f"GET {rows_of(TABLE, where=f'id = {rows // 2}')} HTTP/1.1\r\n"
            f"host: {address.netloc}\r\nauthorization: Bearer {server.key}\r\n\r\n"
        )
        crowd = Conversation(python("bench.http_crowd"))
        closing.callback(crowd.end)
        where = {"host": address.hostname, "port": address.port, "request": request}
        seconds = 2 * sizes.seconds
        capacity = _outcome(crowd.ask(**where, connections=BUSY, seconds=seconds, rate=None))
        below = _outcome(
            crowd.ask(**where, connections=connections, seconds=seconds, rate=SHARE * capacity.rate)
        )
        above = _outcome(
            crowd.ask(
                **where, connections=connections, seconds=seconds, rate=OVERLOAD * capacity.rate
            )
        )
    return _rows(connections, capacity, below, above)


def _rows(connections: int, capacity: Outcome, below: Outcome, above: Outcome) -> list[Row]:
    at_share = f"{connections:,} connections at {SHARE:.0%} of capacity"
    beyond = f"{connections:,} connections at {OVERLOAD:g} times the capacity"
    described = f"{below.rate:,.0f} a second, p50 {below.percentile(50):.3g} ms"
    return [
        Row(f"{at_share}: requests that failed", float(below.failed), at_least=0, aim=0,
            unit="requests", less_is_better=True, detail=f"of {below.count(OK):,}"),
        Row(f"{at_share}: p99", below.percentile(99), at_least=1000, aim=100, unit="ms",
            less_is_better=True,
            detail=f"{described}; capacity {capacity.rate:,.0f} a second from {BUSY} connections"),
        Row(f"{beyond}: p99 of refusals", above.percentile(99, REFUSED), at_least=1000, aim=100,
            unit="ms", less_is_better=True,
            detail=f"{above.count(REFUSED):,} refused, {above.without_retry_after} of them without "
            f"Retry-After, {above.count(OK):,} served, p99 {above.percentile(99):.3g} ms"),
        Row(f"{beyond}: served ÷ capacity", above.rate / capacity.rate, at_least=0.5, aim=1.0,
            detail=f"{above.rate:,.0f} a second"),
        Row(f"{beyond}: neither served nor refused",
            float(above.failed - above.count(REFUSED)), at_least=0, aim=0, unit="requests",
            less_is_better=True, detail=f"of {sum(map(len, above.seconds.values())):,}"),
    ]  # fmt: skip


def _outcome(answer: dict[str, Any]) -> Outcome:
    seconds = {int(status): times for status, times in answer["seconds"].items()}
    lost = answer["broken"] + answer["unanswered"]
    return Outcome(seconds, answer["elapsed"], lost, answer["without_retry_after"])
