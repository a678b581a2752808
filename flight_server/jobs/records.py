"""What a job is, as rows of the metastore and as the values that are made of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from flight_server.errors import PixelflightError
from flight_server.model import DEFAULT_WORKSPACE

PRIORITY_MAX, PRIORITY = 10, 5


class JobType(StrEnum):
    """What a job does."""

    DATA_IMPORT = "data_import"
    DATA_EXPORT = "data_export"
    BATCH_OPERATION = "batch_operation"
    MEDIA_PROCESSING = "media_processing"
    TABLE_RECOMPUTE = "table_recompute"
    CUSTOM = "custom"


class Status(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self not in (Status.PENDING, Status.RUNNING)


class JobEvent(StrEnum):
    """What becomes of a job."""

    STARTED = "job.started"
    PROGRESS = "job.progress"
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"


@dataclass(frozen=True)
class Owner:
    """Whose a job is: as whom, and within which scopes of a credential, it runs."""

    principal_id: str
    principal: str
    workspace: str = DEFAULT_WORKSPACE
    scopes: frozenset[str] | None = None


@dataclass(frozen=True)
class JobSpec:
    """What is submitted. Jobs of the highest priority come first, of one priority the oldest."""

    job_type: JobType
    parameters: Mapping[str, Any] = field(default_factory=dict)
    priority: int = PRIORITY
    timeout_seconds: int = 3600
    max_retries: int = 3
    retry_delay_seconds: int = 5
    webhook_url: str | None = None
    webhook_events: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobError:
    """Why a job failed, or why its last attempt did: an error as clients are told of it."""

    code: str
    message: str
    retryable: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: PixelflightError) -> JobError:
        """What there is to tell of an error."""
        return cls(error.code.text, error.message, error.code.retryable, error.details)

    def as_json(self) -> dict[str, Any]:
        """The error as a plain value."""
        told = {"code": self.code, "message": self.message, "retryable": self.retryable}
        return {**told, "details": dict(self.details)}


@dataclass(frozen=True)
class Progress:
    """How far a job is; totals are None where they are not known. `done_by` is an estimate."""

    rows: int = 0
    bytes: int = 0
    rows_total: int | None = None
    bytes_total: int | None = None
    done_by: dt.datetime | None = None

    @property
    def fraction(self) -> float | None:
        """The part that is done, from 0 to 1; None where nobody knows."""
        for done, total in ((self.rows, self.rows_total), (self.bytes, self.bytes_total)):
            if total:
                return min(1.0, done / total)
        return None


@dataclass(frozen=True)
class Job:
    """A job as it stands. `attempt` is 0 before it was first taken."""

    number: int
    id: str
    owner: Owner
    spec: JobSpec
    status: Status
    attempt: int
    failures: int
    progress: Progress
    created_at: dt.datetime
    run_after: dt.datetime
    started_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None
    deadline_at: dt.datetime | None = None
    cancel_requested_at: dt.datetime | None = None
    schedule_id: str | None = None
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    error: JobError | None = None

    @property
    def percent(self) -> float | None:
        """How much of it is done; None where nobody knows."""
        if self.status is Status.COMPLETED:
            return 100.0
        if self.status is Status.PENDING and self.attempt == 0:
            return 0.0
        done = self.progress.fraction
        return None if done is None else round(100 * done, 1)


@dataclass(frozen=True)
class LogLine:
    """A line that a job has written."""

    at: dt.datetime
    level: str
    text: str
    attempt: int = 0


def job_from(row: RowMapping) -> Job:
    """The job that a row of `jobs` holds."""
    error = row["error"]
    return Job(
        row["number"],
        row["id"],
        owner_of(row),
        spec_of(row),
        Status(row["status"]),
        row["attempt"],
        row["failures"],
        Progress(
            row["rows_done"],
            row["bytes_done"],
            row["rows_total"],
            row["bytes_total"],
            row["done_by"],
        ),
        row["created_at"],
        row["run_after"],
        row["started_at"],
        row["completed_at"],
        row["deadline_at"],
        row["cancel_requested_at"],
        row["schedule_id"],
        _loaded(row["checkpoint"], {}),
        _loaded(row["result"], None),
        None if error is None else JobError(**json.loads(error)),
    )


def told(job: Job) -> dict[str, Any]:
    """The job as events and doors tell of it, as plain values; without what it was given."""
    left = job.progress.done_by
    now = dt.datetime.now(dt.UTC)
    return {
        "job_id": job.id,
        "job_type": job.spec.job_type.value,
        "status": job.status.value,
        "progress": job.percent,
        "rows": job.progress.rows,
        "bytes": job.progress.bytes,
        "rows_total": job.progress.rows_total,
        "bytes_total": job.progress.bytes_total,
        "seconds_left": (
            None
            if left is None or job.status is not Status.RUNNING
            else max(0.0, round((left - now).total_seconds(), 1))
        ),
        "attempt": job.attempt,
        "result": None if job.result is None else dict(job.result),
        "error": None if job.error is None else job.error.as_json(),
        "created_at": text_of(job.created_at),
        "started_at": text_of(job.started_at),
        "completed_at": text_of(job.completed_at),
    }


def text_of(moment: dt.datetime | None) -> str | None:
    """A time as JSON has it."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def owner_columns(owner: Owner) -> dict[str, Any]:
    """The columns that say whose a row is."""
    scopes = None if owner.scopes is None else json.dumps(sorted(owner.scopes))
    return {
        "workspace": owner.workspace,
        "principal_id": owner.principal_id,
        "principal": owner.principal,
        "scopes": scopes,
    }


def spec_columns(spec: JobSpec) -> dict[str, Any]:
    """The columns that say what is to be done."""
    return {
        "job_type": spec.job_type.value,
        "parameters": json.dumps(dict(spec.parameters)),
        "precedence": -spec.priority,
        "timeout_seconds": spec.timeout_seconds,
        "max_retries": spec.max_retries,
        "retry_delay_seconds": spec.retry_delay_seconds,
        "webhook_url": spec.webhook_url,
        "webhook_events": json.dumps(list(spec.webhook_events)),
    }


def owner_of(row: RowMapping) -> Owner:
    """Whose it is, from the columns."""
    scopes = row["scopes"]
    return Owner(
        row["principal_id"],
        row["principal"],
        row["workspace"],
        None if scopes is None else frozenset(json.loads(scopes)),
    )


def spec_of(row: RowMapping | Mapping[str, Any]) -> JobSpec:
    """What is to be done, from the columns."""
    return JobSpec(
        JobType(row["job_type"]),
        json.loads(row["parameters"]),
        -row["precedence"],
        row["timeout_seconds"],
        row["max_retries"],
        row["retry_delay_seconds"],
        row["webhook_url"],
        tuple(_loaded(row["webhook_events"], ())),
    )


def _loaded(text: str | None, missing: Any) -> Any:
    return missing if text is None else json.loads(text)
