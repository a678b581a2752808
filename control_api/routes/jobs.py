"""Jobs and schedules: work that outlasts a request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from control_api.dependencies import NO_BODY, Call, Services
from flight_server import operations
from flight_server.bodies.jobs import (
    CreateSchedule,
    JobLogs,
    ListJobs,
    SubmitJob,
    SwitchSchedule,
    job_shown,
    job_told,
    schedule_told,
)

router = APIRouter(prefix="/batch", tags=["jobs"])


@router.post("/jobs", status_code=201)
def submit_job(services: Services, call: Call, body: SubmitJob) -> dict[str, Any]:
    """Submits work that is done in the background, with your rights.

    Of what waits, the job of the highest priority is done first, and of one priority the oldest.
    """
    return job_told(body.submit(services, call))


@router.get("/jobs")
def list_jobs(
    services: Services, call: Call, wanted: Annotated[ListJobs, Query()]
) -> dict[str, Any]:
    """Your jobs, the youngest first; those of the workspace for its administrators."""
    return wanted.page(services, call)


@router.get("/jobs/{job_id}")
def describe_job(services: Services, call: Call, job_id: str) -> dict[str, Any]:
    """A job: how it stands, how far it is, what it has written lately, what came of it."""
    return job_shown(services, call, job_id)


@router.delete("/jobs/{job_id}")
def cancel_job(services: Services, call: Call, job_id: str) -> dict[str, Any]:
    """Cancels a job. One that runs stops within seconds; what it has committed stays."""
    return job_told(operations.cancel_job(services, call, job_id))


@router.post("/jobs/{job_id}/retry", dependencies=[NO_BODY])
def retry_job(services: Services, call: Call, job_id: str) -> dict[str, Any]:
    """Lets a job that failed or was cancelled go on from where it was."""
    return job_told(operations.retry_job(services, call, job_id))


@router.get("/jobs/{job_id}/logs")
def job_logs(
    services: Services,
    call: Call,
    job_id: str,
    after: Annotated[int, Query(ge=0, description="`after` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> dict[str, Any]:
    """The lines that a job has written, behind the one that `after` numbers."""
    return JobLogs(job_id=job_id, after=after, limit=limit).page(services, call)


@router.post("/schedules", status_code=201)
def create_schedule(services: Services, call: Call, body: CreateSchedule) -> dict[str, Any]:
    """Submits a job by the clock, as cron does."""
    return schedule_told(body.create(services, call))


@router.get("/schedules")
def list_schedules(services: Services, call: Call) -> dict[str, Any]:
    """Your schedules; those of the workspace for its administrators."""
    found = operations.list_schedules(services, call)
    return {"schedules": [schedule_told(one) for one in found]}


@router.get("/schedules/{schedule_id}")
def describe_schedule(services: Services, call: Call, schedule_id: str) -> dict[str, Any]:
    """A schedule, when it is due, and what came of it the last time."""
    return schedule_told(operations.describe_schedule(services, call, schedule_id))


@router.patch("/schedules/{schedule_id}")
def change_schedule(
    services: Services, call: Call, schedule_id: str, body: SwitchSchedule
) -> dict[str, Any]:
    """Turns a schedule off or on."""
    return schedule_told(operations.switch_schedule(services, call, schedule_id, body.active))


@router.delete("/schedules/{schedule_id}", status_code=204, response_class=Response)
def drop_schedule(services: Services, call: Call, schedule_id: str) -> None:
    """Removes a schedule; the jobs that it has submitted stay."""
    operations.drop_schedule(services, call, schedule_id)
