"""Many clients at once: processes with threads, each with a channel of its own.

The clients are spread over processes, so that no interpreter's lock stands between them.
"""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bench.calls import FlightCalls
from bench.sample import sample

PROCESSES_MAX = 8
START_SECONDS_MAX = 120


class Repeated(Protocol):
    """What every client of a crowd does again and again: it must give `rows` rows each time."""

    @property
    def rows(self) -> int: ...

    def connected(self, closing: ExitStack) -> Callable[[], int]:
        """The work as a function, over a connection of its own that `closing` ends."""


@dataclass(frozen=True)
class Work:
    """What a client does again and again: read a ticket, or write `rows` rows by a command."""

    url: str
    key: str
    ticket: bytes = b""
    command: bytes = b""
    rows: int = 1

    def connected(self, closing: ExitStack) -> Callable[[], int]:
        """The work as a function that gives the rows that came of it."""
        calls = closing.enter_context(FlightCalls(self.url, self.key))
        if self.ticket:
            return lambda: int(calls.read(self.ticket).num_rows)
        table = sample(self.rows)
        return lambda: calls.write(self.command, table)


@dataclass(frozen=True)
class Load:
    """What all clients did together: how long each call took, and calls a second."""

    seconds: tuple[float, ...]
    rate: float

    def percentile(self, percent: float) -> float:
        """The time that so many percent of the calls stayed below, in milliseconds."""
        return float(np.percentile(self.seconds, percent)) * 1e3

    @property
    def described(self) -> str:
        """Rate and latencies."""
        p50, p99 = self.percentile(50), self.percentile(99)
        return f"{self.rate:,.0f} a second, p50 {p50:.3g} ms, p99 {p99:.3g} ms"


class Crowd:
    """Clients in processes that stay, so that starting them is not measured."""

    def __init__(self, pool: ProcessPoolExecutor, clients: int, processes: int) -> None:
        self._pool = pool
        shares = [clients // processes + (n < clients % processes) for n in range(processes)]
        self._shares = shares

    def run(self, work: Repeated, seconds: float) -> Load:
        """All clients do the work for so long."""
        running = [self._pool.submit(_run_share, work, n, seconds) for n in self._shares]
        laps = [lap for share in running for lap in share.result()]
        return merged(laps)


@contextmanager
def crowd(clients: int) -> Iterator[Crowd]:
    """So many clients."""
    context = multiprocessing.get_context("spawn")
    processes = min(clients, PROCESSES_MAX)
    # A share waits at the barrier, so no process can take two of them.
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, _remember, (barrier,)) as pool:
        yield Crowd(pool, clients, processes)


@contextmanager
def repeated(act: Callable[[int], object]) -> Iterator[None]:
    """Does something again and again while the block runs, told how often it was done before."""
    is_over = threading.Event()

    def keep_on() -> None:
        for number in itertools.count():
            act(number)
            if is_over.is_set():
                return

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(keep_on)
        try:
            yield
        finally:
            is_over.set()
        running.result()


def merged(laps: list[tuple[float, float]]) -> Load:
    """One load out of the (end, duration) of every call; the clients' clock is the machine's."""
    began = min(end - duration for end, duration in laps)
    elapsed = max(end for end, _ in laps) - began
    return Load(tuple(duration for _, duration in laps), len(laps) / elapsed)


_barrier: Any = None


def _remember(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _run_share(work: Repeated, clients: int, seconds: float) -> list[tuple[float, float]]:
    """The clients of one process: connected and warmed up, then all at the same moment."""
    with ExitStack() as closing:
        operations = []
        for _ in range(clients):
            operations.append(work.connected(closing))
            _do(operations[-1], work)
        _barrier.wait(START_SECONDS_MAX)
        ready = threading.Barrier(clients)
        pool = closing.enter_context(ThreadPoolExecutor(clients))
        running = [pool.submit(_repeat, op, work, ready, seconds) for op in operations]
        return [lap for each in running for lap in each.result()]


def _repeat(
    operation: Callable[[], int], work: Repeated, ready: threading.Barrier, seconds: float
) -> list[tuple[float, float]]:
    ready.wait(START_SECONDS_MAX)
    end = time.monotonic() + seconds
    laps = []
    while (began := time.monotonic()) < end:
        _do(operation, work)
        finished = time.monotonic()
        laps.append((finished, finished - began))
    return laps


def _do(operation: Callable[[], int], work: Repeated) -> None:
    rows = operation()
    if rows != work.rows:
        raise RuntimeError(f"A call gave {rows} rows instead of {work.rows}.")
