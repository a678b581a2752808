"""Scratch folders of attempts: made beside the data, removed with the attempt or behind it."""

from __future__ import annotations

import shutil
from pathlib import Path

from flight_server.errors import NotFound
from flight_server.jobs import JobStore, Lease, Status
from flight_server.metastore import Metastore
from flight_server.settings import Settings


def folder_of(settings: Settings, lease: Lease) -> Path:
    """The folder of an attempt, empty."""
    folder = settings.attempts / f"{lease.job.id}-{lease.attempt}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def remove_abandoned(settings: Settings, metastore: Metastore) -> None:
    """Removes the folders of attempts that nobody makes any more: their processes were killed."""
    store = JobStore(metastore)
    for folder in settings.attempts.glob("*-*"):
        job_id, _, attempt = folder.name.rpartition("-")
        try:
            job = store.find(job_id)
            is_used = job.status is Status.RUNNING and str(job.attempt) == attempt
        except NotFound:
            is_used = False
        if not is_used:
            shutil.rmtree(folder, ignore_errors=True)
