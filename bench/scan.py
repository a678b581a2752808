"""Asks how fast a whole table is read through Flight, beside the wire's limit and the peers.

The same scan comes again and again, so the server soon answers it from memory, as raw Flight and
ROAPI do. A second server, which keeps no answers, shows what a scan from the files gives.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import sample
from bench.calls import scan
from bench.in_process import duckdb_native, ducklake
from bench.peers.install import MISSING, is_installed
from bench.peers.quack import running_quack
from bench.peers.roapi import running_roapi
from bench.peers.wire import wire_calls
from bench.results import Row, not_measured, row
from bench.server import TABLE, fill, running
from bench.sizes import Sizes
from bench.timing import Contestant, Timing, alternate, speed_ratio, timed
from flight_server.client import connect

OURS, WIRE, QUACK, ROAPI = "Pixelflight", "raw Flight", "Quack", "ROAPI"
COLD = "Pixelflight with nothing kept in memory"
CLIENT, LAKE, NATIVE = "our Python client", "DuckLake in process", "DuckDB native in process"


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    with sample.workspace() as folder, ExitStack() as closing:
        contestants = _contestants(sizes, folder, closing)
        timings = alternate(contestants, sizes.rounds, sizes.rows)
    return [
        _compared(timings, sizes, WIRE, 0.65, 0.95),
        _compared(timings, sizes, QUACK, 4, 7),
        _compared(timings, sizes, ROAPI, 1.7, 3),
        *(_compared(timings, sizes, name) for name in (LAKE, NATIVE, CLIENT)),
        *(_compared(timings, sizes, name, ours=COLD) for name in (WIRE, QUACK, ROAPI, LAKE)),
    ]


def _contestants(sizes: Sizes, folder: Path, closing: ExitStack) -> dict[str, Contestant]:
    enter = closing.enter_context
    table = sample.sample(sizes.rows)
    path = sample.save(table, folder / "bench.arrow")
    catalog = fill(folder / "ours", table)
    shutil.copytree(folder / "ours", folder / "cold")
    server, calls = enter(running(folder / "ours"))
    _, cold = enter(running(folder / "cold", hot_bytes_max=0))
    client = enter(connect(server.url, server.key))
    wire = enter(wire_calls(folder, path))
    lake = enter(ducklake(catalog, folder / "ours" / "lake" / "files"))
    native = enter(duckdb_native(folder, table))
    found: dict[str, Callable[[], int]] = {
        OURS: lambda: calls.read(scan(TABLE)).num_rows,
        COLD: lambda: cold.read(scan(TABLE)).num_rows,
        WIRE: lambda: wire.read(b"").num_rows,
        CLIENT: lambda: client.scan(TABLE).to_arrow().num_rows,
        LAKE: lambda: lake.query("FROM bench").num_rows,
        NATIVE: lambda: native.query("FROM bench").num_rows,
    }
    contestants = {name: timed(run) for name, run in found.items()}
    if is_installed("quack"):
        contestants[QUACK] = enter(running_quack(folder, path)).scan
    if is_installed("roapi"):
        roapi = enter(running_roapi(folder, table))
        contestants[ROAPI] = timed(lambda: roapi.query("SELECT * FROM bench").num_rows)
    return contestants


def _compared(
    timings: dict[str, Timing],
    sizes: Sizes,
    name: str,
    at_least: float | None = None,
    aim: float | None = None,
    ours: str = OURS,
) -> Row:
    what = "scan" if ours == OURS else "scan from files"
    question = f"{what} through Flight ÷ {name}"
    if name not in timings:
        return not_measured(question, MISSING, at_least, aim)
    mine, theirs = timings[ours], timings[name]
    rates = f"{sizes.rows / mine.median / 1e6:.3g} against {sizes.rows / theirs.median / 1e6:.3g}"
    detail = f"{rates} million rows a second; {mine.spread} against {theirs.spread}"
    return row(question, speed_ratio(mine, theirs), at_least, aim, detail=detail)
