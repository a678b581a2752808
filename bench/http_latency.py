"""Asks how much longer one row takes over HTTP than over Flight, there and back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from bench import sample
from bench.calls import append, scan
from bench.http_calls import HttpCalls, rows_of
from bench.results import Row, row
from bench.server import TABLE, create, put, running
from bench.sizes import Sizes
from bench.timing import Timing, alternate, time_ratio, timed

HTTP, FLIGHT = "HTTP", "Flight"
# A row takes a few milliseconds: so many rounds more than other short ones.
TIMES = 5


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    rows, wanted = sizes.rows // 10, sizes.rows // 20
    with sample.workspace() as folder, ExitStack() as closing:
        server, calls = closing.enter_context(running(folder / "ours"))
        put(server, calls, sample.sample(rows))
        web = closing.enter_context(HttpCalls(server.http, server.key))
        path, ticket = rows_of(TABLE, where=f"id = {wanted}"), scan(TABLE, filter=f"id = {wanted}")
        read = _asked(
            sizes,
            lambda: len(web.read(path)),
            lambda: int(calls.read(ticket).num_rows),
        )
        one = sample.sample(1)
        create(server, "by_http", one.schema)
        create(server, "by_flight", one.schema)
        values, target, command = one.to_pylist()[0], rows_of("by_http"), append("by_flight")
        written = _asked(
            sizes,
            lambda: web.insert(target, values),
            lambda: calls.write(command, one),
        )
    return [_compared("one row read", read), _compared("one row inserted", written)]


def _asked(sizes: Sizes, http: Callable[[], int], flight: Callable[[], int]) -> dict[str, Timing]:
    contestants = {HTTP: timed(http), FLIGHT: timed(flight)}
    return alternate(contestants, sizes.rounds_short * TIMES, 1, lambda: None)


def _compared(what: str, timings: dict[str, Timing]) -> Row:
    return row(
        f"{what}, p50 of the time over HTTP ÷ over Flight",
        time_ratio(timings[HTTP], timings[FLIGHT]),
        2.0,
        1.0,
        less_is_better=True,
        detail=f"{timings[HTTP].spread} against {timings[FLIGHT].spread}",
    )
