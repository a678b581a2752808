"""Jobs as workers have them: taken under a lease, kept, and ended by whoever still holds it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from flight_server.errors import ErrorCode
from flight_server.jobs.events import record_event
from flight_server.jobs.records import (
    Job,
    JobError,
    JobEvent,
    LogLine,
    Progress,
    Status,
    job_from,
)
from flight_server.jobs.store import utc_now
from flight_server.metastore import Metastore
from flight_server.metastore.tables import job_logs, jobs

# The longest that a job waits between two attempts.
RETRY_SECONDS_MAX = 3600
_LET_GO: Mapping[str, Any] = {"owner": None, "lease_until": None, "done_by": None}

_ENDS = {
    Status.COMPLETED: JobEvent.COMPLETED,
    Status.FAILED: JobEvent.FAILED,
    Status.CANCELLED: JobEvent.CANCELLED,
}


# Built once: to build a statement costs several times as much as to run it.
_WAITING = (jobs.c.status == Status.PENDING.value) & (jobs.c.run_after <= bindparam("now"))
# Of the jobs that wait, the one of the highest priority, and of these the oldest.
_NEXT = select(jobs).where(_WAITING).order_by(jobs.c.precedence, jobs.c.number).limit(1)
# Where the database has several writers, each takes a row that no other one has.
_NEXT_TAKEN = _NEXT.with_for_update(skip_locked=True)
_CHANGE = update(jobs).where(jobs.c.number == bindparam("this")).returning(jobs)
_CHANGE_HELD = _CHANGE.where(
    (jobs.c.owner == bindparam("holder"))
    & (jobs.c.attempt == bindparam("held_attempt"))
    & (jobs.c.status == Status.RUNNING.value)
)


class LeaseLost(Exception):
    """The job is no longer this worker's: it was taken for dead, or its job was ended."""


@dataclass(frozen=True)
class Lease:
    """Who holds a job, in which attempt; `until` is when it is given up unless it is renewed."""

    job: Job
    owner: str
    attempt: int
    until: dt.datetime


