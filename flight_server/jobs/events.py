"""The log of what becomes of jobs: written in the transaction that makes it so.

Rows are numbered in the order of their commits and are removed together with what is old, never
changed: whoever reads on from a number misses nothing.
"""

from __future__ import annotations

import datetime as dt
import json

from sqlalchemy import Connection, insert

from flight_server.jobs.records import Job, JobEvent, told
from flight_server.metastore.tables import job_events

_TELL = insert(job_events)


def record_event(connection: Connection, event: JobEvent, job: Job, at: dt.datetime) -> Job:
    """Adds what has just become of a job, which is as its row now is; gives the job."""
    values = {
        "job_id": job.id,
        "workspace": job.owner.workspace,
        "event": event.value,
        "at": at,
        "payload": json.dumps(told(job)),
    }
    connection.execute(_TELL, values)
    return job
