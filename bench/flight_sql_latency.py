"""Asks what a small statement costs a user of ADBC, beside a server that answers at once."""

from __future__ import annotations

import statistics
from contextlib import ExitStack

from bench import sample
from bench.adbc import AdbcCalls, Statement
from bench.load import Load, crowd
from bench.peers.flight_sql import running_flight_sql
from bench.results import Row, row
from bench.server import running
from bench.sizes import Sizes
from bench.timing import Ratio, alternate, time_ratio, timed

SELECT = "SELECT 1"
OURS, STUB = "Pixelflight", "a server that answers at once"
CONNECTIONS = 8
# A statement takes a few milliseconds: so many rounds more than other short ones.
TIMES = 10


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    with sample.workspace() as folder, ExitStack() as closing:
        path = sample.save(sample.sample(1), folder / "one.arrow")
        server, _ = closing.enter_context(running(folder / "ours"))
        stub = closing.enter_context(running_flight_sql(folder, path))
        return [
            _alone(server.url, server.key, stub, sizes),
            *_crowded(
                Statement(server.url, server.key, SELECT), Statement(stub, "", SELECT), sizes
            ),
        ]


def _alone(url: str, key: str, stub: str, sizes: Sizes) -> Row:
    with AdbcCalls(url, key) as ours, AdbcCalls(stub) as theirs:
        contestants = {
            OURS: timed(lambda: ours.query(SELECT)),
            STUB: timed(lambda: theirs.query(SELECT)),
        }
        timings = alternate(contestants, sizes.rounds_short * TIMES, 1, lambda: None)
    return row(
        f"{SELECT} by ADBC, p50 of the time ÷ {STUB}",
        time_ratio(timings[OURS], timings[STUB]),
        2.0,
        1.5,
        less_is_better=True,
        detail=f"{timings[OURS].spread} against {timings[STUB].spread}",
    )


def _crowded(ours: Statement, theirs: Statement, sizes: Sizes) -> list[Row]:
    """The throughput of several connections beside that of one, for both servers."""
    found: dict[tuple[str, int], list[Load]] = {}
    counts = {1: 1, CONNECTIONS: min(CONNECTIONS, max(sizes.clients))}
    with ExitStack() as closing:
        crowds = {name: closing.enter_context(crowd(count)) for name, count in counts.items()}
        for _ in range(sizes.rounds):
            for name, them in crowds.items():
                found.setdefault((OURS, name), []).append(them.run(ours, sizes.seconds))
                found.setdefault((STUB, name), []).append(them.run(theirs, sizes.seconds))
    many, one = found[OURS, CONNECTIONS], found[OURS, 1]
    return [
        _compared(f"{SELECT} by ADBC a second, {CONNECTIONS} connections ÷ 1", many, one, 1.5),
        # What the driver and gRPC leave possible on this machine.
        _compared(
            f"{SELECT} by ADBC a second, {CONNECTIONS} connections ÷ 1, from {STUB}",
            found[STUB, CONNECTIONS],
            found[STUB, 1],
        ),
        _compared(
            f"{SELECT} by ADBC a second, {CONNECTIONS} connections ÷ {STUB}",
            many,
            found[STUB, CONNECTIONS],
        ),
    ]


def _compared(
    question: str, ours: list[Load], theirs: list[Load], at_least: float | None = None
) -> Row:
    each = [a.rate / b.rate for a, b in zip(ours, theirs, strict=True)]
    middle = [
        sorted(loads, key=lambda load: load.rate)[len(loads) // 2] for loads in (ours, theirs)
    ]
    return row(
        question,
        Ratio(statistics.median(each), min(each), max(each)),
        at_least,
        detail=f"{middle[0].described} against {middle[1].described}",
    )
