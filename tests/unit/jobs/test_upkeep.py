"""What is done by the clock: old jobs are forgotten, and a server without jobs does nothing."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from flight_server.jobs import (
    JobFilter,
    JobSpec,
    JobStore,
    JobType,
    Leases,
    LogLine,
    Owner,
    Progress,
    Workers,
)
from flight_server.jobs.upkeep import Upkeep
from flight_server.jobs.workers import plain
from flight_server.metastore import Metastore
from flight_server.metastore.tables import job_events, job_logs, jobs
from flight_server.settings import Settings

OWNER, SPEC = Owner("user:ann", "ann"), JobSpec(JobType.CUSTOM)


def settings(path: Path, **given: object) -> Settings:
    return Settings(data=path, **given)


def done(metastore: Metastore, days_ago: int) -> str:
    """A job that ended some days ago, having written a line."""
    job = JobStore(metastore).submit(OWNER, SPEC)
    leases = Leases(metastore, "w", 10)
    lease = leases.claim()
    assert lease is not None
    now = dt.datetime.now(dt.UTC)
    leases.complete(lease, {}, Progress(), [LogLine(now, "info", "x")])
    with metastore.begin() as connection:
        then = now - dt.timedelta(days=days_ago)
        this = update(jobs).where(jobs.c.id == job.id)
        connection.execute(this.values(completed_at=then))
    return job.id


def test_old_jobs_are_forgotten_with_all_that_is_theirs(
    metastore: Metastore, tmp_path: Path
) -> None:
    done(metastore, days_ago=8)
    young = done(metastore, days_ago=6)
    waiting = JobStore(metastore).submit(OWNER, SPEC).id
    Upkeep(settings(tmp_path), metastore, lambda workspace: ()).step()
    found = {job.id for job in JobStore(metastore).page(JobFilter(), 10)}
    assert found == {young, waiting}
    with metastore.read() as connection:
        for table, count in ((job_events, 2), (job_logs, 1)):
            assert connection.scalar(select(func.count()).select_from(table)) == count


def test_jobs_are_kept_where_the_settings_say_so(metastore: Metastore, tmp_path: Path) -> None:
    done(metastore, days_ago=4000)
    Upkeep(settings(tmp_path, job_seconds_max=0), metastore, lambda workspace: ()).step()
    assert len(JobStore(metastore).page(JobFilter(), 10)) == 1


def test_numbers_of_events_never_come_again(metastore: Metastore, tmp_path: Path) -> None:
    done(metastore, days_ago=8)
    with metastore.read() as connection:
        last = connection.scalar(select(func.max(job_events.c.id)))
    Upkeep(settings(tmp_path), metastore, lambda workspace: ()).step()
    done(metastore, days_ago=0)
    with metastore.read() as connection:
        assert connection.scalar(select(func.min(job_events.c.id))) > last


def test_a_server_without_jobs_has_no_thread_and_no_process(
    metastore: Metastore, tmp_path: Path
) -> None:
    before = threading.active_count()
    workers = Workers(settings(tmp_path), metastore)
    workers.open(lambda: pytest.fail("nobody needs it"))
    assert (threading.active_count(), workers.processes) == (before, [])
    workers.close()


def test_settings_arrive_in_a_worker_as_they_are(tmp_path: Path) -> None:
    given = settings(
        tmp_path,
        s3_secret_access_key="hush",
        trusted_proxies="10.0.0.0/8",
        oidc_role_map="a=reader",
        lake_compression="zstd",
        job_custom="one, two",
    )
    assert Settings(**plain(given)) == given
