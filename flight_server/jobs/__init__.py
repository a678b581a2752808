"""The table of jobs: who submits work, who holds it, how it ends.

A job is held under a lease: whoever takes it writes its name, the number of the attempt and a time
until when it is to be heard of again. All that it writes afterwards names the two, so that whoever
was given up cannot spoil what its successor does. Knows the metastore, and neither protocols nor
what jobs do.
"""

from flight_server.jobs.leases import Lease, LeaseLost, Leases, recover
from flight_server.jobs.records import (
    Job,
    JobError,
    JobEvent,
    JobSpec,
    JobType,
    LogLine,
    Owner,
    Progress,
    Status,
    told,
)
from flight_server.jobs.schedules import Schedule, ScheduleStore, schedule_not_found
from flight_server.jobs.store import JobFilter, JobStore, job_not_found
from flight_server.jobs.workers import Workers

__all__ = [
    "Job",
    "JobError",
    "JobEvent",
    "JobFilter",
    "JobSpec",
    "JobStore",
    "JobType",
    "Lease",
    "LeaseLost",
    "Leases",
    "LogLine",
    "Owner",
    "Progress",
    "Schedule",
    "ScheduleStore",
    "Status",
    "Workers",
    "job_not_found",
    "recover",
    "schedule_not_found",
    "told",
]
