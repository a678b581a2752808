"""`jobs`: work that the server does in the background, submitted, watched, ended."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from flight_server.cli.display import show_records
from flight_server.cli.exits import say
from flight_server.cli.following import amounts, follow_job
from flight_server.cli.options import Output, OutputOption, with_client
from flight_server.client import Client
from flight_server.errors import InvalidRequest

JobId = Annotated[str, typer.Argument(metavar="JOB", help="As 'jobs list' has it.")]
ScheduleId = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="As 'jobs schedule list' has it.")
]
JobType = Annotated[str, typer.Argument(metavar="TYPE", help="Such as batch_operation.")]
Parameters = Annotated[
    str, typer.Argument(help="A JSON object, or @FILE that holds one.", show_default=False)
]
Priority = Annotated[int, typer.Option(min=0, max=10, help="The highest comes first.")]
Timeout = Annotated[
    int | None, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long it may take.")
]

jobs = typer.Typer(help="Jobs: work that the server does in the background.", no_args_is_help=True)
schedule = typer.Typer(help="Jobs that are submitted by the clock.", no_args_is_help=True)
jobs.add_typer(schedule, name="schedule")
_JOBS = pa.schema(
    [
        ("job", pa.string()),
        ("type", pa.string()),
        ("status", pa.string()),
        ("progress", pa.string()),
        ("created_at", pa.timestamp("s", "UTC")),
        ("seconds", pa.float64()),
        ("by", pa.string()),
        ("error", pa.string()),
    ]
)
_SCHEDULES = pa.schema(
    [
        *((name, pa.string()) for name in ("schedule", "name", "cron", "timezone", "type")),
        ("active", pa.bool_()),
        ("next_at", pa.timestamp("s", "UTC")),
        ("last_at", pa.timestamp("s", "UTC")),
        ("last_job", pa.string()),
        ("note", pa.string()),
    ]
)


@jobs.command()
@with_client
def submit(
    client: Client,
    job_type: JobType,
    parameters: Parameters = "{}",
    priority: Priority = 5,
    timeout: Timeout = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch it to its end.")] = False,
) -> None:
    """Submits a job and prints its id."""
    job = client.submit_job(
        job_type, _object(parameters), priority=priority, timeout_seconds=timeout
    )
    print(job["job_id"])
    if follow:
        follow_job(client, job["job_id"])


@jobs.command("list")
@with_client
def list_(
    client: Client,
    status: Annotated[
        str | None, typer.Option(help="pending, running, completed, failed or cancelled.")
    ] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Such as data_import.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="So many, the newest.")] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists jobs, the newest first: yours, or the workspace's where you administer it."""
    wanted = {"status": status, "job_type": job_type}
    found = client.jobs(limit, **{name: one for name, one in wanted.items() if one is not None})
    show_records([_record(job) for job in found], _JOBS, output)


@jobs.command()
@with_client
def show(client: Client, job: JobId) -> None:
    """Prints all that is known of a job, as JSON; its result and its last lines with it."""
    print(json.dumps(client.job(job), indent=2, ensure_ascii=False))


@jobs.command()
@with_client
def follow(
    client: Client,
    job: JobId,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only wait.")] = False,
) -> None:
    """Watches a job to its end, with a bar and its lines. Ctrl-C leaves the job alone."""
    done = follow_job(client, job, quiet)
    say(f"The job {job} is done. {amounts(done)}".rstrip())
    print(json.dumps(done["result"], ensure_ascii=False))


@jobs.command()
@with_client
def cancel(client: Client, job: JobId) -> None:
    """Ends a job; one that runs stops within seconds. What it has committed stays."""
    found = client.cancel_job(job)
    what = "was cancelled" if found["status"] == "cancelled" else "is told to stop"
    say(f"The job {job} {what}.")


@jobs.command()
@with_client
def retry(
    client: Client,
    job: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch it to its end.")] = False,
) -> None:
    """Lets a job go on that failed or was cancelled."""
    client.retry_job(job)
    say(f"The job {job} goes on.")
    if follow:
        follow_job(client, job)


@schedule.command()
@with_client
def add(
    client: Client,
    cron: Annotated[str, typer.Argument(help="When, as cron has it: '30 6 * * 1-5'.")],
    job_type: JobType,
    parameters: Parameters = "{}",
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    timezone: Annotated[str, typer.Option(help="Whose clock: UTC, Europe/Berlin.")] = "UTC",
    priority: Priority = 5,
    timeout: Timeout = None,
) -> None:
    """Submits a job by the clock from now on; prints the id of the schedule."""
    job = {"job_type": job_type, "parameters": _object(parameters), "priority": priority}
    if timeout is not None:
        job["timeout_seconds"] = timeout
    made = client.create_schedule(cron, job, name, timezone)
    say(f"The first one is due at {made['next_at']}.")
    print(made["schedule_id"])


@schedule.command("list")
@with_client
def list_schedules(client: Client, output: OutputOption = Output.TABLE) -> None:
    """Lists schedules, when each is due, and what it submitted the last time."""
    show_records([_scheduled(one) for one in client.schedules()], _SCHEDULES, output)


@schedule.command()
@with_client
def pause(client: Client, schedule: ScheduleId) -> None:
    """Turns a schedule off."""
    client.change_schedule(schedule, active=False)
    say(f"The schedule {schedule} is off.")


@schedule.command()
@with_client
def resume(client: Client, schedule: ScheduleId) -> None:
    """Turns a schedule on, from the next time that it is due."""
    changed = client.change_schedule(schedule, active=True)
    say(f"The schedule {schedule} is on; the next job is due at {changed['next_at']}.")


@schedule.command()
@with_client
def drop(client: Client, schedule: ScheduleId) -> None:
    """Removes a schedule; the jobs that it has submitted stay."""
    client.drop_schedule(schedule)
    say(f"The schedule {schedule} is removed.")


def _object(text: str) -> dict[str, Any]:
    """The JSON object of an argument. InvalidRequest."""
    try:
        given = Path(text[1:]).read_text("utf-8") if text.startswith("@") else text
        found = json.loads(given)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The file '{text[1:]}' cannot be read: {error}.") from None
    except ValueError as error:
        raise InvalidRequest(f"The parameters are not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise InvalidRequest("The parameters are no JSON object: give them as '{\"name\": …}'.")
    return found


def _record(job: dict[str, Any]) -> dict[str, Any]:
    percent = job["progress"]
    started, ended = _time(job["started_at"]), _time(job["completed_at"])
    until = ended or dt.datetime.now(dt.UTC)
    return {
        "job": job["job_id"],
        "type": job["job_type"],
        "status": job["status"],
        "progress": None if percent is None else f"{percent:.0f} %",
        "created_at": _time(job["created_at"]),
        "seconds": None if started is None else round((until - started).total_seconds(), 1),
        "by": job["created_by"],
        "error": None if job["error"] is None else job["error"]["message"],
    }


def _scheduled(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "schedule": one["schedule_id"],
        "name": one["name"],
        "cron": one["cron"],
        "timezone": one["timezone"],
        "type": one["job"]["job_type"],
        "active": one["active"],
        "next_at": _time(one["next_at"]),
        "last_at": _time(one["last_at"]),
        "last_job": one["last_job_id"],
        "note": one["note"],
    }


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)
