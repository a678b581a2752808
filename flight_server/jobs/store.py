"""Jobs as those see them who submit them: added, looked for, cancelled, begun again."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update

from flight_server.errors import Conflict, ErrorCode, LimitExceeded, NotFound
from flight_server.jobs.events import record_event
from flight_server.jobs.records import (
    Job,
    JobEvent,
    JobSpec,
    LogLine,
    Owner,
    Status,
    job_from,
    owner_columns,
    spec_columns,
)
from flight_server.metastore import Metastore
from flight_server.metastore.audit import record_change
from flight_server.metastore.tables import job_logs, jobs

# So many jobs in so many seconds.
Rate = tuple[int, int]


_ADD = insert(jobs).returning(jobs)


def utc_now() -> dt.datetime:
    """The time."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are wanted; what is None is any."""

    workspace: str | None = None
    principal_id: str | None = None
    status: Status | None = None
    job_type: str | None = None
    schedule_id: str | None = None


class JobStore:
    """The jobs in the metastore. Every method may be called from any thread."""

    def __init__(self, metastore: Metastore, now: Callable[[], dt.datetime] = utc_now) -> None:
        self._metastore = metastore
        self._now = now

    def submit(self, owner: Owner, spec: JobSpec, rates: Sequence[Rate] = ()) -> Job:
        """A new job, pending. LimitExceeded where the owner's workspace has had its share."""
        with self._metastore.begin() as connection:
            check_rates(connection, owner.workspace, rates, self._now())
            job = add_job(connection, owner, spec, self._now())
            record_change(connection, "submit_job", f"job:{job.id}", job_type=spec.job_type)
            return job

    def find(self, id: str) -> Job:
        """One job. NotFound (job_not_found)."""
        with self._metastore.read() as connection:
            return _found(connection, id)

    def page(self, wanted: JobFilter, limit: int, before: int | None = None) -> list[Job]:
        """Jobs, the youngest first; `before` is the number of the last one of the page before."""
        statement = select(jobs).where(*_conditions(wanted)).order_by(jobs.c.number.desc())
        if before is not None:
            statement = statement.where(jobs.c.number < before)
        with self._metastore.read() as connection:
            return [job_from(row) for row in connection.execute(statement.limit(limit)).mappings()]

    def logs(self, job: Job, after: int = 0, limit: int = 1000) -> list[tuple[int, LogLine]]:
        """The lines that a job has written, in their order, each with its number."""
        mine = (job_logs.c.job_id == job.id) & (job_logs.c.id > after)
        return self._lines(select(job_logs).where(mine).order_by(job_logs.c.id).limit(limit))

    def last_lines(self, job: Job, limit: int) -> list[tuple[int, LogLine]]:
        """The last lines that a job has written, in their order, each with its number."""
        mine = select(job_logs).where(job_logs.c.job_id == job.id)
        return self._lines(mine.order_by(job_logs.c.id.desc()).limit(limit))[::-1]

    def _lines(self, statement: Select[Any]) -> list[tuple[int, LogLine]]:
        with self._metastore.read() as connection:
            return [
                (row["id"], LogLine(row["at"], row["level"], row["text"], row["attempt"]))
                for row in connection.execute(statement).mappings()
            ]

    def cancel(self, id: str) -> Job:
        """Ends a job that waits, tells whoever has it to stop. Conflict where it has ended.

        A job that was cancelled before is as good as cancelled now.
        """
        now = self._now()
        with self._metastore.begin() as connection:
            job = _found(connection, id)
            this = jobs.c.number == job.number
            if job.status is Status.PENDING:
                ended = {"status": Status.CANCELLED.value, "completed_at": now}
                change = update(jobs).where(this).values(ended).returning(jobs)
                job = job_from(connection.execute(change).mappings().one())
                record_change(connection, "cancel_job", f"job:{id}")
                return record_event(connection, JobEvent.CANCELLED, job, now)
            if job.status is Status.RUNNING and job.cancel_requested_at is None:
                connection.execute(update(jobs).where(this).values(cancel_requested_at=now))
                record_change(connection, "cancel_job", f"job:{id}")
                return _found(connection, id)
        if job.status in (Status.COMPLETED, Status.FAILED):
            raise Conflict(
                f"The job '{id}' has ended already: it {_became(job)}.", code=ErrorCode.JOB_OVER
            )
        return job

    def retry(self, id: str) -> Job:
        """Lets a job that failed or was cancelled go on from what it has saved. Conflict."""
        now = self._now()
        fresh: dict[str, Any] = dict.fromkeys(
            ("owner", "lease_until", "deadline_at", "cancel_requested_at", "completed_at", "error")
        )
        with self._metastore.begin() as connection:
            job = _found(connection, id)
            if job.status not in (Status.FAILED, Status.CANCELLED):
                raise Conflict(
                    f"The job '{id}' {_became(job)}: only one that failed or was cancelled can be "
                    "begun again.",
                    code=ErrorCode.JOB_OVER,
                )
            values = {**fresh, "status": Status.PENDING.value, "failures": 0, "run_after": now}
            connection.execute(update(jobs).where(jobs.c.number == job.number).values(values))
            record_change(connection, "retry_job", f"job:{id}")
            return _found(connection, id)