class Leases:
    """What one worker does with the table. `owner` is a name that no other process has."""

    def __init__(
        self,
        metastore: Metastore,
        owner: str,
        seconds: float,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._metastore = metastore
        self._owner = owner
        self._seconds = dt.timedelta(seconds=seconds)
        self._now = now

    def claim(self) -> Lease | None:
        """The next job that waits: of the highest priority the oldest. None where none does."""
        now = self._now()
        with self._metastore.read() as connection:
            # Looked for first without waiting for writers: mostly there is nothing to do.
            if connection.execute(_NEXT, {"now": now}).first() is None:
                return None
        with self._metastore.begin() as connection:
            return self._next(connection, now)

    def _next(self, connection: Connection, now: dt.datetime) -> Lease | None:
        row = connection.execute(_NEXT_TAKEN, {"now": now}).mappings().one_or_none()
        return None if row is None else self._take(connection, job_from(row), now)

    def _take(self, connection: Connection, job: Job, now: dt.datetime) -> Lease:
        until = now + self._seconds
        timeout = dt.timedelta(seconds=job.spec.timeout_seconds)
        values = {
            "status": Status.RUNNING.value,
            "attempt": job.attempt + 1,
            "owner": self._owner,
            "lease_until": until,
            "started_at": job.started_at or now,
            "deadline_at": job.deadline_at or now + timeout,
        }
        taken = _changed(connection, job.number, values)
        if job.deadline_at is None:
            record_event(connection, JobEvent.STARTED, taken, now)
        return Lease(taken, self._owner, taken.attempt, until)

    def renew(
        self,
        lease: Lease,
        progress: Progress | None = None,
        lines: Sequence[LogLine] = (),
        tells: bool = False,
    ) -> Job:
        """Holds the job on, and writes down what it tells. LeaseLost.

        The answer says whether its owner wants it cancelled. `tells` makes an event of it.
        """
        now = self._now()
        values: dict[str, Any] = {"lease_until": now + self._seconds}
        values |= {} if progress is None else _progress_columns(progress)
        with self._metastore.begin() as connection:
            job = self._write(connection, lease, values)
            _add_lines(connection, lease, lines)
            return record_event(connection, JobEvent.PROGRESS, job, now) if tells else job

    def is_to_stop(self, lease: Lease) -> bool:
        """Whether the job's owner wants it cancelled. LeaseLost. Waits for no writer."""
        with self._metastore.read() as connection:
            columns = (jobs.c.cancel_requested_at, jobs.c.owner, jobs.c.attempt, jobs.c.status)
            this = select(*columns).where(jobs.c.number == lease.job.number)
            row = connection.execute(this).one_or_none()
        if row is None or row[1:] != (lease.owner, lease.attempt, Status.RUNNING.value):
            raise LeaseLost
        return row[0] is not None

    def save(self, lease: Lease, checkpoint: Mapping[str, Any]) -> None:
        """Keeps where the next attempt goes on. LeaseLost."""
        values = {"checkpoint": json.dumps(dict(checkpoint))}
        with self._metastore.begin() as connection:
            self._write(connection, lease, values)

    def complete(
        self,
        lease: Lease,
        result: Mapping[str, Any],
        progress: Progress,
        lines: Sequence[LogLine] = (),
    ) -> Job:
        """The job is done. LeaseLost."""
        return self.complete_and_claim(lease, result, progress, lines, claims=False)[0]

    def complete_and_claim(
        self,
        lease: Lease,
        result: Mapping[str, Any],
        progress: Progress,
        lines: Sequence[LogLine] = (),
        claims: bool = True,
    ) -> tuple[Job, Lease | None]:
        """The job is done, and the next one that waits is taken, in one transaction. LeaseLost.

        A transaction ends with waiting for the disk, which for small jobs is most of the work.
        """
        now = self._now()
        values = {
            **_LET_GO,
            **_progress_columns(progress),
            "status": Status.COMPLETED.value,
            "completed_at": now,
            "result": json.dumps(dict(result)),
            "error": None,
        }
        with self._metastore.begin() as connection:
            done = self._leave(connection, lease, values, lines, now)
            return done, self._next(connection, now) if claims else None

    def cancelled(self, lease: Lease, lines: Sequence[LogLine] = ()) -> Job:
        """The job has stopped, as its owner wanted. LeaseLost."""
        now = self._now()
        with self._metastore.begin() as connection:
            return self._leave(connection, lease, _cancelled_columns(now), lines, now)

    def fail(self, lease: Lease, error: JobError, lines: Sequence[LogLine] = ()) -> Job:
        """This attempt came to nothing: it is tried again where that may help. LeaseLost."""
        now = self._now()
        with self._metastore.begin() as connection:
            values = after_failure(_read(connection, lease.job.number), error, now)
            return self._leave(connection, lease, values, lines, now)

    def release(self, lease: Lease, lines: Sequence[LogLine] = ()) -> None:
        """Lets somebody else go on with the job: this process ends, and the job is not to blame."""
        now = self._now()
        values = {**_LET_GO, "status": Status.PENDING.value, "run_after": now}
        with self._metastore.begin() as connection:
            if _read(connection, lease.job.number).cancel_requested_at is not None:
                values = _cancelled_columns(now)
            self._leave(connection, lease, values, lines, now)

    def _leave(
        self,
        connection: Connection,
        lease: Lease,
        values: dict[str, Any],
        lines: Sequence[LogLine],
        now: dt.datetime,
    ) -> Job:
        job = self._write(connection, lease, values)
        _add_lines(connection, lease, lines)
        return _ended(connection, job, now)

    def _write(self, connection: Connection, lease: Lease, values: dict[str, Any]) -> Job:
        held = {"this": lease.job.number, "holder": lease.owner, "held_attempt": lease.attempt}
        written = connection.execute(_CHANGE_HELD, {**values, **held})
        row = written.mappings().one_or_none()
        if row is None:
            raise LeaseLost
        return job_from(row)


def recover(
    metastore: Metastore, owners: Sequence[str] = (), now: Callable[[], dt.datetime] = utc_now
) -> int:
    """Gives up leases that have run out, and those of `owners`, who are known to be dead.

    Ends jobs whose time is over while nobody has them. How many jobs that concerned.
    """
    moment = now()
    is_lost = (jobs.c.lease_until < moment) | jobs.c.owner.in_(owners)
    lost = (jobs.c.status == Status.RUNNING.value) & is_lost
    late = (jobs.c.status == Status.PENDING.value) & (jobs.c.deadline_at < moment)
    either = select(jobs).where(lost | late)
    with metastore.read() as connection:
        if connection.execute(either).first() is None:
            return 0
    with metastore.begin() as connection:
        found = [job_from(row) for row in connection.execute(either).mappings()]
        for job in found:
            _give_up(connection, job, moment)
    return len(found)


def is_waited_for(metastore: Metastore) -> bool:
    """Whether there is any job that has not ended."""
    unended = (Status.PENDING.value, Status.RUNNING.value)
    with metastore.read() as connection:
        first = select(jobs.c.number).where(jobs.c.status.in_(unended)).limit(1)
        return connection.execute(first).first() is not None


def count_waiting(metastore: Metastore, most: int, now: dt.datetime) -> int:
    """How many jobs could be taken now; those beyond `most` are not counted."""
    waits = (jobs.c.status == Status.PENDING.value) & (jobs.c.run_after <= now)
    with metastore.read() as connection:
        return len(connection.execute(select(jobs.c.number).where(waits).limit(most)).all())


def after_failure(job: Job, error: JobError, now: dt.datetime) -> dict[str, Any]:
    """The columns of a job whose attempt has failed: to be tried again, or over."""
    if job.cancel_requested_at is not None:
        return _cancelled_columns(now)
    failures = job.failures + 1
    values = {**_LET_GO, "failures": failures, "error": json.dumps(error.as_json())}
    delay = min(job.spec.retry_delay_seconds * 2 ** (failures - 1), RETRY_SECONDS_MAX)
    again_at = now + dt.timedelta(seconds=delay)
    is_late = job.deadline_at is not None and again_at >= job.deadline_at
    if error.retryable and failures <= job.spec.max_retries and not is_late:
        return {**values, "status": Status.PENDING.value, "run_after": again_at}
    return {**values, "status": Status.FAILED.value, "completed_at": now}


def timed_out(job: Job) -> JobError:
    """What a job is told that did not end in time."""
    message = f"The job was not done within its {job.spec.timeout_seconds} seconds."
    return JobError(ErrorCode.TIMED_OUT.text, message)


def _give_up(connection: Connection, job: Job, now: dt.datetime) -> None:
    is_late = job.deadline_at is not None and job.deadline_at < now
    values = after_failure(job, timed_out(job) if is_late else _worker_lost(), now)
    _ended(connection, _changed(connection, job.number, values), now)


def _ended(connection: Connection, job: Job, now: dt.datetime) -> Job:
    """The job that has just been let go, once its end is told, if it is one."""
    event = _ENDS.get(job.status)
    return job if event is None else record_event(connection, event, job, now)


def _changed(connection: Connection, number: int, values: dict[str, Any]) -> Job:
    """The job, once the values are in its row."""
    changed = connection.execute(_CHANGE, {**values, "this": number})
    return job_from(changed.mappings().one())


def _cancelled_columns(now: dt.datetime) -> dict[str, Any]:
    return {**_LET_GO, "status": Status.CANCELLED.value, "completed_at": now}


def _worker_lost() -> JobError:
    return JobError(
        ErrorCode.UNAVAILABLE.text,
        "The worker ended without a word: it was killed, or ran out of memory.",
        retryable=True,
    )


def _progress_columns(progress: Progress) -> dict[str, Any]:
    return {
        "rows_done": progress.rows,
        "bytes_done": progress.bytes,
        "rows_total": progress.rows_total,
        "bytes_total": progress.bytes_total,
        "done_by": progress.done_by,
    }


def _read(connection: Connection, number: int) -> Job:
    row = connection.execute(select(jobs).where(jobs.c.number == number)).mappings().one()
    return job_from(row)


def _add_lines(connection: Connection, lease: Lease, lines: Sequence[LogLine]) -> None:
    if not lines:
        return
    rows = [
        {
            "job_id": lease.job.id,
            "attempt": lease.attempt,
            "at": line.at,
            "level": line.level,
            "text": line.text,
        }
        for line in lines
    ]
    connection.execute(insert(job_logs), rows)
