"""Workers and their server are killed while jobs run: each job ends, and is done once.

What is killed, and when, is random. `PIXELFLIGHT_TEST_CRASH=long` kills 40 times.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import PixelflightError
from flight_server.testing.server import ServerProcess, running_server
from tests.fix_jobs import ALLOWED, install, workers

IS_LONG = os.environ.get("PIXELFLIGHT_TEST_CRASH") == "long"
SERVER_KILLS, WORKER_KILLS = (16, 24) if IS_LONG else (2, 3)
JOBS_AT_ONCE = 8
OPEN = ("pending", "running")
STALLED_SECONDS = 60
SETTINGS: dict[str, Any] = {
    "job_custom": ALLOWED,
    "job_workers": 2,
    "job_lease_seconds": 2,
    "job_grace_seconds": 1,
    "limit_jobs": "",
    "limit_batch": "",
    "housekeeping_seconds": 0.5,
    "log_level": "ERROR",
}
# A job may die with its worker as often as it has to.
PATIENT = {"max_retries": 100, "retry_delay_seconds": 0}


@dataclass
class Submitted:
    """The ids of the jobs of each kind, and the number that each has in its rows."""

    together: dict[str, int] = field(default_factory=dict)
    apart: dict[str, int] = field(default_factory=dict)
    counting: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [*self.together, *self.apart, *self.counting, *self.cancelled]


def submit_some(client: Client, made: Submitted) -> None:
    """A few jobs of each kind."""
    for _ in range(JOBS_AT_ONCE):
        number = len(made.all)
        insert = {"operation": "insert", "table": "effects", "data": [{"n": number}]}
        # Done twice, it would tell.
        add = {
            "operation": "update",
            "table": "sums",
            "where": {"id": 0},
            "set": {"n": {"expr": "n + 1"}},
        }
        one = {"operations": [insert, add]}
        made.together[client.submit_job("batch_operation", one, **PATIENT)["job_id"]] = number
        each = {"operations": [insert, add], "transaction": False}
        number += 1_000_000
        each["operations"] = [{**insert, "data": [{"n": number}]}, {**add, "where": {"id": 1}}]
        made.apart[client.submit_job("batch_operation", each, **PATIENT)["job_id"]] = number
    arguments = {"steps": 6, "table": "counted", "pause_seconds": 0.05}
    count = {"name": "count", "arguments": arguments}
    made.counting.append(client.submit_job("custom", count, **PATIENT)["job_id"])
    doomed = client.submit_job("custom", {"name": "stubborn"}, **PATIENT, priority=9)["job_id"]
    made.cancelled.append(doomed)
    client.cancel_job(doomed)


@contextmanager
def restarted(data: Path) -> Iterator[ServerProcess]:
    with running_server(data, **SETTINGS) as server:
        yield server


def until_over(client: Client, ids: list[str]) -> dict[str, dict[str, Any]]:
    """All jobs, once they have ended: however long that takes, while some of them end."""
    over: dict[str, dict[str, Any]] = {}
    ended_at = time.monotonic()
    while True:
        asked = [client.job(one) for one in ids if one not in over]
        ended = {job["job_id"]: job for job in asked if job["status"] not in OPEN}
        over |= ended
        if len(over) == len(ids):
            return over
        ended_at = time.monotonic() if ended else ended_at
        still_open = [job for job in asked if job["job_id"] not in over]
        assert time.monotonic() < ended_at + STALLED_SECONDS, still_open
        time.sleep(0.2)


def prepare(data: Path) -> None:
    with restarted(data) as server, connect(server.url, server.key) as client:
        client.put("sums", pa.table({"id": [0, 1], "n": [0, 0]}))
        client.create_table("effects", pa.schema([("n", pa.int64())]))
        client.create_table("counted", pa.schema([("job", pa.string()), ("row", pa.int64())]))


@pytest.mark.timeout(1500 if IS_LONG else 200)
def test_every_job_ends_and_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "packages", monkeypatch)
    data, made, chance = tmp_path / "data", Submitted(), random.Random()
    prepare(data)
    killed: Counter[str] = Counter()
    alive: list[psutil.Process] = []
    while killed["server"] < SERVER_KILLS or killed["worker"] < WORKER_KILLS:
        with restarted(data) as server:
            killed["worker"] += kill_workers(server, made, chance)
            alive += workers(server)
            server.kill()
            killed["server"] += 1
    assert psutil.wait_procs(alive, timeout=15)[1] == [], "workers outlive their server"
    with restarted(data) as server, connect(server.url, server.key) as client:
        found = until_over(client, made.all)
        check(client, made, found)
    check_events(data, made)
    assert not list((data / "jobs").glob("*"))
    attempts = Counter(job["attempt"] for job in found.values())
    print(f"{len(found)} jobs, {dict(killed)} kills, attempts {dict(attempts)}")
    assert sum(count for attempt, count in attempts.items() if attempt > 1) >= 1, attempts


def kill_workers(server: ServerProcess, made: Submitted, chance: random.Random) -> int:
    """Lets jobs run for a while, and kills a worker now and then; how many."""
    killed = 0
    with connect(server.url, server.key) as client:
        submit_some(client, made)
        for _ in range(chance.randint(1, 3)):
            time.sleep(chance.uniform(0.1, 1.5))
            for victim in chance.sample(found := workers(server), min(1, len(found))):
                with suppress(psutil.NoSuchProcess):
                    victim.kill()
                    killed += 1
        with suppress(PixelflightError):
            submit_some(client, made)
        time.sleep(chance.uniform(0, 1.0))
    return killed


def check(client: Client, made: Submitted, found: dict[str, dict[str, Any]]) -> None:
    for name in (*made.together, *made.apart, *made.counting):
        assert found[name]["status"] == "completed", found[name]
    assert {found[name]["status"] for name in made.cancelled} == {"cancelled"}
    effects = [row["n"] for row in client.sql("select n from effects order by n").to_pylist()]
    assert effects == sorted([*made.together.values(), *made.apart.values()])
    sums = client.sql("select n from sums order by id").to_pylist()
    assert [row["n"] for row in sums] == [len(made.together), len(made.apart)]
    counted = client.sql("select job, row from counted order by job, row").to_pylist()
    expected = [{"job": name, "row": row} for name in sorted(made.counting) for row in range(60)]
    assert counted == expected
    # What a job is told of its commit is true, however often it had to ask.
    for name in made.together:
        results = found[name]["result"]["results"]
        assert [one["rows"] for one in results] == [1, 1], results


def check_events(data: Path, made: Submitted) -> None:
    """Each job has ended once, and has begun once before that."""
    with sqlite3.connect(data / "metastore.sqlite") as connection:
        rows = connection.execute("SELECT job_id, event FROM job_events ORDER BY id").fetchall()
    told: dict[str, list[str]] = {}
    for job_id, event in rows:
        if event != "job.progress":
            told.setdefault(job_id, []).append(event)
    for name in (*made.together, *made.apart, *made.counting):
        assert told[name] == ["job.started", "job.completed"], told[name]
    for name in made.cancelled:
        assert told[name][-1] == "job.cancelled"
        assert len(told[name]) <= 2