def add_job(
    connection: Connection,
    owner: Owner,
    spec: JobSpec,
    now: dt.datetime,
    schedule_id: str | None = None,
) -> Job:
    """A new job, in the caller's transaction."""
    name = secrets.token_hex(12)
    values = {
        **owner_columns(owner),
        **spec_columns(spec),
        "id": name,
        "schedule_id": schedule_id,
        "status": Status.PENDING.value,
        **dict.fromkeys(("attempt", "failures", "rows_done", "bytes_done"), 0),
        "run_after": now,
        "created_at": now,
    }
    return job_from(connection.execute(_ADD, values).mappings().one())


def check_rates(
    connection: Connection, workspace: str, rates: Sequence[Rate], now: dt.datetime
) -> None:
    """LimitExceeded where the workspace has submitted as many jobs as it may, or more."""
    for amount, seconds in rates:
        since = now - dt.timedelta(seconds=seconds)
        recent = (jobs.c.workspace == workspace) & (jobs.c.created_at > since)
        counted = select(func.count(), func.min(jobs.c.created_at)).where(recent)
        count, oldest = connection.execute(counted).one()
        if count < amount:
            continue
        wait = max(1, round((oldest - since).total_seconds() + 0.5))
        raise LimitExceeded(
            f"The workspace '{workspace}' has submitted {count} jobs in {seconds} seconds, and "
            f"{amount} are allowed. Wait {wait} seconds, then send this again.",
            details={"limit": amount, "remaining": 0, "retry_after_seconds": wait},
        )


def job_not_found(id: str) -> NotFound:
    """The one error for a job that is missing and for one that is hidden."""
    return NotFound(f"There is no job '{id[:80]}'.", code=ErrorCode.JOB_NOT_FOUND)


def _found(connection: Connection, id: str) -> Job:
    row = connection.execute(select(jobs).where(jobs.c.id == id)).mappings().one_or_none()
    if row is None:
        raise job_not_found(id)
    return job_from(row)


def _became(job: Job) -> str:
    """What a sentence says of how a job stands."""
    match job.status:
        case Status.COMPLETED:
            return "was completed"
        case Status.FAILED:
            return "failed"
        case Status.CANCELLED:
            return "was cancelled"
    return f"is {job.status.value}"


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    equal = {
        jobs.c.workspace: wanted.workspace,
        jobs.c.principal_id: wanted.principal_id,
        jobs.c.status: wanted.status,
        jobs.c.job_type: wanted.job_type,
        jobs.c.schedule_id: wanted.schedule_id,
    }
    return [column == value for column, value in equal.items() if value is not None]
