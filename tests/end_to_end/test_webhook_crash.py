"""A server that is killed again and again: each event arrives, under one id, and none is invented.

What happened is known from the lake's own history and from the table of jobs; what was told, from
a receiver that outlives the server, and that fails and dawdles itself. The server is killed at
random moments of commits and deliveries, and its courier is, too. `PIXELFLIGHT_TEST_CRASH=long`
kills more often. The test fails when too little happened between the kills.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import psutil
import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import PixelflightError
from flight_server.testing.server import ServerProcess, running_server
from tests.fix_webhooks import Came, Receiver, Reply

KILLS = 30 if os.environ.get("PIXELFLIGHT_TEST_CRASH") == "long" else 3
TABLES = ("planes", "routes")
ONE = pa.table({"id": pa.array([1], pa.int64())})
TOLD = {"inserted": "data.inserted", "updated": "data.updated", "deleted": "data.deleted"}
SETTINGS = {
    "outbound_networks": "127.0.0.1/32",
    "housekeeping_seconds": 0,
    "durability": "none",
    "limit_admin": "",
    "job_workers": 1,
    "job_lease_seconds": 1,
}
SETTLED_SECONDS_MAX = 120.0
DELIVERED_SECONDS_MAX = 30.0


class Moody(Receiver):
    """Fails now and then, and takes its time; it never forgets what has come."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        super().__init__()

    def take(self, came: Came) -> Reply:
        super().take(came)
        mood = self._chance.random()
        if mood < 0.05:
            return Reply(500)
        return Reply(0) if mood < 0.08 else Reply(seconds=0.05 * (mood > 0.8))


@contextmanager
def killed(
    server: ServerProcess, begun: Callable[[], bool], chance: random.Random
) -> Iterator[None]:
    """Kills the server some time after it has begun, and before that, now and then, its courier."""

    def kill() -> None:
        until = time.monotonic() + DELIVERED_SECONDS_MAX
        while not begun() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.5, 3.0))
        if chance.random() < 0.3:
            for child in psutil.Process(server.process.pid).children():
                if "flight_server.webhooks.courier" in child.cmdline():
                    child.kill()
        server.process.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        killer.join()
        server.process.wait()


def work(server: ServerProcess, chance: random.Random) -> None:
    """Commits, and submits jobs, until the server is gone."""
    jobs = f"{server.http}/api/v1/batch/jobs"
    headers = {"authorization": f"Bearer {server.key}"}
    job = {
        "job_type": "batch_operation",
        "parameters": {"operations": [{"operation": "insert", "table": "t", "data": [{"id": 1}]}]},
    }
    job["parameters"]["operations"][0]["table"] = TABLES[0]  # type: ignore[index]
    with connect(server.url, server.key) as client:
        try:
            httpx.post(jobs, json=job, headers=headers, timeout=10)
            while True:
                table = chance.choice(TABLES)
                client.put(table, ONE)
                if chance.random() < 0.2:
                    client.update(table, {"id": "id + 1"}, "id < 5")
                if chance.random() < 0.1:
                    client.delete(table, "id > 4")
        except (PixelflightError, httpx.HTTPError):
            return


def happened(client: Client, since: int) -> set[tuple[str, str]]:
    """What the lake and the table of jobs know of: events, and of what."""
    found = {
        (TOLD[change], f"{table}@{version.snapshot}")
        for table in TABLES
        for version in client.versions(table)
        if version.snapshot > since
        for change in version.changes
        if change in TOLD
    }
    return found | {("job.completed", job["job_id"]) for job in client.jobs(status="completed")}


def told(receiver: Receiver) -> dict[tuple[str, str], set[str]]:
    """What was told, with the ids that it came under."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for came in list(receiver.came):
        data = came.body["data"]
        what = data["job_id"] if "job_id" in data else f"{data['table']}@{data['commit']}"
        found[came.event, what].add(came.id)
    return found


@pytest.mark.timeout(1500)
def test_killed_while_it_commits_and_delivers(tmp_path: Path) -> None:
    chance = random.Random(time.time_ns())
    receiver = Moody(chance)
    with running_server(tmp_path, **SETTINGS) as server, connect(server.url, server.key) as client:
        for table in TABLES:
            client.create_table(table, ONE.schema)
        since = client.versions(TABLES[-1])[0].snapshot
        retry = {"max_retries": 100, "retry_delay_seconds": 0}
        events = [*TOLD.values(), "job.completed"]
        made = client.create_webhook(receiver.url(), events, retry_config=retry)
    counts = []
    for kill in range(KILLS):
        before = len(receiver.came) if kill % 2 else -1
        # Where processors are short, one that only has so many seconds delivers nothing.
        delivers = partial(lambda before: len(receiver.came) > before, before)
        with running_server(tmp_path, **SETTINGS) as server, killed(server, delivers, chance):
            work(server, chance)
        counts.append(len(receiver.came))
    with running_server(tmp_path, **SETTINGS) as server, connect(server.url, server.key) as client:
        settle(lambda: all(j["status"] == "completed" for j in client.jobs()), "jobs are done")
        expected = happened(client, since)
        settle(lambda: expected <= set(told(receiver)), "all is told")
        settle(lambda: client.deliveries(made["id"], 1, "pending") == [], "nothing waits")
    receiver.close()
    found = told(receiver)
    assert set(found) == expected
    assert all(len(ids) == 1 for ids in found.values())
    assert len(set().union(*found.values())) == len(found)
    for came in receiver.came:
        assert came.body["webhook_id"] == made["id"]
    assert len(expected) > 5 * KILLS, "too little happened"
    assert counts[-1] > counts[0], "nothing was delivered between the kills"
    print(f"{KILLS} kills, {len(expected)} events, {len(receiver.came)} attempts")


def settle(done: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + SETTLED_SECONDS_MAX
    while not done():
        assert time.monotonic() < until, f"it did not happen: {what}"
        time.sleep(0.05)
