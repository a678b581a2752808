"""Asks how many small jobs one worker does in a minute, and how fast the table of jobs is.

A small job puts one row into a table: it is claimed, done over Flight, ended, and told of. The
table by itself is asked in this process: claimed, ended, claimed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import sample
from bench.results import Row
from bench.server import create, running
from bench.sizes import Sizes
from flight_server.client import Client, connect
from flight_server.jobs import JobSpec, JobStore, JobType, Leases, Owner, Progress
from flight_server.metastore import Metastore

A_MINUTE = 2_000
DONE_SECONDS_MAX = 120
# Asking costs the server a little time of its own.
PAUSE_SECONDS = 0.1
TABLE = "done"


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question."""
    count = max(10, int(100 * sizes.seconds))
    settings: dict[str, Any] = {"limit_jobs": "", "limit_batch": "", "job_workers": 1}
    with sample.workspace() as folder, ExitStack() as closing:
        server, _ = closing.enter_context(running(folder / "ours", **settings))
        client = closing.enter_context(connect(server.url, server.key))
        create(server, TABLE, sample.sample(1).schema)
        # The worker is started with the first job.
        _through(client, 1)
        rates = [60 * _through(client, count) for _ in range(sizes.rounds)]
        ends = [_ends(folder / f"{n}.sqlite", count) for n in range(sizes.rounds)]
    jobs = f"{count} jobs of one row each, {sizes.rounds} times"
    return [
        _row("small jobs a minute through one worker", rates, "jobs", jobs, A_MINUTE),
        _row("claimed and ended a second, the table of jobs alone", ends, "jobs", jobs),
    ]


def _submitted(client: Client, count: int) -> list[str]:
    row = {"id": 1, "value": 0.5, "kind": 1, "name": "x"}
    names = sample.sample(1).schema.names
    data = dict(zip(names, row.values(), strict=True))
    batch = {"operations": [{"operation": "insert", "table": TABLE, "data": [data]}]}
    return [client.submit_job("batch_operation", batch)["job_id"] for _ in range(count)]


def _through(client: Client, count: int) -> float:
    """Jobs a second, from the moment that the first is submitted until the last has ended."""
    began = time.monotonic()
    ids = _submitted(client, count)
    client.wait_for_job(ids[-1], DONE_SECONDS_MAX, pause_seconds=PAUSE_SECONDS)
    seconds = time.monotonic() - began
    _check(client, ids)
    return count / seconds


def _check(client: Client, ids: Sequence[str]) -> None:
    """All have come to their end: the last one was taken after the others."""
    for one in ids:
        job = client.job(one)
        assert job["status"] == "completed", job


def _ends(path: Path, count: int) -> float:
    """Jobs a second that are claimed and ended."""
    with Metastore.open(path) as metastore:
        store, leases = JobStore(metastore), Leases(metastore, "bench", 15)
        for _ in range(count):
            store.submit(Owner("user:ann", "ann"), JobSpec(JobType.CUSTOM))
        began = time.monotonic()
        lease = leases.claim()
        while lease is not None:
            _, lease = leases.complete_and_claim(lease, {}, Progress())
        return count / (time.monotonic() - began)


def _row(
    question: str, rates: list[float], unit: str, detail: str, at_least: float | None = None
) -> Row:
    return Row(
        question,
        statistics.median(rates),
        min(rates),
        max(rates),
        at_least,
        unit=unit,
        detail=detail,
    )
