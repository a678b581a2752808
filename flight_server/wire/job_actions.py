"""Actions about work that outlasts a call, and about several operations at once."""

from __future__ import annotations

from typing import Any

from flight_server import operations
from flight_server.bodies.actions import Nothing
from flight_server.bodies.batch import RunBatch
from flight_server.bodies.jobs import (
    ChangeSchedule,
    CreateSchedule,
    JobLogs,
    ListJobs,
    OfJob,
    OfSchedule,
    ReadResult,
    SubmitJob,
    job_shown,
    job_told,
    schedule_told,
)
from flight_server.operations import Call, Services
from flight_server.wire.json_actions import Answer, JsonAction


def _batch(services: Services, call: Call, body: RunBatch) -> Answer:
    return body.answer(services, call)


def _submit_job(services: Services, call: Call, body: SubmitJob) -> Answer:
    return job_told(body.submit(services, call))


def _list_jobs(services: Services, call: Call, body: ListJobs) -> Answer:
    return body.page(services, call)


def _get_job(services: Services, call: Call, body: OfJob) -> Answer:
    return job_shown(services, call, body.job_id)


def _job_logs(services: Services, call: Call, body: JobLogs) -> Answer:
    return body.page(services, call)


def _cancel_job(services: Services, call: Call, body: OfJob) -> Answer:
    return job_told(operations.cancel_job(services, call, body.job_id))


def _retry_job(services: Services, call: Call, body: OfJob) -> Answer:
    return job_told(operations.retry_job(services, call, body.job_id))


def _read_result(services: Services, call: Call, body: ReadResult) -> Answer:
    return body.piece(services, call)


def _create_schedule(services: Services, call: Call, body: CreateSchedule) -> Answer:
    return schedule_told(body.create(services, call))


def _list_schedules(services: Services, call: Call, body: Any) -> Answer:
    found = operations.list_schedules(services, call)
    return {"schedules": [schedule_told(one) for one in found]}


def _change_schedule(services: Services, call: Call, body: ChangeSchedule) -> Answer:
    changed = operations.switch_schedule(services, call, body.schedule_id, body.active)
    return schedule_told(changed)


def _drop_schedule(services: Services, call: Call, body: OfSchedule) -> Answer:
    operations.drop_schedule(services, call, body.schedule_id)
    return {}


JOB_ACTIONS: dict[str, JsonAction] = {
    "batch": JsonAction("Several operations on several tables, in their order.", RunBatch, _batch),
    "submit_job": JsonAction("Have work done in the background.", SubmitJob, _submit_job),
    "list_jobs": JsonAction("Jobs, the youngest first.", ListJobs, _list_jobs),
    "get_job": JsonAction("How a job stands and what came of it.", OfJob, _get_job),
    "job_logs": JsonAction("The lines that a job has written.", JobLogs, _job_logs),
    "cancel_job": JsonAction("End a job.", OfJob, _cancel_job),
    "read_result": JsonAction(
        "A piece of the file that an export has written.", ReadResult, _read_result
    ),
    "retry_job": JsonAction("Let a job go on that failed or was cancelled.", OfJob, _retry_job),
    "create_schedule": JsonAction("Submit a job by the clock.", CreateSchedule, _create_schedule),
    "list_schedules": JsonAction("Schedules, and when they are due.", Nothing, _list_schedules),
    "change_schedule": JsonAction("Turn a schedule off or on.", ChangeSchedule, _change_schedule),
    "drop_schedule": JsonAction("Remove a schedule.", OfSchedule, _drop_schedule),
}
