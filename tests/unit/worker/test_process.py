"""What a worker makes of a job: its end, whatever its runner does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from flight_server.errors import Forbidden, InvalidRequest, LimitExceeded
from flight_server.jobs import Job, JobSpec, JobStore, JobType, LeaseLost, Owner, Status, recover
from flight_server.testing.server import LocalServer
from flight_server.worker import JobRun, runners
from flight_server.worker.keeping import STEP_SECONDS
from flight_server.worker.process import RESULT_BYTES_MAX, Worker
from tests import fix_lake

Start = Callable[..., LocalServer]
QUICK = {"job_lease_seconds": 1.5, "job_grace_seconds": 0.3}


def wait_until(holds: Callable[[], bool]) -> None:
    fix_lake.wait_until(holds, "the job stands so")


class Crew:
    """A server without workers of its own, and one in this process, as a test needs it."""

    def __init__(self, server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self._monkeypatch = monkeypatch
        self.store = JobStore(server.services.metastore)
        self.left: list[int] = []

    def runs(self, runner: Callable[[JobRun], Mapping[str, Any]]) -> None:
        """What media jobs do from now on."""
        known = {JobType.MEDIA_PROCESSING: lambda: runner}
        self._monkeypatch.setattr(runners, "RUNNERS", known)

    def submit(self, **changes: Any) -> Job:
        spec = {"retry_delay_seconds": 0, **changes}
        key = self.server.services.keys.check(self.server.key).principal
        owner = Owner(key.id, key.name, key.workspace, key.scopes)
        return self.store.submit(owner, JobSpec(JobType.MEDIA_PROCESSING, **spec))

    def worker(self, name: str = "w", idle_seconds: float | None = 0) -> Worker:
        services = self.server.services
        return Worker(
            services.settings,
            services.metastore,
            services.signing_secret,
            {"url": self.server.url},
            name,
            idle_seconds,
            self.left.append,
        )

    def work(self) -> None:
        """Does what there is to do."""
        self.worker().run()

    @contextmanager
    def working(self) -> Any:
        worker = self.worker(idle_seconds=None)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            if (attempt := worker._keeper.attempt) is not None:
                # It would have ended with its process.
                attempt.stop(LeaseLost())
            thread.join()

    def found(self, job: Job) -> Job:
        return self.store.find(job.id)


@pytest.fixture
def crew(start_server: Start, monkeypatch: pytest.MonkeyPatch) -> Crew:
    return Crew(start_server(**QUICK), monkeypatch)


def test_the_result_the_progress_and_the_lines_are_kept(crew: Crew) -> None:
    def runner(run: JobRun) -> Mapping[str, Any]:
        run.log("begun")
        run.progress(rows=3, bytes=30, rows_total=4)
        run.log("odd", "warning")
        return {"attempt": run.attempt, **run.parameters}

    crew.runs(runner)
    job = crew.submit(parameters={"operation": "x"})
    crew.work()
    done = crew.found(job)
    assert (done.status, done.result) == (Status.COMPLETED, {"attempt": 1, "operation": "x"})
    assert (done.progress.rows, done.progress.bytes, done.progress.rows_total) == (3, 30, 4)
    lines = [(line.level, line.text) for _, line in crew.store.logs(job)]
    assert lines == [("info", "begun"), ("warning", "odd")]


def test_the_client_is_the_owner(crew: Crew) -> None:
    crew.runs(lambda run: {"tables": [str(one.table) for one in run.client.tables()]})
    job = crew.submit()
    crew.work()
    assert crew.found(job).result == {"tables": []}


def test_jobs_of_one_owner_share_a_connection_until_one_fails(crew: Crew) -> None:
    clients: list[Any] = []

    def runner(run: JobRun) -> Mapping[str, Any]:
        assert not run.client.tables()
        clients.append(run.client)
        if run.parameters:
            raise InvalidRequest("no")
        return {}

    crew.runs(runner)
    for parameters in ({}, {}, {"fails": True}, {}):
        crew.submit(parameters=parameters, max_retries=0)
    crew.work()
    assert clients[0] is clients[1] is clients[2]
    assert clients[3] is not clients[2]


def test_a_key_that_was_revoked_opens_nothing(crew: Crew) -> None:
    keys = crew.server.services.keys
    _, info = keys.create("gone", ("writer",), created_by="test")
    crew.runs(lambda run: {"health": run.client.health()})
    job = crew.store.submit(Owner(f"key:{info.id}", "gone"), JobSpec(JobType.MEDIA_PROCESSING))
    keys.revoke(info.id)
    crew.work()
    failed = crew.found(job)
    assert (failed.status, failed.error and failed.error.code) == (Status.FAILED, "unauthenticated")


def test_an_error_that_cannot_be_helped_fails_the_job(crew: Crew) -> None:
    def runner(run: JobRun) -> Mapping[str, Any]:
        raise Forbidden("You may not.", details={"table": "x"})

    crew.runs(runner)
    job = crew.submit()
    crew.work()
    failed = crew.found(job)
    assert failed.error is not None
    assert (failed.status, failed.attempt, failed.error.code) == (Status.FAILED, 1, "forbidden")
    assert (failed.error.message, failed.error.details) == ("You may not.", {"table": "x"})
    assert [line.text for _, line in crew.store.logs(job)] == ["You may not."]


def test_an_error_that_passes_is_tried_again_from_what_was_saved(crew: Crew) -> None:
    def runner(run: JobRun) -> Mapping[str, Any]:
        seen = [*run.checkpoint.get("seen", []), run.attempt]
        run.save({"seen": seen})
        if len(seen) < 3:
            raise LimitExceeded("Wait.")
        return {"seen": seen}

    crew.runs(runner)
    job = crew.submit()
    crew.work()
    done = crew.found(job)
    assert (done.status, done.result, done.error) == (Status.COMPLETED, {"seen": [1, 2, 3]}, None)


def test_a_bug_is_logged_and_told_by_an_id(crew: Crew, caplog: pytest.LogCaptureFixture) -> None:
    crew.runs(lambda run: {"x": 1 / 0})
    job = crew.submit()
    with caplog.at_level(logging.ERROR):
        crew.work()
    failed = crew.found(job)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == (Status.FAILED, "internal")
    assert failed.error.message == f"internal error (id={job.id}/1)"
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("result", "code"),
    [({"x": object()}, "invalid_request"), ({"x": "y" * RESULT_BYTES_MAX}, "too_large")],
)
def test_a_result_that_cannot_be_kept_fails_the_job(
    crew: Crew, result: dict[str, Any], code: str
) -> None:
    crew.runs(lambda run: result)
    job = crew.submit()
    crew.work()
    failed = crew.found(job)
    assert (failed.status, failed.error and failed.error.code) == (Status.FAILED, code)


def until_stopped(run: JobRun) -> Mapping[str, Any]:
    """A runner that listens."""
    run.log("goes on")
    while True:
        run.check()
        time.sleep(0.01)


def test_a_job_that_listens_is_cancelled_and_its_worker_goes_on(crew: Crew) -> None:
    crew.runs(until_stopped)
    first = crew.submit()
    with crew.working():
        wait_until(lambda: crew.found(first).status is Status.RUNNING)
        crew.store.cancel(first.id)
        wait_until(lambda: crew.found(first).status is Status.CANCELLED)
        crew.runs(lambda run: {})
        second = crew.submit()
        wait_until(lambda: crew.found(second).status is Status.COMPLETED)
    assert crew.left == []
    assert crew.store.logs(first)[0][1].text == "goes on"


def test_a_job_that_does_not_listen_is_ended_with_its_process(crew: Crew) -> None:
    release = threading.Event()
    crew.runs(lambda run: {"stopped": release.wait(30)})
    job = crew.submit()
    with crew.working():
        wait_until(lambda: crew.found(job).status is Status.RUNNING)
        crew.store.cancel(job.id)
        # The process would have ended; here its thread finds that the job is no longer its own.
        wait_until(lambda: bool(crew.left))
        assert crew.found(job).status is Status.CANCELLED
        release.set()
    assert crew.found(job).status is Status.CANCELLED


def test_a_job_ends_when_its_time_is_over(crew: Crew) -> None:
    crew.runs(until_stopped)
    job = crew.submit(timeout_seconds=1)
    crew.work()
    failed = crew.found(job)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == (Status.FAILED, "timed_out")
    assert failed.error.message == "The job was not done within its 1 seconds."


def test_a_lease_is_renewed_for_as_long_as_the_job_runs(crew: Crew) -> None:
    def runner(run: JobRun) -> Mapping[str, Any]:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            run.check()
            time.sleep(0.05)
        return {}

    crew.runs(runner)
    job = crew.submit()
    with crew.working():
        wait_until(lambda: crew.found(job).status is Status.RUNNING)
        # Another worker, which would take what is given up.
        for _ in range(10):
            crew.worker("other").run()
            time.sleep(0.2)
        wait_until(lambda: crew.found(job).status is Status.COMPLETED)
    assert crew.found(job).attempt == 1


def test_whoever_has_lost_a_job_stops_and_writes_nothing(crew: Crew) -> None:
    stopped = threading.Event()

    def runner(run: JobRun) -> Mapping[str, Any]:
        try:
            return until_stopped(run)
        finally:
            stopped.set()

    crew.runs(runner)
    job = crew.submit(max_retries=0)
    with crew.working():
        wait_until(lambda: crew.found(job).status is Status.RUNNING)
        recover(crew.server.services.metastore, ["w"])
        assert stopped.wait(10)
    assert (crew.found(job).status, crew.left) == (Status.FAILED, [])


def test_a_job_whose_end_is_being_written_is_not_taken_for_lost(
    crew: Crew, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew.runs(lambda run: {})
    job = crew.submit()
    worker = crew.worker()
    end = worker._leases.complete_and_claim

    def slowly(*given: Any, **named: Any) -> Any:
        ended = end(*given, **named)
        # The keeper looks again meanwhile.
        time.sleep(3 * STEP_SECONDS)
        return ended

    monkeypatch.setattr(worker._leases, "complete_and_claim", slowly)
    worker.run()
    assert crew.found(job).status is Status.COMPLETED
    assert "no longer this worker's" not in caplog.text


def test_a_worker_that_is_told_to_stop_gives_back_what_it_does(crew: Crew) -> None:
    release = threading.Event()
    crew.runs(lambda run: {"stopped": release.wait(30)})
    job = crew.submit()
    worker = crew.worker(idle_seconds=None)
    thread = threading.Thread(target=worker.run)
    thread.start()
    wait_until(lambda: crew.found(job).status is Status.RUNNING)
    worker.stop()
    given_back = crew.found(job)
    assert (given_back.status, given_back.failures) == (Status.PENDING, 0)
    assert crew.left == [3]
    release.set()
    thread.join()
    crew.runs(lambda run: {"attempt": run.attempt})
    crew.work()
    assert crew.found(job).result == {"attempt": 2}


def test_the_folder_of_an_attempt_is_removed(crew: Crew) -> None:
    seen = []

    def runner(run: JobRun) -> Mapping[str, Any]:
        (run.folder / "part").write_text("x")
        seen.append(run.folder)
        return {}

    crew.runs(runner)
    crew.submit()
    crew.work()
    assert len(seen) == 1
    assert not seen[0].exists()


def test_progress_becomes_an_estimate(crew: Crew) -> None:
    def runner(run: JobRun) -> Mapping[str, Any]:
        for rows in range(0, 100, 10):
            run.progress(rows=rows, rows_total=100)
            time.sleep(0.1)
            run.check()
        until_stopped(run)
        return {}

    crew.runs(runner)
    job = crew.submit()
    with crew.working():
        wait_until(lambda: crew.found(job).progress.done_by is not None)
        seen = crew.found(job)
        assert seen.percent is not None
        assert 0 < seen.percent < 100
        crew.store.cancel(job.id)
        wait_until(lambda: crew.found(job).status is Status.CANCELLED)
