"""Asks how fast a large table is read by ADBC, and what the server needs for it.

The limit is the same driver reading the same batches from the memory of a server that does
nothing else. The table stays as it is, so ours answers from memory, too; a second server, which
keeps no answers, shows what a scan from the files gives and how little memory it takes.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack

from bench import sample
from bench.adbc import AdbcCalls
from bench.machine import watched
from bench.peers.flight_sql import running_flight_sql
from bench.results import Row, row
from bench.server import TABLE, fill, running
from bench.sizes import Sizes
from bench.timing import Timing, alternate, speed_ratio, timed

SELECT = f"SELECT * FROM {TABLE}"
OURS, STUB = "Pixelflight", "the same driver from a server's memory"
COLD = "Pixelflight with nothing kept in memory"
MEMORY_AT_MOST, MEMORY_AIM = 600, 300


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    with sample.workspace() as folder, ExitStack() as closing:
        enter = closing.enter_context
        table = sample.sample(sizes.rows)
        path = sample.save(table, folder / "bench.arrow")
        fill(folder / "ours", table)
        del table
        shutil.copytree(folder / "ours", folder / "cold")
        server, _ = enter(running(folder / "ours"))
        cold, _ = enter(running(folder / "cold", hot_bytes_max=0))
        stub = enter(running_flight_sql(folder, path))
        places = {OURS: (server.url, server.key), COLD: (cold.url, cold.key), STUB: (stub, "")}
        calls = {name: enter(AdbcCalls(*place)) for name, place in places.items()}
        contestants = {
            name: timed(lambda one=one: one.query(SELECT))  # type: ignore[misc]
            for name, one in calls.items()
        }
        with watched(cold.process.pid) as watch:
            idle = watch.now()
            timings = alternate(contestants, sizes.rounds, sizes.rows)
    return [
        _compared("scan by ADBC", timings, OURS, sizes, 0.6, 0.9),
        _memory(idle, watch.peak),
        _compared("scan from files by ADBC", timings, COLD, sizes),
    ]


def _compared(
    what: str,
    timings: dict[str, Timing],
    name: str,
    sizes: Sizes,
    at_least: float | None = None,
    aim: float | None = None,
) -> Row:
    ours, theirs = timings[name], timings[STUB]
    rates = f"{sizes.rows / ours.median / 1e6:.3g} against {sizes.rows / theirs.median / 1e6:.3g}"
    detail = f"{rates} million rows a second; {ours.spread} against {theirs.spread}"
    return row(f"{what} ÷ {STUB}", speed_ratio(ours, theirs), at_least, aim, detail=detail)


def _memory(idle: int, peak: int) -> Row:
    return Row(
        "memory of the server above idle while it is scanned by ADBC",
        (peak - idle) / 1e6,
        at_least=MEMORY_AT_MOST,
        aim=MEMORY_AIM,
        unit="MB",
        less_is_better=True,
        detail=f"{idle / 1e6:.0f} MB when idle, {peak / 1e6:.0f} MB at the peak",
    )
