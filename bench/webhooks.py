"""Asks how many events a second reach a receiver, and what that costs those who query meanwhile.

A writer commits single rows, and each of many webhooks hears of every commit. A query that reads
nothing is timed while nothing else happens, while the writer writes at its pace without webhooks,
and while it does so with them.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from bench import sample
from bench.calls import FlightCalls, sql
from bench.load import Crowd, Load, Work, crowd
from bench.processes import Conversation, python
from bench.results import Row
from bench.server import create, running
from bench.sizes import Sizes
from bench.timing import Ratio
from flight_server.client import connect
from flight_server.testing.server import ServerProcess

HOOKS = 40
# Events a second at which the price is asked for.
PACE = 1_000
ARRIVAL_SECONDS_MAX = 120
EVENTS_ASKED, PRICE_MAX = 1_000, 3.0
_SELECT = sql("SELECT 1")


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    commits = max(4, int(25 * sizes.seconds))
    with sample.workspace() as folder, ExitStack() as closing:
        server, calls = closing.enter_context(
            running(
                folder / "ours",
                outbound_networks="127.0.0.0/8",
                webhooks_max=HOOKS,
                limit_admin="",
                group_rows_max=0,
            )
        )
        receiver = Conversation(python("bench.webhook_receiver"))
        closing.callback(receiver.end)
        writer = Writer(calls, create(server, "told", _ONE.schema))
        askers = closing.enter_context(crowd(1))
        work = Work(server.url, server.key, _SELECT)
        idle = [askers.run(work, sizes.seconds) for _ in range(sizes.rounds)]
        alone = [_beside(writer, askers, work, sizes.seconds) for _ in range(sizes.rounds)]
        _register(server, receiver.ask()["port"])
        rates = [_rate(writer, receiver, commits) for _ in range(sizes.rounds)]
        told = [_beside(writer, askers, work, sizes.seconds) for _ in range(sizes.rounds)]
        _arrived(receiver, 0)
    return [
        _throughput(rates, commits),
        _price("with webhooks ÷ without", told, alone, PRICE_MAX),
        _price("with webhooks ÷ on an idle server", told, idle, None),
    ]


_ONE = pa.table({"id": pa.array([1], pa.int64()), "name": ["one"]})


@dataclass
class Writer:
    """Commits one row at a time."""

    calls: FlightCalls
    command: bytes
    commits: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)

    def write(self, commits: int) -> None:
        """So many commits, as fast as they go."""
        for _ in range(commits):
            self.commits += self.calls.write(self.command, _ONE)

    @contextmanager
    def at_pace(self, commits_a_second: float) -> Iterator[None]:
        """Goes on committing while the block runs."""
        self._stopping.clear()
        thread = threading.Thread(target=self._keep_on, args=(1 / commits_a_second,))
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def _keep_on(self, pause: float) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            self.write(1)
            due += pause
            self._stopping.wait(max(0.0, due - time.monotonic()))


def _register(server: ServerProcess, port: int) -> None:
    with connect(server.url, server.key) as client:
        for number in range(HOOKS):
            client.create_webhook(f"http://127.0.0.1:{port}/{number}", ["data.*"])


def _rate(writer: Writer, receiver: Conversation, commits: int) -> float:
    """Events a second, from before the first commit to the arrival of the last event."""
    receiver.ask(forget=True)
    began = time.monotonic()
    writer.write(commits)
    came = _arrived(receiver, commits * HOOKS)
    return float(came["events"] / (came["last"] - began))


def _arrived(receiver: Conversation, events: int) -> dict[str, float]:
    """Waits until so many have come, or, of none, until no more come."""
    until = time.monotonic() + ARRIVAL_SECONDS_MAX
    before = -1
    while time.monotonic() < until:
        came = receiver.ask()
        if (events and came["events"] >= events) or (not events and came["deliveries"] == before):
            return dict(came)
        before = came["deliveries"]
        time.sleep(0.05 if events else 1.0)
    raise RuntimeError(f"{came['events']} of {events} events arrived.")


def _beside(writer: Writer, askers: Crowd, work: Work, seconds: float) -> Load:
    with writer.at_pace(PACE / HOOKS):
        return askers.run(work, seconds)


def _throughput(rates: list[float], commits: int) -> Row:
    return Row(
        f"{HOOKS} webhooks, events a second from commits to a receiver",
        statistics.median(rates),
        min(rates),
        max(rates),
        at_least=EVENTS_ASKED,
        unit="events/s",
        detail=f"{commits} commits of one row, {commits * HOOKS} events, in each round",
    )


def _price(name: str, ours: list[Load], theirs: list[Load], at_most: float | None) -> Row:
    each = [a.percentile(99) / b.percentile(99) for a, b in zip(ours, theirs, strict=True)]
    ratio = Ratio(statistics.median(each), min(each), max(each))
    return Row(
        f"p99 of SELECT 1 at {PACE:,} events a second, {name}",
        ratio.value,
        ratio.least,
        ratio.greatest,
        at_most,
        less_is_better=True,
        detail=f"{ours[0].described} against {theirs[0].described}",
    )
