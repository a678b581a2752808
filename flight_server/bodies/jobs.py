"""The bodies of requests about jobs and schedules, and what they are answered with."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from flight_server import operations
from flight_server.bodies.batch import Batch, check_batch
from flight_server.bodies.exports import ExportData, checked_export
from flight_server.bodies.import_requests import checked_import
from flight_server.bodies.requests import Body, parsed
from flight_server.jobs import Job, JobFilter, JobSpec, JobType, LogLine, Schedule, Status, told
from flight_server.jobs.records import PRIORITY, PRIORITY_MAX, text_of
from flight_server.operations import Call, Services

PAGE, PAGE_MAX = 100, 1_000
PIECE_BYTES_MAX = 4 * 2**20
# How many of its last lines a job is shown with.
LINES_SHOWN = 100
RETRIES, RETRIES_MAX = 3, 100
RETRY_SECONDS = 5
EVENTS = ("started", "progress", "completed", "failed", "cancelled")

JobEvents = Literal["started", "progress", "completed", "failed", "cancelled"]


class JobOptions(Body):
    """How a job is done, whatever it does."""

    priority: Annotated[
        int, Field(ge=0, le=PRIORITY_MAX, description="The highest comes first.")
    ] = PRIORITY
    timeout_seconds: Annotated[
        int | None, Field(ge=1, description="From its beginning, all attempts together.")
    ] = None
    max_retries: Annotated[int, Field(ge=0, le=RETRIES_MAX)] = RETRIES
    retry_delay_seconds: Annotated[
        int, Field(ge=0, le=3600, description="Doubled with each further attempt.")
    ] = RETRY_SECONDS
    webhook_url: Annotated[str | None, Field(max_length=2000)] = None
    webhook_events: list[JobEvents] = Field(default_factory=list)

    @field_validator("webhook_url")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("it must begin with https:// or http://")
        return url

    @field_validator("webhook_events", mode="before")
    @classmethod
    def _short(cls, events: Any) -> Any:
        """Events may be called as webhooks call them: `job.completed`."""
        if not isinstance(events, list):
            return events
        return [one.removeprefix("job.") if isinstance(one, str) else one for one in events]

    def spec_of(
        self, services: Services, call: Call, job_type: JobType, given: Mapping[str, Any]
    ) -> JobSpec:
        """What is submitted. InvalidRequest where its parameters are not those of its type."""
        check = PARAMETERS.get(job_type)
        parameters = given if check is None else check(services, call, given)
        events = tuple(self.webhook_events) or ("completed", "failed")
        return JobSpec(
            job_type,
            parameters,
            self.priority,
            self.timeout_seconds or services.settings.job_timeout_seconds,
            self.max_retries,
            self.retry_delay_seconds,
            self.webhook_url,
            events if self.webhook_url is not None else (),
        )


class SubmitJob(JobOptions):
    """`submit_job`: what is to be done, and how."""

    job_type: JobType
    parameters: dict[str, Any] = Field(default_factory=dict)

    def spec(self, services: Services, call: Call) -> JobSpec:
        """What is submitted. Errors as `spec_of`."""
        return self.spec_of(services, call, self.job_type, self.parameters)

    def submit(self, services: Services, call: Call) -> Job:
        """Submits it. Errors as `operations.submit_job`."""
        return operations.submit_job(services, call, self.spec(services, call))


class SubmitExport(JobOptions, ExportData):
    """`POST /batch/export`: an export, and how its job is done."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "table_name": "fleet.planes",
                "format": "parquet",
                "columns": ["tail", "seats"],
                "where": {"seats": {"gte": 100}},
                "order_by": [{"column": "tail"}],
                "compress": True,
            }
        }
    )

    def submit(self, services: Services, call: Call) -> Job:
        """Submits it. Errors as `checked_export` and `operations.submit_job`."""
        given = self.model_dump(
            mode="json", include=set(ExportData.model_fields), exclude_unset=True
        )
        spec = self.spec_of(services, call, JobType.DATA_EXPORT, given)
        return operations.submit_job(services, call, spec)


class CreateSchedule(Body):
    """`create_schedule`: a job, and when it is submitted."""

    name: Annotated[str, Field(max_length=200)] = ""
    cron: Annotated[str, Field(max_length=200, description="Minute, hour, day, month, weekday.")]
    timezone: Annotated[str, Field(max_length=100)] = "UTC"
    job: SubmitJob

    def create(self, services: Services, call: Call) -> Schedule:
        """Makes it. Errors as `operations.create_schedule`."""
        spec = self.job.spec(services, call)
        return operations.create_schedule(services, call, self.name, self.cron, self.timezone, spec)


class SwitchSchedule(Body):
    """What PATCH makes of a schedule."""

    active: bool


class OfJob(Body):
    """Something about one job."""

    job_id: str


class OfSchedule(Body):
    """Something about one schedule."""

    schedule_id: str


class ChangeSchedule(OfSchedule):
    """`change_schedule`."""

    active: bool


