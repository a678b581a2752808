"""A job is held by one worker at a time, and ended once, by whoever holds it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from sqlalchemy import select

from flight_server.errors import Conflict, ErrorCode, LimitExceeded, NotFound
from flight_server.jobs import (
    Job,
    JobError,
    JobFilter,
    JobSpec,
    JobStore,
    JobType,
    Lease,
    LeaseLost,
    Leases,
    LogLine,
    Owner,
    Progress,
    Status,
    recover,
)
from flight_server.metastore import Metastore
from flight_server.metastore.tables import job_events

OWNER = Owner("user:ann", "ann", "sales", frozenset({"read"}))
SPEC = JobSpec(JobType.CUSTOM, {"name": "nightly"}, timeout_seconds=600, retry_delay_seconds=10)
BUSY = JobError("unavailable", "The server is stopping.", retryable=True)


class Clock:
    def __init__(self) -> None:
        self.now = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


class Table:
    """The table of jobs, and a worker or two, under a clock that stands still."""

    def __init__(self, metastore: Metastore) -> None:
        self.metastore = metastore
        self.clock = Clock()
        self.store = JobStore(metastore, self.clock)

    def worker(self, name: str = "w1") -> Leases:
        return Leases(self.metastore, name, 15, self.clock)

    def submit(self, **changes: object) -> Job:
        return self.store.submit(OWNER, replace(SPEC, **changes))  # type: ignore[arg-type]

    def claimed(self, name: str = "w1") -> Lease:
        lease = self.worker(name).claim()
        assert lease is not None
        return lease

    def recover(self, *owners: str) -> int:
        return recover(self.metastore, owners, self.clock)

    def events(self, job: Job) -> list[str]:
        mine = select(job_events.c.event).where(job_events.c.job_id == job.id)
        with self.metastore.read() as connection:
            return list(connection.scalars(mine.order_by(job_events.c.id)))


@pytest.fixture
def table(metastore: Metastore) -> Table:
    return Table(metastore)


def test_what_is_submitted_comes_back_as_it_was(table: Table) -> None:
    job = table.submit(webhook_url="https://example.com/", webhook_events=("completed",))
    assert job == table.store.find(job.id)
    assert (job.owner, job.status, job.attempt) == (OWNER, Status.PENDING, 0)
    assert job.spec.webhook_events == ("completed",)
    assert job.spec.parameters == {"name": "nightly"}
    assert (job.percent, job.created_at) == (0.0, table.clock.now)


def test_the_highest_priority_comes_first_and_of_one_the_oldest(table: Table) -> None:
    ids = [table.submit(priority=priority).id for priority in (5, 9, 5, 1, 9)]
    taken = [table.claimed().job.id for _ in ids]
    assert taken == [ids[1], ids[4], ids[0], ids[2], ids[3]]
    assert table.worker().claim() is None


def test_a_job_is_taken_once(table: Table) -> None:
    table.submit()
    lease = table.claimed("w1")
    assert table.worker("w2").claim() is None
    assert (lease.attempt, lease.job.status) == (1, Status.RUNNING)
    assert lease.job.deadline_at == table.clock.now + dt.timedelta(seconds=600)


def test_its_end_is_written_with_its_result_and_told(table: Table) -> None:
    job = table.submit()
    lines = [LogLine(table.clock.now, "info", "half done")]
    lease = table.claimed()
    table.worker().renew(lease, Progress(5, 50, 10), lines, tells=True)
    table.clock.pass_by(3)
    done = table.worker().complete(lease, {"rows": 10}, Progress(10, 100, 10))
    assert (done.status, done.result, done.percent) == (Status.COMPLETED, {"rows": 10}, 100.0)
    assert done.completed_at == table.clock.now
    assert table.events(job) == ["job.started", "job.progress", "job.completed"]
    assert [line for _, line in table.store.logs(job)] == [replace(lines[0], attempt=1)]


def test_the_next_job_is_taken_as_one_is_ended(table: Table) -> None:
    first, second = table.submit(), table.submit()
    done, lease = table.worker().complete_and_claim(table.claimed(), {}, Progress())
    assert (done.id, done.status) == (first.id, Status.COMPLETED)
    assert lease is not None
    assert (lease.job.id, lease.job.status, lease.attempt) == (second.id, Status.RUNNING, 1)
    assert table.worker().complete_and_claim(lease, {}, Progress())[1] is None
    # Where the first is lost, nothing is taken.
    third = table.submit()
    with pytest.raises(LeaseLost):
        table.worker().complete_and_claim(lease, {}, Progress())
    assert table.store.find(third.id).status is Status.PENDING


def test_whoever_lost_a_job_can_do_nothing_with_it_any_more(table: Table) -> None:
    job = table.submit()
    first, worker = table.claimed("w1"), table.worker("w1")
    table.clock.pass_by(16)
    assert table.recover() == 1
    table.clock.pass_by(10)
    second = table.claimed("w2")
    assert second.attempt == 2
    for late in (
        lambda: worker.renew(first),
        lambda: worker.save(first, {"offset": 1}),
        lambda: worker.complete(first, {}, Progress()),
        lambda: worker.fail(first, BUSY),
        lambda: worker.cancelled(first),
        lambda: worker.release(first),
        lambda: worker.is_to_stop(first),
    ):
        with pytest.raises(LeaseLost):
            late()
    assert table.worker("w2").complete(second, {}, Progress()).status is Status.COMPLETED
    assert table.events(job) == ["job.started", "job.completed"]


def test_the_same_worker_cannot_end_an_earlier_attempt_of_its_own(table: Table) -> None:
    table.submit()
    first = table.claimed()
    table.recover("w1")
    table.clock.pass_by(10)
    second = table.claimed()
    with pytest.raises(LeaseLost):
        table.worker().complete(first, {}, Progress())
    table.worker().complete(second, {}, Progress())


def test_a_lease_that_is_renewed_is_held(table: Table) -> None:
    table.submit()
    lease = table.claimed()
    for _ in range(5):
        table.clock.pass_by(10)
        table.worker().renew(lease)
        assert table.recover() == 0


def test_what_may_help_is_tried_again_later_and_later(table: Table) -> None:
    job = table.submit(max_retries=2)
    waits = []
    for _ in range(2):
        failed = table.worker().fail(table.claimed(), BUSY)
        assert (failed.status, failed.error) == (Status.PENDING, BUSY)
        waits.append((failed.run_after - table.clock.now).total_seconds())
        assert table.worker().claim() is None
        table.clock.pass_by(waits[-1])
    assert waits == [10, 20]
    assert table.worker().fail(table.claimed(), BUSY).status is Status.FAILED
    assert table.events(job) == ["job.started", "job.failed"]


def test_what_cannot_help_is_not_tried_again(table: Table) -> None:
    table.submit()
    wrong = JobError("table_not_found", "There is no table 'x'.")
    failed = table.worker().fail(table.claimed(), wrong)
    assert (failed.status, failed.error) == (Status.FAILED, wrong)


def test_an_attempt_after_the_deadline_is_not_waited_for(table: Table) -> None:
    table.submit(timeout_seconds=8)
    assert table.worker().fail(table.claimed(), BUSY).status is Status.FAILED


def test_a_job_whose_worker_died_goes_on_from_what_it_saved(table: Table) -> None:
    table.submit()
    lease = table.claimed("w1")
    table.worker("w1").save(lease, {"offset": 7})
    assert table.recover("w1") == 1
    table.clock.pass_by(10)
    again = table.claimed("w2")
    assert (again.job.checkpoint, again.attempt, again.job.failures) == ({"offset": 7}, 2, 1)
    assert again.job.error is not None
    assert "killed" in again.job.error.message


def test_a_job_that_kills_its_workers_is_given_up(table: Table) -> None:
    table.submit(max_retries=1, retry_delay_seconds=0)
    for _ in range(2):
        table.claimed()
        table.recover("w1")
    job = table.store.page(JobFilter(), 1)[0]
    assert (job.status, job.failures) == (Status.FAILED, 2)


def test_a_worker_that_ends_gives_its_job_back_without_blame(table: Table) -> None:
    table.submit(max_retries=0)
    table.worker().release(table.claimed())
    again = table.claimed("w2")
    assert (again.attempt, again.job.failures) == (2, 0)


def test_a_job_that_waits_is_cancelled_at_once(table: Table) -> None:
    job = table.submit()
    assert table.store.cancel(job.id).status is Status.CANCELLED
    assert table.store.cancel(job.id).status is Status.CANCELLED
    assert table.worker().claim() is None
    assert table.events(job) == ["job.cancelled"]


@pytest.mark.parametrize("how", ["asked", "failed", "released", "lost"])
def test_a_job_that_runs_is_cancelled_however_it_stops(table: Table, how: str) -> None:
    job = table.submit()
    lease, worker = table.claimed(), table.worker()
    assert not worker.is_to_stop(lease)
    assert table.store.cancel(job.id).status is Status.RUNNING
    assert worker.is_to_stop(lease)
    match how:
        case "asked":
            worker.cancelled(lease)
        case "failed":
            worker.fail(lease, BUSY)
        case "released":
            worker.release(lease)
        case "lost":
            table.recover("w1")
    assert table.store.find(job.id).status is Status.CANCELLED
    assert table.events(job) == ["job.started", "job.cancelled"]


def test_a_job_that_was_done_before_it_heard_of_it_is_done(table: Table) -> None:
    job = table.submit()
    lease = table.claimed()
    table.store.cancel(job.id)
    assert table.worker().complete(lease, {}, Progress()).status is Status.COMPLETED
    with pytest.raises(Conflict, match="was completed") as caught:
        table.store.cancel(job.id)
    assert caught.value.code is ErrorCode.JOB_OVER


def test_a_job_that_waits_too_long_for_another_attempt_fails(table: Table) -> None:
    job = table.submit(timeout_seconds=60)
    table.worker().release(table.claimed())
    table.clock.pass_by(61)
    assert table.recover() == 1
    found = table.store.find(job.id)
    assert (found.status, found.error and found.error.code) == (Status.FAILED, "timed_out")


def test_a_job_that_failed_can_be_begun_again(table: Table) -> None:
    job = table.submit(max_retries=0)
    lease = table.claimed()
    table.worker().save(lease, {"offset": 3})
    table.worker().fail(lease, BUSY)
    again = table.store.retry(job.id)
    assert (again.status, again.failures, again.error) == (Status.PENDING, 0, None)
    table.clock.pass_by(5_000)
    lease = table.claimed()
    assert (lease.job.checkpoint, lease.attempt) == ({"offset": 3}, 2)
    with pytest.raises(Conflict, match="is running: only one that failed"):
        table.store.retry(job.id)


def test_a_workspace_submits_so_many_jobs_and_no_more(table: Table) -> None:
    rates = [(2, 3600)]
    for _ in range(2):
        table.store.submit(OWNER, SPEC, rates)
        table.clock.pass_by(60)
    with pytest.raises(LimitExceeded, match="'sales' has submitted 2 jobs") as caught:
        table.store.submit(OWNER, SPEC, rates)
    table.store.submit(replace(OWNER, workspace="other"), SPEC, rates)
    table.clock.pass_by(caught.value.details["retry_after_seconds"])
    table.store.submit(OWNER, SPEC, rates)


def test_a_job_that_is_not_there_is_named(table: Table) -> None:
    with pytest.raises(NotFound, match="There is no job 'x'"):
        table.store.find("x")


def test_jobs_are_listed_in_pages_the_youngest_first(table: Table) -> None:
    ids = [table.submit().id for _ in range(3)]
    page = table.store.page(JobFilter(workspace="sales"), 2)
    rest = table.store.page(JobFilter(workspace="sales"), 2, page[-1].number)
    assert [job.id for job in [*page, *rest]] == ids[::-1]
    assert table.store.page(JobFilter(status=Status.RUNNING), 5) == []
    assert table.store.page(JobFilter(workspace="other"), 5) == []
