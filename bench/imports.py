"""Asks how fast a file becomes a table, by a job, beside DuckDB's own COPY … FROM in process.

And what that costs: memory, those who query meanwhile, and a wrong row here and there.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bench import sample
from bench.calls import sql
from bench.in_process import InProcess, ducklake
from bench.load import Work, crowd, repeated
from bench.machine import watched
from bench.results import Row, row
from bench.server import running
from bench.sizes import Sizes
from bench.timing import Contestant, Timing, alternate, speed_ratio, timed
from flight_server.client import Client, connect
from flight_server.testing.server import ServerProcess

# Of what a gigabyte of CSV is made: 35 bytes a row in Arrow, 40 as text.
ROWS_TIMES = 2.5
# Asking costs the server a little time of its own.
PAUSE_SECONDS = 0.05
AT_LEAST = {"csv": 0.7, "parquet": 0.8}
MEGABYTES_MAX, MEGABYTES_AIM = 800, 300
# Every so many rows one is wrong, where that is asked about.
WRONG_EVERY = 10_000
PRICE_MAX = 3.0


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    rows = int(sizes.rows * ROWS_TIMES)
    with sample.workspace() as folder, ExitStack() as closing:
        files = _written(folder, rows)
        settings = {"import_sources": str(folder), "limit_jobs": ""}
        server, _ = closing.enter_context(running(folder / "ours", **settings))
        client = closing.enter_context(connect(server.url, server.key))
        lake = closing.enter_context(ducklake(folder / "lake.ducklake", folder / "lake"))
        found = []
        for name, path in files.items():
            contestants = {"ours": _ours(client, path), "COPY": _copied(lake, path)}
            timings = alternate(contestants, -(-sizes.rounds // 2), rows, _settle)
            question = f"import of {rows:,} rows of {name} ÷ COPY … FROM into DuckLake in process"
            found.append(_compared(question, timings, AT_LEAST[name]))
        found += _memory(server, client, files)
        found.append(_price(server, client, files["csv"], sizes))
        return [*found, *_dirty(client, folder, files["csv"])]


def _written(folder: Path, rows: int) -> dict[str, Path]:
    table = sample.sample(rows)
    files = {"csv": folder / "rows.csv", "parquet": folder / "rows.parquet"}
    pa.csv.write_csv(table, files["csv"])
    pq.write_table(table, files["parquet"])
    return files


def _settle() -> None:
    """Nobody flushes on his own time what another has written."""
    gc.collect()
    os.sync()


def _ours(client: Client, path: Path) -> Contestant:
    numbers = itertools.count()

    def run() -> int:
        name = f"{path.suffix[1:]}_{next(numbers)}"
        rows = int(_done(client, name, path)["rows"])
        client.drop_table(name)
        return rows

    return timed(run)


def _done(client: Client, table: str, path: Path, **more: Any) -> dict[str, Any]:
    submitted = client.import_data(table, str(path), **more)
    job = client.wait_for_job(submitted["job_id"], pause_seconds=PAUSE_SECONDS)
    if job["status"] != "completed":
        raise RuntimeError(f"The import has come to nothing: {job['error']}.")
    result: dict[str, Any] = job["result"]
    return result


def _copied(lake: InProcess, path: Path) -> Contestant:
    numbers = itertools.count()
    kind = path.suffix[1:]

    def run() -> int:
        return lake.load(f"{kind}_{next(numbers)}", path, kind)

    return timed(run)


def _compared(question: str, timings: dict[str, Timing], at_least: float) -> Row:
    ours, theirs = timings["ours"], timings["COPY"]
    detail = f"{ours.spread} against {theirs.spread}"
    return row(question, speed_ratio(ours, theirs), at_least, 1.0, detail=detail)


def _memory(server: ServerProcess, client: Client, files: dict[str, Path]) -> list[Row]:
    """What the worker takes in all, whatever it reads."""
    (worker,) = psutil.Process(server.process.pid).children()
    found = []
    for name, path in files.items():
        _settle()
        with watched(worker.pid) as watch, watched(server.process.pid) as server_watch:
            _done(client, f"watched_{name}", path)
        found.append(
            Row(
                f"memory of the worker while it imports {name}",
                watch.peak / 1e6,
                at_least=MEGABYTES_MAX,
                aim=MEGABYTES_AIM,
                unit="MB",
                less_is_better=True,
                detail=f"{server_watch.peak / 1e6:.0f} MB of the server meanwhile",
            )
        )
    return found


def _price(server: ServerProcess, client: Client, path: Path, sizes: Sizes) -> Row:
    """What an import costs those who query meanwhile."""
    work = Work(server.url, server.key, sql("SELECT 1"))
    idle, beside = [], []
    with crowd(1) as askers:
        for number in range(-(-sizes.rounds // 2)):
            _settle()
            idle.append(askers.run(work, sizes.seconds))
            with _importing(client, f"beside_{number}", path):
                beside.append(askers.run(work, sizes.seconds))
    each = [a.percentile(99) / b.percentile(99) for a, b in zip(beside, idle, strict=True)]
    return Row(
        "p99 of SELECT 1 beside an import ÷ on an idle server",
        statistics.median(each),
        min(each),
        max(each),
        PRICE_MAX,
        less_is_better=True,
        detail=f"{beside[0].described} against {idle[0].described}",
    )


def _importing(client: Client, table: str, path: Path) -> AbstractContextManager[None]:
    """One import after the other while the block runs."""

    def act(number: int) -> None:
        _done(client, f"{table}_{number}", path)
        client.drop_table(f"{table}_{number}")

    return repeated(act)


def _dirty(client: Client, folder: Path, clean: Path) -> list[Row]:
    """What a wrong row here and there costs, where they are set aside."""
    path, rows, wrong = folder / "dirty.csv", 0, 0
    with clean.open("rb") as source, path.open("wb") as target:
        for rows, line in enumerate(source):
            if rows % WRONG_EVERY == WRONG_EVERY - 1:
                line, wrong = b"x" + line, wrong + 1
            target.write(line)
    types = {"id": "int64", "value": "double", "bucket": "int64", "label": "string"}

    def run(name: str, source: Path, rejected: int) -> Contestant:
        numbers = itertools.count()

        def once() -> int:
            table = f"{name}_{next(numbers)}"
            done = _done(client, table, source, on_error="set_aside", schema=types)
            if done["rows_rejected"] != rejected:
                raise RuntimeError(f"{done['rows_rejected']} rows were set aside, not {rejected}.")
            return int(done["rows_read"])

        return timed(once)

    contestants = {"dirty": run("dirty", path, wrong), "clean": run("clean", clean, 0)}
    timings = alternate(contestants, 1, rows, _settle)
    ours, theirs = timings["dirty"], timings["clean"]
    question = f"import of CSV with {wrong:,} wrong rows ÷ without"
    return [
        row(question, speed_ratio(ours, theirs), detail=f"{ours.spread} against {theirs.spread}")
    ]
