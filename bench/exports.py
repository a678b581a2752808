"""Asks how fast a table becomes a file, by a job, beside DuckDB's own COPY … TO in process."""

from __future__ import annotations

import gc
import itertools
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from bench import sample
from bench.in_process import InProcess, ducklake
from bench.machine import watched
from bench.results import Row, row
from bench.server import TABLE, fill, running
from bench.sizes import Sizes
from bench.timing import Contestant, alternate, speed_ratio, timed
from flight_server.client import Client, connect
from flight_server.testing.server import ServerProcess

# Of what a gigabyte of CSV is made: 35 bytes a row in Arrow, 40 as text.
ROWS_TIMES = 2.5
PAUSE_SECONDS = 0.05
FORMATS = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}
AT_LEAST = {"csv": 0.7, "parquet": 0.8}
MEGABYTES_MAX, MEGABYTES_AIM = 800, 400


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    rows = int(sizes.rows * ROWS_TIMES)
    with sample.workspace() as folder, ExitStack() as closing:
        data, out = folder / "ours", folder / "out"
        out.mkdir()
        copy = fill(data, sample.sample(rows))
        settings = {"export_destinations": str(out), "limit_jobs": ""}
        server, _ = closing.enter_context(running(data, **settings))
        client = closing.enter_context(connect(server.url, server.key))
        lake = closing.enter_context(ducklake(copy, data / "lake" / "files"))
        found = []
        for name in FORMATS:
            contestants = {
                "ours": _ours(client, name, out),
                "COPY": _copied(lake, name, out),
            }
            rounds = -(-sizes.rounds // 2)
            timings = alternate(contestants, rounds, rows, lambda: _settle(out))
            ours, theirs = timings["ours"], timings["COPY"]
            found.append(
                row(
                    f"export of {rows:,} rows as {name} ÷ COPY … TO from DuckLake in process",
                    speed_ratio(ours, theirs),
                    AT_LEAST[name],
                    1.0,
                    detail=f"{ours.spread} against {theirs.spread}",
                )
            )
        return [*found, *_memory(server, client, out)]


def _settle(out: Path) -> None:
    """Nobody finds what another has written, or flushes it on his own time."""
    for path in out.iterdir():
        path.unlink()
    gc.collect()
    os.sync()


def _ours(client: Client, kind: str, out: Path) -> Contestant:
    numbers = itertools.count()

    def run() -> int:
        target = out / f"ours{next(numbers)}.{kind}"
        return int(_done(client, kind, target)["result"]["rows"])

    return timed(run)


def _done(client: Client, kind: str, target: Path) -> dict[str, Any]:
    submitted = client.export(TABLE, kind, str(target))
    job = client.wait_for_job(submitted["job_id"], pause_seconds=PAUSE_SECONDS)
    if job["status"] != "completed":
        raise RuntimeError(f"The export has come to nothing: {job['error']}.")
    return job


def _copied(lake: InProcess, kind: str, out: Path) -> Contestant:
    return timed(lambda: lake.copy(TABLE, out / f"theirs.{kind}", FORMATS[kind]))


def _memory(server: ServerProcess, client: Client, out: Path) -> list[Row]:
    """What the worker takes in all, whatever it writes."""
    (worker,) = psutil.Process(server.process.pid).children()
    found = []
    for name in FORMATS:
        _settle(out)
        with watched(worker.pid) as watch, watched(server.process.pid) as server_watch:
            _done(client, name, out / f"watched.{name}")
        found.append(
            Row(
                f"memory of the worker while it exports as {name}",
                watch.peak / 1e6,
                at_least=MEGABYTES_MAX,
                aim=MEGABYTES_AIM,
                unit="MB",
                less_is_better=True,
                detail=f"{server_watch.peak / 1e6:.0f} MB of the server meanwhile",
            )
        )
    return found
