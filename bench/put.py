"""Asks how fast a large table is written: validated, flushed, committed, acknowledged."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from bench import sample
from bench.calls import FlightCalls, append
from bench.in_process import InProcess, duckdb_native, ducklake
from bench.peers.install import MISSING, is_installed
from bench.peers.quack import running_quack
from bench.peers.wire import wire_calls
from bench.results import Row, not_measured, row
from bench.server import create, running
from bench.sizes import Sizes
from bench.timing import Contestant, Lap, Timing, alternate, speed_ratio, timed
from flight_server.testing.server import ServerProcess

OURS, QUACK, WIRE = "Pixelflight", "Quack insert", "raw Flight DoPut into nothing"
LAKE = "INSERT … SELECT into DuckLake in process"
NATIVE = "INSERT … SELECT into DuckDB native in process"


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    with sample.workspace() as folder, ExitStack() as closing:
        contestants = _contestants(sizes, folder, closing)
        quack = {name: contestants.pop(name) for name in (QUACK,) if name in contestants}
        timings = alternate(contestants, sizes.rounds, sizes.rows, _settle)
        # It takes so long that it meets us alone, and less often.
        pair = {OURS: contestants[OURS]} | quack
        rounds = -(-sizes.rounds // 2)
        apart = alternate(pair, rounds, sizes.rows, _settle) if quack else {}
    return [
        _compared(apart, sizes, QUACK, 12, 20),
        _compared(timings, sizes, LAKE, 0.8, 1.0),
        _compared(timings, sizes, WIRE),
        _compared(timings, sizes, NATIVE),
    ]


def _settle() -> None:
    """What others have written must not be flushed on somebody else's time."""
    gc.collect()
    os.sync()


def _contestants(sizes: Sizes, folder: Path, closing: ExitStack) -> dict[str, Contestant]:
    enter = closing.enter_context
    table = sample.sample(sizes.rows)
    path = sample.save(table, folder / "bench.arrow")
    server, calls = enter(running(folder / "ours"))
    wire = enter(wire_calls(folder, path))
    lake = enter(ducklake(folder / "lake.ducklake", folder / "lake"))
    native = enter(duckdb_native(folder, table))
    contestants: dict[str, Contestant] = {
        OURS: _put(server, calls, table),
        LAKE: _insert(lake, table),
        WIRE: timed(lambda: wire.write(append("nothing"), table)),
        NATIVE: _insert(native, table),
    }
    if is_installed("quack"):
        contestants[QUACK] = enter(running_quack(folder, path)).insert
    return contestants


def _put(server: ServerProcess, calls: FlightCalls, table: pa.Table) -> Contestant:
    numbers = itertools.count()

    def lap() -> Lap:
        command = create(server, f"written_{next(numbers)}", table.schema)
        return calls.timed_write(command, table)

    return lap


def _insert(database: InProcess, table: pa.Table) -> Contestant:
    def lap() -> Lap:
        name = database.create(table)
        insert: Callable[[], int] = lambda: database.insert(name)  # noqa: E731
        return timed(insert)()

    return lap


def _compared(
    timings: dict[str, Timing],
    sizes: Sizes,
    name: str,
    at_least: float | None = None,
    aim: float | None = None,
) -> Row:
    question = f"put ÷ {name}"
    if name not in timings:
        return not_measured(question, MISSING, at_least, aim)
    ours, theirs = timings[OURS], timings[name]
    rates = f"{sizes.rows / ours.median / 1e6:.3g} against {sizes.rows / theirs.median / 1e6:.3g}"
    detail = f"{rates} million rows a second; {ours.spread} against {theirs.spread}"
    return row(question, speed_ratio(ours, theirs), at_least, aim, detail=detail)
