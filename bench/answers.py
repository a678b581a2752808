"""Asks how much longer a SELECT takes through Flight than in process, on the same files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from bench import sample
from bench.calls import sql
from bench.in_process import duckdb_native, ducklake
from bench.results import Row, row
from bench.server import TABLE, fill, running
from bench.sizes import Sizes
from bench.timing import Timing, alternate, time_ratio, timed

OURS, LAKE, NATIVE = "through Flight", "DuckLake in process", "DuckDB native in process"


def measure_select(
    sizes: Sizes, what: str, select: str, rows: int, at_most: float, aim: float
) -> list[Row]:
    """The time of one SELECT over the large table as ratios."""
    with sample.workspace() as folder, ExitStack() as closing:
        enter = closing.enter_context
        table = sample.sample(sizes.rows)
        catalog = fill(folder / "ours", table)
        _, calls = enter(running(folder / "ours"))
        lake = enter(ducklake(catalog, folder / "ours" / "lake" / "files"))
        native = enter(duckdb_native(folder, table))
        del table
        found: dict[str, Callable[[], int]] = {
            OURS: lambda: calls.read(sql(select.format(TABLE))).num_rows,
            LAKE: lambda: lake.query(select.format(TABLE)).num_rows,
            NATIVE: lambda: native.query(select.format(TABLE)).num_rows,
        }
        contestants = {name: timed(run) for name, run in found.items()}
        timings = alternate(contestants, sizes.rounds_short, rows)
    return [
        _compared(what, timings, LAKE, at_most, aim),
        _compared(what, timings, NATIVE),
    ]


def _compared(
    what: str,
    timings: dict[str, Timing],
    name: str,
    at_most: float | None = None,
    aim: float | None = None,
) -> Row:
    ours, theirs = timings[OURS], timings[name]
    return row(
        f"{what}, time through Flight ÷ {name}",
        time_ratio(ours, theirs),
        at_most,
        aim,
        less_is_better=True,
        detail=f"{ours.spread} against {theirs.spread}",
    )
