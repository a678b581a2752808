"""Asks how fast a whole table is read through Flight, beside the wire's limit and the peers."""

from __future__ import annotations

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
    ]


def _contestants(sizes: Sizes, folder: Path, closing: ExitStack) -> dict[str, Contestant]:
    enter = closing.enter_context
    table = sample.sample(sizes.rows)
    path = sample.save(table, folder / "bench.arrow")
    catalog = fill(folder / "ours", table)
    server, calls = enter(running(folder / "ours"))
    client = enter(connect(server.url, server.key))
    wire = enter(wire_calls(folder, path))
    lake = enter(ducklake(catalog, folder / "ours" / "lake" / "files"))
    native = enter(duckdb_native(folder, table))
    found: dict[str, Callable[[], int]] = {
        OURS: lambda: calls.read(scan(TABLE)).num_rows,
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
) -> Row:
    question = f"scan through Flight ÷ {name}"
    if name not in timings:
        return not_measured(question, MISSING, at_least, aim)
    ours, theirs = timings[OURS], timings[name]
    rates = f"{sizes.rows / ours.median / 1e6:.3g} against {sizes.rows / theirs.median / 1e6:.3g}"
    detail = f"{rates} million rows a second; {ours.spread} against {theirs.spread}"
    return row(question, speed_ratio(ours, theirs), at_least, aim, detail=detail)
