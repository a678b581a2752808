"""What somebody who is removed had in the background: it ends, and is nobody's from then on.

A principal is known by its name, and so is a workspace: whoever got the name later would get all
of that with it.
"""

from __future__ import annotations

import datetime as dt
import secrets

from sqlalchemy import Connection, delete, select, update

from flight_server.metastore.tables import (
    job_events,
    job_schedules,
    jobs,
    kept_answers,
    model_usage,
    provider_keys,
    uploads,
    webhook_deliveries,
    webhooks,
)

# What stands for somebody who is no more. No credential is of it, and no workspace has the name.
GONE = "gone:"


def disown(connection: Connection, principal_id: str, now: dt.datetime) -> None:
    """Ends what is the principal's, in the caller's transaction.

    Jobs stop and schedules rest, and administrators see both; uploads expire as they would have;
    webhooks, with what is on its way to them, and kept answers are removed.
    """
    _end(connection, "principal_id", principal_id, now)
    connection.execute(delete(kept_answers).where(kept_answers.c.principal_id == principal_id))
    nobody = GONE + secrets.token_hex(12)
    for table in (jobs, job_schedules, uploads):
        mine = table.c.principal_id == principal_id
        connection.execute(update(table).where(mine).values(principal_id=nobody))


def disown_workspace(connection: Connection, name: str, now: dt.datetime) -> None:
    """The same for what is a workspace's; only administrators of the server see it from then on."""
    _end(connection, "workspace", name, now)
    for table in (provider_keys, model_usage):
        connection.execute(delete(table).where(table.c.workspace == name))
    nobody = GONE + secrets.token_hex(12)
    for table in (jobs, job_events, job_schedules, uploads):
        connection.execute(update(table).where(table.c.workspace == name).values(workspace=nobody))


def _end(connection: Connection, column: str, value: str, now: dt.datetime) -> None:
    """Ends what has the value in the column that says whose it is."""
    of_job, of_hook = jobs.c[column] == value, webhooks.c[column] == value
    ended = {"status": "cancelled", "completed_at": now}
    connection.execute(update(jobs).where(of_job, jobs.c.status == "pending").values(ended))
    stopped = update(jobs).where(of_job, jobs.c.status == "running")
    connection.execute(stopped.values(cancel_requested_at=now))
    of_schedule = job_schedules.c[column] == value
    rests = update(job_schedules).where(of_schedule).values(active=False, next_at=None)
    connection.execute(rests)
    hooks = select(webhooks.c.id).where(of_hook)
    connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id.in_(hooks)))
    connection.execute(delete(webhooks).where(of_hook))
