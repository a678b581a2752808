"""Jobs on the command line, done by the server's own workers and by one beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flight_server.client import Client, connect
from flight_server.testing.server import ServerProcess, running_server
from tests.fix_jobs import ALLOWED, install, workers
from tests.fix_terminal import terminal

SETTINGS: dict[str, Any] = {
    "durability": "none",
    "job_custom": ALLOWED,
    "job_grace_seconds": 0.5,
    "limit_jobs": "",
    "job_niceness": 3,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("jobs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        install(folder / "packages", monkeypatch)
        with running_server(folder / "data", **SETTINGS) as running:
            yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[Client]:
    with connect(server.url, server.key) as opened:
        yield opened


def environment(server: ServerProcess) -> dict[str, str]:
    return os.environ | {"PIXELFLIGHT_URL": server.url, "PIXELFLIGHT_KEY": server.key}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flight_server", *arguments]


def run(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(server),
    )


def count(steps: int, pause_seconds: float = 0.0) -> dict[str, Any]:
    arguments = {"steps": steps, "table": "counted", "pause_seconds": pause_seconds}
    return {"name": "count", "arguments": arguments}


def until(client: Client, job_id: str, *statuses: str) -> dict[str, Any]:
    ends = time.monotonic() + 60
    while (job := client.job(job_id))["status"] not in statuses:
        assert time.monotonic() < ends, job
        time.sleep(0.05)
    return job


@pytest.mark.timeout(120)
def test_a_job_is_submitted_and_followed(server: ServerProcess, client: Client) -> None:
    done = run(server, "jobs", "submit", "custom", json.dumps(count(3)), "--follow")
    assert done.returncode == 0, done.stderr
    assert "attempt 1" in done.stderr
    job_id = done.stdout.strip()
    mine = f"select count(*) as n from counted where job = '{job_id}'"
    assert client.sql(mine).to_pylist() == [{"n": 30}]
    shown = json.loads(run(server, "jobs", "show", job_id).stdout)
    assert (shown["status"], shown["result"]) == ("completed", {"rows": 30})
    listed = run(server, "jobs", "list", "-O", "json", "--status", "completed").stdout
    assert job_id in {json.loads(line)["job"] for line in listed.splitlines()}


@pytest.mark.timeout(120)
def test_a_person_sees_a_bar(server: ServerProcess, client: Client, tmp_path: Path) -> None:
    job_id = client.submit_job("custom", count(40, 0.1))["job_id"]
    follow = command("jobs", "follow", job_id)
    with terminal(follow, tmp_path, environment(server)) as seen:
        seen.until("attempt 1")
        seen.until("custom running")
        seen.until(" %")
        seen.until(" of 400 rows")
        seen.until(" left")
        assert seen.ended() == 0
    assert f"The job {job_id} is done. 400 of 400 rows" in seen.seen
    assert '{"rows": 400}' in seen.seen


@pytest.mark.timeout(120)
def test_a_job_that_hears_nothing_is_cancelled_all_the_same(
    server: ServerProcess, client: Client
) -> None:
    job_id = client.submit_job("custom", {"name": "stubborn"})["job_id"]
    until(client, job_id, "running")
    (before,) = workers(server)
    assert before.nice() == 3, "those who wait for an answer go first"
    assert "is told to stop" in run(server, "jobs", "cancel", job_id).stderr
    assert until(client, job_id, "cancelled")["error"] is None
    # The next job finds a worker again.
    again = run(server, "jobs", "submit", "custom", json.dumps(count(1)), "-f")
    assert again.returncode == 0, again.stderr
    # The worker had to end, and the server, which looks after the dead when there is work, has
    # started another one.
    assert psutil.wait_procs([before], timeout=10)[1] == []


@pytest.mark.timeout(120)
def test_a_job_that_fails_fails_the_command(server: ServerProcess, client: Client) -> None:
    wrong = json.dumps({"operations": [{"operation": "delete", "table": "no", "where": {"a": 1}}]})
    failed = run(server, "jobs", "submit", "batch_operation", wrong, "--follow")
    assert (failed.returncode, "There is no table 'no'" in failed.stderr) == (1, True)
    again = run(server, "jobs", "retry", failed.stdout.strip(), "--follow")
    assert (again.returncode, "There is no table 'no'" in again.stderr) == (1, True)
    for arguments, code, says in (
        (("jobs", "show", "nothing"), 1, "There is no job 'nothing'"),
        (("jobs", "submit", "custom", "[1]"), 2, "no JSON object"),
        (("jobs", "submit", "custom", "{"), 2, "are not JSON"),
        (("jobs", "submit", "custom", '{"name": "x"}'), 1, "Allowed are count, stubborn"),
        (("jobs", "cancel", failed.stdout.strip()), 1, "has ended already: it failed"),
    ):
        refused = run(server, *arguments)
        assert (refused.returncode, says in refused.stderr) == (code, True), refused.stderr


@pytest.mark.timeout(120)
def test_schedules(server: ServerProcess, client: Client) -> None:
    made = run(server, "jobs", "schedule", "add", "0 4 * * *", "custom", json.dumps(count(1)))
    schedule_id = made.stdout.strip()
    assert "The first one is due at" in made.stderr
    assert "is off" in run(server, "jobs", "schedule", "pause", schedule_id).stderr
    listed = run(server, "jobs", "schedule", "list", "-O", "json").stdout
    (row,) = (json.loads(line) for line in listed.splitlines())
    assert (row["schedule"], row["active"], row["next_at"]) == (schedule_id, False, None)
    assert (
        "is on; the next job is due at"
        in run(server, "jobs", "schedule", "resume", schedule_id).stderr
    )
    assert "is removed" in run(server, "jobs", "schedule", "drop", schedule_id).stderr
    assert client.schedules() == []


@pytest.mark.timeout(120)
def test_a_worker_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "packages", monkeypatch)
    with running_server(tmp_path / "data", **SETTINGS, job_workers=0) as server:
        given = {f"PIXELFLIGHT_{name.upper()}": str(value) for name, value in SETTINGS.items()}
        process = subprocess.Popen(
            command("worker", "--data", str(server.data), "--url", server.url),
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | given,
        )
        try:
            with connect(server.url, server.key) as client:
                done = client.submit_job("custom", count(2))["job_id"]
                assert until(client, done, "completed", "failed")["status"] == "completed"
                running = client.submit_job("custom", {"name": "stubborn"})["job_id"]
                until(client, running, "running")
                process.terminate()
                process.wait(20)
                # It is given back, for the next worker.
                job = client.job(running)
                assert (job["status"], job["attempt"], job["error"]) == ("pending", 1, None)
            assert workers(server) == []
        finally:
            process.kill()
            process.communicate()


@pytest.mark.timeout(120)
def test_a_worker_comes_with_the_first_job_and_goes_with_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "packages", monkeypatch)
    with running_server(tmp_path / "data", **SETTINGS) as server:
        assert workers(server) == []
        with connect(server.url, server.key) as client:
            job_id = client.submit_job("custom", {"name": "stubborn"})["job_id"]
            until(client, job_id, "running")
        (worker,) = workers(server)
        server.terminate()
        assert server.wait() == 0
        assert not worker.is_running()
    with (
        running_server(tmp_path / "data", **SETTINGS) as server,
        connect(server.url, server.key) as client,
    ):
        # What was given back goes on without anybody asking for it.
        job = until(client, job_id, "running")
        assert (job["attempt"], job["error"]) == (2, None)
        client.cancel_job(job_id)
        until(client, job_id, "cancelled")
