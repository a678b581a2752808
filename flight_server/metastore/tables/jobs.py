"""Jobs: work that outlasts a request; what was told of it, and what is begun by the clock."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text

from flight_server.metastore.tables.base import Moment, metadata

# SQLite counts up in INTEGER only.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

# One job. `number` is its age; of those that wait, the one of the smallest `precedence` is next.
# `principal_id`, `principal` and `scopes` say whose it is, as whom and within what it runs.
# `attempt` counts how often somebody took it, and whoever did holds it under `owner` and that
# number until `lease_until`; `failures` counts attempts that came to nothing. `run_after` keeps it
# waiting, `deadline_at` ends it, `done_by` is an estimate. `parameters`, `checkpoint`, `result` and
# `error` are JSON objects, `scopes` and `webhook_events` JSON lists.
jobs = Table(
    "jobs",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("id", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("principal_id", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("scopes", Text),
    Column("schedule_id", Text),
    Column("job_type", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("precedence", Integer, nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("max_retries", Integer, nullable=False),
    Column("retry_delay_seconds", Integer, nullable=False),
    Column("webhook_url", Text),
    Column("webhook_events", Text),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("owner", Text),
    Column("lease_until", Moment),
    Column("cancel_requested_at", Moment),
    Column("run_after", Moment, nullable=False),
    Column("deadline_at", Moment),
    Column("rows_done", BigInteger, nullable=False),
    Column("bytes_done", BigInteger, nullable=False),
    Column("rows_total", BigInteger),
    Column("bytes_total", BigInteger),
    Column("done_by", Moment),
    Column("checkpoint", Text),
    Column("result", Text),
    Column("error", Text),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("completed_at", Moment),
    Index("uq_jobs_id", "id", unique=True),
    Index(None, "status", "precedence", "number"),
    Index(None, "workspace", "created_at"),
    Index(None, "completed_at"),
    sqlite_autoincrement=True,
)

# What became of jobs, in the order in which it was committed: `job.started`, `job.progress`,
# `job.completed`, `job.failed`, `job.cancelled`. Numbers never come again, so that a
# reader can go on behind one. `payload` is a JSON object: the job as its owner is told of it.
job_events = Table(
    "job_events",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("payload", Text, nullable=False),
    Index(None, "job_id"),
    sqlite_autoincrement=True,
)

# Lines that jobs have written.
job_logs = Table(
    "job_logs",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "job_id", "id"),
    sqlite_autoincrement=True,
)

# Jobs that are begun by the clock. `job` is a JSON object: what is submitted each time. `next_at`
# is None where nothing is to come; `note` says why the last time came to nothing.
job_schedules = Table(
    "job_schedules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("principal_id", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("scopes", Text),
    Column("cron", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("next_at", Moment),
    Column("last_at", Moment),
    Column("last_job_id", Text),
    Column("note", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index(None, "next_at"),
    Index(None, "workspace"),
)
