"""Jobs: submitted by whoever may do what they do, seen by their owners.

An administrator of a workspace sees and ends all of its jobs, the server's administrators those of
every workspace. A job runs as its owner, within the scopes of the credential that submitted it;
what that allows is found out when it runs. A credential with narrower scopes knows nothing of it,
since it might learn or begin by it what it may not. Schedules are alike.
"""

from __future__ import annotations

from dataclasses import replace

from flight_server.auth import within
from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.jobs import (
    Job,
    JobFilter,
    JobSpec,
    JobStore,
    LogLine,
    Owner,
    Schedule,
    ScheduleStore,
    job_not_found,
    schedule_not_found,
)
from flight_server.operations.authority import authority
from flight_server.operations.services import Call, Services
from flight_server.operations.webhooks import check_outbound


def submit_job(services: Services, call: Call, spec: JobSpec) -> Job:
    """A new job of the caller's. LimitExceeded; InvalidRequest; Forbidden (address_refused)."""
    _check(services, spec)
    owner = _owner(call)
    rates = services.limits.job_rates(owner.workspace)
    with services.webhooks.expecting(spec.webhook_url):
        job = JobStore(services.metastore).submit(owner, spec, rates)
    services.workers.wake()
    return job


def list_jobs(
    services: Services, call: Call, wanted: JobFilter, limit: int, before: int | None = None
) -> list[Job]:
    """The jobs that the caller may see, the youngest first, from below the number `before`."""
    seen = _seen(services, call, wanted)
    found: list[Job] = []
    while len(found) < limit:
        some = JobStore(services.metastore).page(seen, limit - len(found), before)
        if not some:
            break
        found += [job for job in some if _is_within(call, job.owner)]
        before = some[-1].number
    return found


def describe_job(services: Services, call: Call, id: str) -> Job:
    """One job. NotFound (job_not_found)."""
    job = JobStore(services.metastore).find(id)
    if not _sees(services, call, job.owner):
        raise job_not_found(id).refusing("describe_job", f"job:{id}")
    return job


def job_logs(
    services: Services, call: Call, id: str, after: int = 0, limit: int = 1000
) -> list[tuple[int, LogLine]]:
    """What a job has written, behind a line's number. NotFound (job_not_found)."""
    return JobStore(services.metastore).logs(describe_job(services, call, id), after, limit)


def last_lines(services: Services, call: Call, job: Job, limit: int) -> list[tuple[int, LogLine]]:
    """The last of the lines that a job, which the caller has been shown, has written."""
    return JobStore(services.metastore).last_lines(job, limit)


def cancel_job(services: Services, call: Call, id: str) -> Job:
    """Ends a job; one that runs stops within seconds. NotFound; Conflict (job_over)."""
    describe_job(services, call, id)
    return JobStore(services.metastore).cancel(id)


def retry_job(services: Services, call: Call, id: str) -> Job:
    """Lets a job that failed or was cancelled go on. NotFound; Conflict (job_over)."""
    url = describe_job(services, call, id).spec.webhook_url
    with services.webhooks.expecting(url):
        job = JobStore(services.metastore).retry(id)
    services.workers.wake()
    return job


def create_schedule(
    services: Services, call: Call, name: str, cron: str, timezone: str, spec: JobSpec
) -> Schedule:
    """Submits a job by the clock from now on. InvalidRequest."""
    _check(services, spec)
    with services.webhooks.expecting(spec.webhook_url):
        made = ScheduleStore(services.metastore).create(_owner(call), name, cron, timezone, spec)
    services.workers.wake()
    return made


def list_schedules(services: Services, call: Call) -> list[Schedule]:
    """The schedules that the caller may see."""
    seen = _seen(services, call, JobFilter())
    found = ScheduleStore(services.metastore).all(seen.workspace, seen.principal_id)
    return [one for one in found if _is_within(call, one.owner)]


def describe_schedule(services: Services, call: Call, id: str) -> Schedule:
    """One schedule. NotFound (job_not_found)."""
    found = ScheduleStore(services.metastore).find(id)
    if not _sees(services, call, found.owner):
        raise schedule_not_found(id).refusing("describe_schedule", f"schedule:{id}")
    return found


def switch_schedule(services: Services, call: Call, id: str, active: bool) -> Schedule:
    """Turns a schedule on or off. NotFound (job_not_found)."""
    url = describe_schedule(services, call, id).spec.webhook_url
    with services.webhooks.expecting(url):
        switched = ScheduleStore(services.metastore).switch(id, active)
    services.workers.wake()
    return switched


def drop_schedule(services: Services, call: Call, id: str) -> None:
    """Removes a schedule. NotFound (job_not_found)."""
    describe_schedule(services, call, id)
    ScheduleStore(services.metastore).drop(id)


def check_custom(services: Services, name: str) -> None:
    """InvalidRequest where the settings allow no custom job of the name."""
    allowed = services.settings.job_custom
    if name in allowed:
        return
    known = f"Allowed are {', '.join(allowed)}" if allowed else "None is allowed"
    raise InvalidRequest(
        f"Custom jobs called '{name[:80]}' may not run here. {known}, by the setting job_custom."
        f"{did_you_mean(name, allowed)}"
    )


def _check(services: Services, spec: JobSpec) -> None:
    most = services.settings.job_timeout_seconds_max
    if spec.timeout_seconds > most:
        raise InvalidRequest(
            f"'timeout_seconds' is {spec.timeout_seconds}, and a job may take {most} at most."
        )
    if spec.webhook_url is not None:
        check_outbound(services, spec.webhook_url)


def _owner(call: Call) -> Owner:
    who = call.principal
    return Owner(who.id, who.name, who.workspace, who.scopes)


def _seen(services: Services, call: Call, wanted: JobFilter) -> JobFilter:
    """What is wanted, of what the caller may see."""
    manager = authority(services, call)
    if manager is not None and manager.is_admin:
        return wanted
    if manager is not None and manager.is_workspace_admin:
        return replace(wanted, workspace=call.principal.workspace)
    return replace(wanted, workspace=call.principal.workspace, principal_id=call.principal.id)


def _sees(services: Services, call: Call, owner: Owner) -> bool:
    who = call.principal
    if owner.principal_id == who.id and owner.workspace == who.workspace:
        return _is_within(call, owner)
    manager = authority(services, call)
    return manager is not None and (
        manager.is_admin or (manager.is_workspace_admin and owner.workspace == who.workspace)
    )


def _is_within(call: Call, owner: Owner) -> bool:
    """Whether the caller's credential may do all that the owner's could."""
    return within(owner.scopes, call.principal.scopes)