class ReadResult(OfJob):
    """`read_result`: a piece of what an export has written, from a byte on."""

    offset: Annotated[int, Field(ge=0)] = 0
    length: Annotated[int, Field(ge=1, le=PIECE_BYTES_MAX)] = PIECE_BYTES_MAX

    def piece(self, services: Services, call: Call) -> dict[str, Any]:
        """The piece, and what it is a piece of. NotFound."""
        found = operations.describe_result(services, call, self.job_id)
        data = found.piece(self.offset, self.length)
        return {
            "name": found.name,
            "bytes": found.size,
            "sha256": found.sha256,
            "offset": self.offset,
            "data": base64.b64encode(data).decode(),
        }


class ListJobs(Body):
    """`list_jobs`: the youngest first; `cursor` is that of the page before."""

    status: Status | None = None
    job_type: JobType | None = None
    schedule_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE
    cursor: Annotated[
        int | None, Field(ge=1, description="The `cursor` of the page before this one.")
    ] = None

    def page(self, services: Services, call: Call) -> dict[str, Any]:
        """The answer."""
        wanted = JobFilter(status=self.status, job_type=self.job_type, schedule_id=self.schedule_id)
        found = operations.list_jobs(services, call, wanted, self.limit, self.cursor)
        more = found[-1].number if len(found) == self.limit else None
        return {"jobs": [job_told(job) for job in found], "cursor": more}


class JobLogs(OfJob):
    """`job_logs`: lines behind the one that `after` numbers."""

    after: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_MAX

    def page(self, services: Services, call: Call) -> dict[str, Any]:
        """The answer."""
        found = operations.job_logs(services, call, self.job_id, self.after, self.limit)
        return {
            "logs": [_line_told(line) for _, line in found],
            "after": found[-1][0] if found else self.after,
        }


class Recompute(Body):
    """The parameters of `table_recompute`: a materialised view is refreshed.

    With `column` that computed column of a table is computed anew, where that is asked for.
    """

    table_name: Annotated[str, Field(examples=["fleet.large"])]
    column: str | None = None
    where: dict[str, Any] | str | None = None
    errors_only: bool = False
    batch_size: Annotated[int, Field(ge=1)] = 1000


class Custom(Body):
    """The parameters of `custom`: what the operator has installed, and what it is given."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


def job_told(job: Job, lines: list[tuple[int, LogLine]] | None = None) -> dict[str, Any]:
    """A job, with the lines that are shown with it."""
    spec = job.spec
    return {
        **told(job),
        "parameters": dict(spec.parameters),
        "priority": spec.priority,
        "timeout_seconds": spec.timeout_seconds,
        "max_retries": spec.max_retries,
        "retry_delay_seconds": spec.retry_delay_seconds,
        "webhook_url": spec.webhook_url,
        "webhook_events": list(spec.webhook_events),
        "schedule_id": job.schedule_id,
        "created_by": job.owner.principal,
        "workspace": job.owner.workspace,
        "cancel_requested": job.cancel_requested_at is not None,
        "logs": [_line_told(line) for _, line in lines or ()],
    }


def job_shown(services: Services, call: Call, id: str) -> dict[str, Any]:
    """One job with its last lines. NotFound."""
    job = operations.describe_job(services, call, id)
    return job_told(job, operations.last_lines(services, call, job, LINES_SHOWN))


def schedule_told(one: Schedule) -> dict[str, Any]:
    """A schedule."""
    spec = one.spec
    return {
        "schedule_id": one.id,
        "name": one.name,
        "cron": one.cron,
        "timezone": one.timezone,
        "active": one.active,
        "next_at": text_of(one.next_at),
        "last_at": text_of(one.last_at),
        "last_job_id": one.last_job_id,
        "note": one.note,
        "job": {
            "job_type": spec.job_type.value,
            "parameters": dict(spec.parameters),
            "priority": spec.priority,
            "timeout_seconds": spec.timeout_seconds,
            "max_retries": spec.max_retries,
            "retry_delay_seconds": spec.retry_delay_seconds,
            "webhook_url": spec.webhook_url,
            "webhook_events": list(spec.webhook_events),
        },
        "created_by": one.owner.principal,
        "workspace": one.owner.workspace,
        "created_at": text_of(one.created_at),
    }


def _batch(services: Services, call: Call, given: Mapping[str, Any]) -> Mapping[str, Any]:
    check_batch(services, parsed(Batch, given, "parameters of the job"))
    return given


def _recompute(services: Services, call: Call, given: Mapping[str, Any]) -> Mapping[str, Any]:
    parsed(Recompute, given, "parameters of the job")
    return given


def _custom(services: Services, call: Call, given: Mapping[str, Any]) -> Mapping[str, Any]:
    operations.check_custom(services, parsed(Custom, given, "parameters of the job").name)
    return given


def _line_told(line: LogLine) -> dict[str, Any]:
    return {"at": text_of(line.at), "level": line.level, "text": line.text, "attempt": line.attempt}


# What looks at the parameters of a job when it is submitted, so that what cannot be is refused
# there; it gives them as they are kept.
PARAMETERS: dict[JobType, Callable[[Services, Call, Mapping[str, Any]], Mapping[str, Any]]] = {
    JobType.DATA_IMPORT: checked_import,
    JobType.BATCH_OPERATION: _batch,
    JobType.DATA_EXPORT: checked_export,
    JobType.TABLE_RECOMPUTE: _recompute,
    JobType.CUSTOM: _custom,
}
