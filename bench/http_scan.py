"""Asks how fast a table is read over HTTP: as Arrow beside Flight, and as JSON lines."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from bench import sample
from bench.calls import scan
from bench.http_calls import HttpCalls, rows_of
from bench.machine import watched
from bench.peers import install
from bench.peers.pixeltable import running_pixeltable
from bench.results import Row, not_measured, row
from bench.server import TABLE, put, running
from bench.sizes import Sizes
from bench.timing import Ratio, Timing, alternate, speed_ratio, timed

ARROW, LINES, FLIGHT = "Arrow over HTTP", "JSON lines over HTTP", "Flight"
# Pixeltable reads these in seconds, and would take minutes to load as many as we have.
PIXELTABLE_ROWS = 100_000


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    rows = max(1_000, sizes.rows // 10)
    with sample.workspace() as folder, ExitStack() as closing:
        server, calls = closing.enter_context(running(folder / "ours"))
        put(server, calls, sample.sample(rows))
        web = closing.enter_context(HttpCalls(server.http, server.key))
        path, ticket = rows_of(TABLE), scan(TABLE)
        contestants = {
            ARROW: timed(lambda: int(web.read_arrow(path).num_rows)),
            FLIGHT: timed(lambda: int(calls.read(ticket).num_rows)),
        }
        timings = alternate(contestants, sizes.rounds, rows)
        with watched(server.process.pid) as watch:
            idle = watch.now()
            lines = alternate({LINES: timed(lambda: web.count_lines(path))}, sizes.rounds, rows)
        rival = _pixeltable(folder, min(rows, PIXELTABLE_ROWS), sizes)
    return [
        row(
            f"{rows:,} rows as {ARROW} ÷ {FLIGHT}",
            speed_ratio(timings[ARROW], timings[FLIGHT]),
            0.7,
            1.0,
            detail=f"{timings[ARROW].spread} against {timings[FLIGHT].spread}",
        ),
        _lines(lines[LINES], rows, rival),
        Row(
            f"memory of the server above idle while {LINES} stream out",
            (watch.peak - idle) / 1e6,
            at_least=300,
            aim=100,
            unit="MB",
            less_is_better=True,
            detail=f"{idle / 1e6:.0f} MB when idle, {watch.peak / 1e6:.0f} MB at the peak",
        ),
    ]


def _pixeltable(folder: Path, rows: int, sizes: Sizes) -> tuple[Timing, int] | None:
    """How long Pixeltable takes for so many rows; None where it is not there."""
    if not install.is_installed("pixeltable"):
        return None
    path = sample.save(sample.sample(rows), folder / "pixeltable.arrow")
    with running_pixeltable(folder, path) as pixeltable:
        return alternate({"Pixeltable": pixeltable.read}, sizes.rounds, rows)["Pixeltable"], rows


def _lines(ours: Timing, rows: int, rival: tuple[Timing, int] | None) -> Row:
    question = f"rows a second as {LINES} ÷ Pixeltable's own route"
    if rival is None:
        return not_measured(question, install.MISSING, 5, 10)
    theirs, fewer = rival
    each = sorted((rows / a) / (fewer / b) for a, b in zip(ours.laps, theirs.laps, strict=True))
    return row(
        question,
        Ratio((rows / ours.median) / (fewer / theirs.median), each[0], each[-1]),
        5,
        10,
        detail=f"{rows / ours.median:,.0f} against {fewer / theirs.median:,.0f} rows a second",
    )
