"""Webhooks, and what is delivered to them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text

from flight_server.metastore.tables.base import Moment, metadata

# SQLite counts up in INTEGER only.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

# Webhooks. `principal_id` and `scopes` say whose one is, and within what its events are told.
# `events`, `tables` and `scopes` are JSON lists, `headers` a JSON object. `secret` signs, and so
# does `previous_secret` until `previous_until`. One hears of what comes after `after_snapshot` and
# `after_job_event`. `failing_since` is the first failure that no success has followed.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("principal_id", Text, nullable=False, index=True),
    Column("principal", Text, nullable=False),
    Column("scopes", Text),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("tables", Text),
    Column("headers", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    Column("previous_until", Moment),
    Column("max_retries", Integer),
    Column("retry_delay_seconds", Float),
    Column("active", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("failing_since", Moment),
    Column("after_snapshot", BigInteger, nullable=False),
    Column("after_job_event", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

# One event for one receiver, in the order in which they came to be. `webhook_id` is the hook's, or
# the job's whose own `url` it goes to. `table_name`, or the id of a job's owner, is what the right
# to hear of it hangs on. `data` is a JSON object. What is `pending` is due at `due_at`.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("id", Text, nullable=False),
    Column("webhook_id", Text, nullable=False),
    Column("url", Text),
    Column("event", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("table_name", Text),
    Column("job_owner", Text),
    Column("data", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("response_status", Integer),
    Column("error", Text),
    Column("duration_ms", Float),
    Column("created_at", Moment, nullable=False),
    Column("attempted_at", Moment),
    Index("uq_webhook_deliveries_id", "id", unique=True),
    Index(None, "status", "webhook_id", "due_at"),
    Index(None, "webhook_id", "number"),
    Index(None, "created_at"),
    sqlite_autoincrement=True,
)
