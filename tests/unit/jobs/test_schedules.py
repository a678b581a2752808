"""Schedules: each time that is due submits one job, by the clock of its zone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pytest

from flight_server.errors import InvalidRequest, NotFound
from flight_server.jobs import JobFilter, JobSpec, JobStore, JobType, Owner, ScheduleStore
from flight_server.jobs.schedules import next_time
from flight_server.metastore import Metastore

OWNER = Owner("user:ann", "ann", "sales", frozenset({"read"}))
SPEC = JobSpec(JobType.CUSTOM, {"name": "nightly"}, priority=8, timeout_seconds=60)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc, arg-type]


@dataclass
class Clock:
    now: dt.datetime

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(utc(2026, 5, 1, 12))


@pytest.fixture
def store(metastore: Metastore, clock: Clock) -> ScheduleStore:
    return ScheduleStore(metastore, clock)


def jobs(metastore: Metastore) -> list[str]:
    return [job.id for job in JobStore(metastore).page(JobFilter(), 100)][::-1]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "due"),
    [
        ("*/15 * * * *", "UTC", utc(2026, 5, 1, 12, 7), utc(2026, 5, 1, 12, 15)),
        ("0 4 * * *", "Europe/Berlin", utc(2026, 5, 1, 12), utc(2026, 5, 2, 2)),
        ("0 4 * * *", "Europe/Berlin", utc(2026, 1, 1, 12), utc(2026, 1, 2, 3)),
        # In the night of 29 March 2026 the clocks of Berlin go from 2:00 to 3:00.
        ("30 2 * * *", "Europe/Berlin", utc(2026, 3, 28, 12), utc(2026, 3, 29, 1)),
        # In the night of 25 October it is 2:30 twice.
        ("30 2 * * *", "Europe/Berlin", utc(2026, 10, 25, 0, 31), utc(2026, 10, 26, 1, 30)),
        ("0 0 29 2 *", "UTC", utc(2026, 5, 1), utc(2028, 2, 29)),
        ("0 9 * * 1-5", "UTC", utc(2026, 5, 1, 12), utc(2026, 5, 4, 9)),
    ],
)
def test_what_is_due_next(cron: str, zone: str, after: dt.datetime, due: dt.datetime) -> None:
    assert next_time(cron, zone, after) == due


@pytest.mark.parametrize("cron", ["* * * *", "60 * * * *", "* * 30 2 *", "a b c d e", ""])
def test_what_is_no_schedule_is_refused(cron: str) -> None:
    with pytest.raises(InvalidRequest, match="is no schedule"):
        next_time(cron, "UTC", utc(2026, 5, 1))


def test_a_schedule_submits_its_job_when_it_is_due(
    store: ScheduleStore, metastore: Metastore, clock: Clock
) -> None:
    made = store.create(OWNER, "nightly", "0 * * * *", "UTC", SPEC)
    assert (made.next_at, made.last_job_id) == (utc(2026, 5, 1, 13), None)
    assert store.fire(lambda workspace: ()) == []
    clock.now = utc(2026, 5, 1, 13)
    (job_id,) = store.fire(lambda workspace: ())
    assert store.fire(lambda workspace: ()) == []
    job = JobStore(metastore).find(job_id)
    assert (job.owner, job.spec, job.schedule_id) == (OWNER, SPEC, made.id)
    after = store.find(made.id)
    assert (after.next_at, after.last_at) == (utc(2026, 5, 1, 14), clock.now)
    assert after.last_job_id == job_id


def test_times_that_passed_are_made_up_for_by_one_job(
    store: ScheduleStore, metastore: Metastore, clock: Clock
) -> None:
    store.create(OWNER, "", "*/5 * * * *", "UTC", SPEC)
    clock.now = utc(2026, 5, 3)
    assert len(store.fire(lambda workspace: ())) == 1
    assert len(jobs(metastore)) == 1
    assert store.next_at() == utc(2026, 5, 3, 0, 5)


def test_of_two_servers_one_submits(
    store: ScheduleStore, metastore: Metastore, clock: Clock
) -> None:
    made = store.create(OWNER, "", "0 * * * *", "UTC", SPEC)
    clock.now = utc(2026, 5, 1, 13)
    # Both have seen that it is due.
    assert store._fire_one(made.id, clock.now, lambda workspace: ()) is not None
    assert store._fire_one(made.id, clock.now, lambda workspace: ()) is None
    assert len(jobs(metastore)) == 1


def test_what_the_limit_does_not_allow_is_left_out_and_said(
    store: ScheduleStore, metastore: Metastore, clock: Clock
) -> None:
    made = store.create(OWNER, "", "0 * * * *", "UTC", SPEC)
    for hour in (13, 14):
        clock.now = utc(2026, 5, 1, hour)
        store.fire(lambda workspace: [(1, 24 * 3600)])
    assert len(jobs(metastore)) == 1
    found = store.find(made.id)
    assert "The workspace 'sales' has submitted 1 jobs" in found.note
    assert (found.next_at, found.last_at) == (utc(2026, 5, 1, 15), utc(2026, 5, 1, 13))
    clock.now = utc(2026, 5, 3)
    store.fire(lambda workspace: [(1, 24 * 3600)])
    assert store.find(made.id).note == ""


def test_a_schedule_that_is_off_submits_nothing(store: ScheduleStore, clock: Clock) -> None:
    made = store.create(OWNER, "", "0 * * * *", "UTC", SPEC)
    assert store.switch(made.id, active=False).next_at is None
    clock.now = utc(2026, 5, 1, 15, 30)
    assert store.fire(lambda workspace: ()) == []
    assert store.next_at() is None
    assert store.switch(made.id, active=True).next_at == utc(2026, 5, 1, 16)


def test_a_schedule_that_is_dropped_is_gone(store: ScheduleStore) -> None:
    made = store.create(OWNER, "", "0 * * * *", "UTC", SPEC)
    assert store.all("sales", "user:ann") == [made]
    assert store.all("sales", "user:bob") == store.all("other", None) == []
    store.drop(made.id)
    for gone in (store.find, store.drop):
        with pytest.raises(NotFound, match="There is no schedule"):
            gone(made.id)
