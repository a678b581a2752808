"""Asks how fast `adbc_ingest` writes a large table, beside our own DoPut on the same server."""

from __future__ import annotations

import gc
import itertools
import json
import os
from collections.abc import Callable
from contextlib import ExitStack

import pyarrow as pa

from bench import sample
from bench.adbc import AdbcCalls
from bench.peers.flight_sql import running_flight_sql
from bench.results import Row, row
from bench.server import running
from bench.sizes import Sizes
from bench.timing import Timing, alternate, speed_ratio, timed

INGEST, PUT = "adbc_ingest", "our own DoPut"
COMMITTED = "adbc_ingest and commit"
STUB = "the same driver into nothing"


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question. Every lap writes a new table."""
    with sample.workspace() as folder, ExitStack() as closing:
        enter = closing.enter_context
        table = sample.sample(sizes.rows)
        path = sample.save(table.slice(0, 1), folder / "one.arrow")
        server, calls = enter(running(folder / "ours"))
        adbc = enter(AdbcCalls(server.url, server.key))
        transactional = enter(AdbcCalls(server.url, server.key, autocommit=False))
        stub = enter(AdbcCalls(enter(running_flight_sql(folder, path))))
        names = (f"written_{number}" for number in itertools.count())
        found: dict[str, Callable[[], int]] = {
            INGEST: lambda: adbc.ingest(next(names), table),
            PUT: lambda: calls.write(_create(next(names)), table),
            COMMITTED: lambda: _ingest_and_commit(transactional, next(names), table),
            STUB: lambda: stub.ingest(next(names), table),
        }
        contestants = {name: timed(run) for name, run in found.items()}
        timings = alternate(contestants, sizes.rounds, sizes.rows, _settle)
    return [
        _compared(timings, sizes, INGEST, PUT, 0.7, 0.9),
        _compared(timings, sizes, COMMITTED, PUT),
        _compared(timings, sizes, INGEST, STUB),
    ]


def _settle() -> None:
    """What others have written must not be flushed on somebody else's time."""
    gc.collect()
    os.sync()


def _create(name: str) -> bytes:
    """The command of a put that makes its table, as the ingest does."""
    return json.dumps({"ingest": {"table": name, "mode": "create"}}).encode()


def _ingest_and_commit(calls: AdbcCalls, name: str, table: pa.Table) -> int:
    rows = calls.ingest(name, table)
    calls.connection.commit()
    return rows


def _compared(
    timings: dict[str, Timing],
    sizes: Sizes,
    name: str,
    other: str,
    at_least: float | None = None,
    aim: float | None = None,
) -> Row:
    ours, theirs = timings[name], timings[other]
    rates = f"{sizes.rows / ours.median / 1e6:.3g} against {sizes.rows / theirs.median / 1e6:.3g}"
    detail = f"{rates} million rows a second; {ours.spread} against {theirs.spread}"
    return row(f"{name} ÷ {other}", speed_ratio(ours, theirs), at_least, aim, detail=detail)
