"""Asks what becomes of latency and throughput when many clients read at once."""

from __future__ import annotations

import statistics
from contextlib import ExitStack

from bench import sample
from bench.calls import sql
from bench.load import Load, Work, crowd
from bench.peers.wire import ONE_ROW, running_wire
from bench.results import Row, row
from bench.server import TABLE, put, running
from bench.sizes import Sizes
from bench.timing import Ratio


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question: point reads beside the wire's answer of one row from memory."""
    with sample.workspace() as folder, ExitStack() as closing:
        table = sample.sample(sizes.rows)
        path = sample.save(table.slice(0, 1), folder / "one.arrow")
        server, calls = closing.enter_context(running(folder / "ours"))
        put(server, calls, table)
        del table
        wire = closing.enter_context(running_wire(folder, path))
        select = sql(f"SELECT * FROM {TABLE} WHERE id = {sizes.rows // 2}")
        ours, theirs = Work(server.url, server.key, select), Work(wire, "", ONE_ROW)
        return [_measured(clients, ours, theirs, sizes) for clients in sizes.clients]


def _measured(clients: int, ours: Work, theirs: Work, sizes: Sizes) -> Row:
    pairs: list[tuple[Load, Load]] = []
    with crowd(clients) as them:
        for _ in range(sizes.rounds):
            pairs.append((them.run(ours, sizes.seconds), them.run(theirs, sizes.seconds)))
    each = [a.rate / b.rate for a, b in pairs]
    middle = sorted(pairs, key=lambda pair: pair[0].rate)[len(pairs) // 2]
    name = "1 client" if clients == 1 else f"{clients} clients"
    return row(
        f"point reads a second, {name} ÷ raw Flight",
        Ratio(statistics.median(each), min(each), max(each)),
        detail=f"{middle[0].described} against {middle[1].described}",
    )
