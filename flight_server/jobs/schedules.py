"""Schedules: jobs that are submitted by the clock, each due time once.

What fires a schedule moves it on in the same transaction in which it adds the job, so that several
servers, or one that is killed, fire it once. Times that passed while no server ran are made up for
by one job.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded, NotFound
from flight_server.jobs.records import (
    JobSpec,
    Owner,
    owner_columns,
    owner_of,
    spec_columns,
    spec_of,
)
from flight_server.jobs.store import Rate, add_job, check_rates, utc_now
from flight_server.metastore import Metastore
from flight_server.metastore.audit import record_change
from flight_server.metastore.tables import job_schedules


@dataclass(frozen=True)
class Schedule:
    """A job and when it is submitted. `note` says why the last time came to nothing."""

    id: str
    name: str
    owner: Owner
    cron: str
    timezone: str
    spec: JobSpec
    active: bool
    created_at: dt.datetime
    next_at: dt.datetime | None = None
    last_at: dt.datetime | None = None
    last_job_id: str | None = None
    note: str = ""


class ScheduleStore:
    """The schedules in the metastore. Every method may be called from any thread."""

    def __init__(self, metastore: Metastore, now: Callable[[], dt.datetime] = utc_now) -> None:
        self._metastore = metastore
        self._now = now

    def create(self, owner: Owner, name: str, cron: str, timezone: str, spec: JobSpec) -> Schedule:
        """A new schedule. InvalidRequest says what is wrong with its times."""
        now = self._now()
        values = {
            **owner_columns(owner),
            "id": secrets.token_hex(12),
            "name": name,
            "cron": cron,
            "timezone": timezone,
            "job": json.dumps(spec_columns(spec)),
            "active": True,
            "next_at": next_time(cron, timezone, now),
            "note": "",
            "created_at": now,
        }
        with self._metastore.begin() as connection:
            connection.execute(insert(job_schedules).values(values))
            record_change(connection, "create_schedule", f"schedule:{values['id']}", cron=cron)
            return _found(connection, values["id"])

    def find(self, id: str) -> Schedule:
        """NotFound (job_not_found)."""
        with self._metastore.read() as connection:
            return _found(connection, id)

    def all(self, workspace: str | None, principal_id: str | None) -> list[Schedule]:
        """The schedules of a workspace, of a principal, or all; the oldest first."""
        statement = select(job_schedules).order_by(job_schedules.c.created_at, job_schedules.c.id)
        if workspace is not None:
            statement = statement.where(job_schedules.c.workspace == workspace)
        if principal_id is not None:
            statement = statement.where(job_schedules.c.principal_id == principal_id)
        with self._metastore.read() as connection:
            return [_schedule(row) for row in connection.execute(statement).mappings()]

    def switch(self, id: str, active: bool) -> Schedule:
        """Turns a schedule on, from the next due time, or off. NotFound."""
        with self._metastore.begin() as connection:
            found = _found(connection, id)
            next_at = next_time(found.cron, found.timezone, self._now()) if active else None
            this = update(job_schedules).where(job_schedules.c.id == id)
            connection.execute(this.values(active=active, next_at=next_at))
            record_change(connection, "change_schedule", f"schedule:{id}", active=active)
            return _found(connection, id)

    def drop(self, id: str) -> None:
        """Removes a schedule; its jobs stay. NotFound."""
        with self._metastore.begin() as connection:
            _found(connection, id)
            connection.execute(delete(job_schedules).where(job_schedules.c.id == id))
            record_change(connection, "drop_schedule", f"schedule:{id}")

    def next_at(self) -> dt.datetime | None:
        """When the first of all schedules is due."""
        with self._metastore.read() as connection:
            first: dt.datetime | None = connection.scalar(select(func.min(job_schedules.c.next_at)))
            return first

    def fire(self, rates: Callable[[str], Sequence[Rate]]) -> list[str]:
        """Submits the jobs of the schedules that are due; their ids.

        A workspace that has had its share of jobs gets none, which its schedule then says.
        """
        now = self._now()
        due = select(job_schedules).where(job_schedules.c.next_at <= now)
        with self._metastore.read() as connection:
            ids = [row["id"] for row in connection.execute(due).mappings()]
        fired = (self._fire_one(one, now, rates) for one in ids)
        return [job for job in fired if job is not None]

    def _fire_one(
        self, id: str, now: dt.datetime, rates: Callable[[str], Sequence[Rate]]
    ) -> str | None:
        still_due = (job_schedules.c.id == id) & (job_schedules.c.next_at <= now)
        with self._metastore.begin() as connection:
            # Another server may have been quicker.
            row = connection.execute(select(job_schedules).where(still_due)).mappings().first()
            if row is None:
                return None
            one = _schedule(row)
            values: dict[str, Any] = {"next_at": next_time(one.cron, one.timezone, now)}
            try:
                check_rates(connection, one.owner.workspace, rates(one.owner.workspace), now)
                job = add_job(connection, one.owner, one.spec, now, one.id)
                values |= {"last_at": now, "last_job_id": job.id, "note": ""}
                record_change(connection, "submit_job", f"job:{job.id}", schedule=one.id)
            except LimitExceeded as error:
                job = None
                values["note"] = f"Nothing was submitted at {now.isoformat()}: {error.message}"
            connection.execute(update(job_schedules).where(still_due).values(values))
            return None if job is None else job.id


def next_time(cron: str, timezone: str, after: dt.datetime) -> dt.datetime | None:
    """The next time that is due; None where none ever comes. InvalidRequest.

    In a zone with summer time, times that are left out or come twice are kept as Debian's cron
    keeps them.
    """
    if len(cron.split()) != 5:
        raise InvalidRequest(
            f"'{cron}' is no schedule: give minute, hour, day, month and day of the week, such as "
            "'30 6 * * 1-5'."
        )
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequest(
            f"There is no time zone '{timezone}': give one such as UTC or Europe/Berlin."
        ) from None
    try:
        found: dt.datetime = next(CronSim(cron, after.astimezone(zone)))
    except CronSimError as error:
        raise InvalidRequest(f"'{cron}' is no schedule: {str(error).lower()}.") from None
    except StopIteration:
        return None
    return found.astimezone(dt.UTC)


def schedule_not_found(id: str) -> NotFound:
    """The one error for a schedule that is missing and for one that is hidden."""
    return NotFound(f"There is no schedule '{id[:80]}'.", code=ErrorCode.JOB_NOT_FOUND)


def _found(connection: Connection, id: str) -> Schedule:
    this = select(job_schedules).where(job_schedules.c.id == id)
    row = connection.execute(this).mappings().one_or_none()
    if row is None:
        raise schedule_not_found(id)
    return _schedule(row)


def _schedule(row: RowMapping) -> Schedule:
    job: Mapping[str, Any] = json.loads(row["job"])
    names = ("active", "created_at", "next_at", "last_at", "last_job_id", "note")
    return Schedule(
        row["id"],
        row["name"],
        owner_of(row),
        row["cron"],
        row["timezone"],
        spec_of(job),
        **{name: row[name] for name in names},
    )
