"""A job watched to its end: a live bar on a terminal, its lines as they come, its outcome."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from flight_server.cli.exits import Exit, say
from flight_server.client import Client

# How often a job is asked for.
STEP_SECONDS = 0.25
OVER = ("completed", "failed", "cancelled")
# What is shown of one job.
Show = Callable[[dict[str, Any]], None]


def follow_job(client: Client, job_id: str, quiet: bool = False) -> dict[str, Any]:
    """The job once it has ended; shows how far it is meanwhile, and what it writes.

    Ctrl-C leaves the job alone. One that fails or is cancelled ends the command as failed.
    """
    with _shown(quiet) as (show, line):
        job = _watch(client, job_id, show, line)
    match job["status"]:
        case "failed":
            say(f"error: The job {job_id} failed: {job['error']['message']}")
            raise typer.Exit(Exit.FAILED)
        case "cancelled":
            say(f"The job {job_id} was cancelled.")
            raise typer.Exit(Exit.FAILED)
    return job


def _watch(
    client: Client, job_id: str, show: Show, line: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    after = 0
    while True:
        job = client.job(job_id)
        page = client.job_logs(job_id, after)
        after = page["after"]
        for one in page["logs"]:
            line(one)
        show(job)
        if job["status"] in OVER:
            return job
        time.sleep(STEP_SECONDS)


@contextmanager
def _shown(quiet: bool) -> Iterator[tuple[Show, Callable[[dict[str, Any]], None]]]:
    """What shows the job, and what shows a line of it."""
    if quiet or not sys.stderr.isatty():
        yield (lambda job: None), (lambda one: None if quiet else say(_line(one)))
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[percent]}", justify="right"),
        _Amounts(Column(no_wrap=True)),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("waiting", total=None, percent="", job={})

        def show(job: dict[str, Any]) -> None:
            percent = job["progress"] if job["status"] != "pending" else None
            progress.update(
                task,
                description=f"{job['job_type']} {job['status']}",
                total=None if percent is None else 100.0,
                completed=percent or 0.0,
                percent="" if percent is None else f"{percent:.0f} %",
                job=job,
            )

        yield show, lambda one: progress.console.print(escape(_line(one)), highlight=False)


class _Amounts(ProgressColumn):
    """`336,776 of 1,204,000 rows · 131.2 MB · 0:00:12 left`."""

    def render(self, task: Task) -> Text:
        return Text(amounts(task.fields["job"]))


def amounts(job: dict[str, Any]) -> str:
    """How far a job is, in words; nothing where it tells of nothing."""
    parts = []
    if job.get("rows") or job.get("rows_total"):
        of = f" of {job['rows_total']:,}" if job["rows_total"] else ""
        parts.append(f"{job['rows']:,}{of} rows")
    if job.get("bytes"):
        parts.append(decimal(job["bytes"]))
    if job.get("seconds_left") is not None:
        parts.append(f"{timedelta(seconds=round(job['seconds_left']))} left")
    return " · ".join(parts)


def _line(one: dict[str, Any]) -> str:
    level = "" if one["level"] == "info" else f"{one['level']}: "
    # What a job writes may hold what a terminal would obey.
    text = "".join(mark if mark.isprintable() else " " for mark in one["text"])
    return f"{one['at'][11:19]} {level}{text}"
