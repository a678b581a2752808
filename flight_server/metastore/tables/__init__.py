"""The tables of the metastore as SQLAlchemy Core knows them.

A change here needs a migration beside it: a test holds the two against each other. Columns keep
to types that SQLite and PostgreSQL share.
"""

from flight_server.metastore.tables.answers import kept_answers
from flight_server.metastore.tables.audit import audit, followers
from flight_server.metastore.tables.base import Moment, metadata
from flight_server.metastore.tables.identity import refresh_tokens, revoked_tokens, users
from flight_server.metastore.tables.jobs import job_events, job_logs, job_schedules, jobs
from flight_server.metastore.tables.keys import api_keys, server_secrets
from flight_server.metastore.tables.models import model_usage, provider_keys
from flight_server.metastore.tables.permissions import (
    grants,
    permission_changes,
    roles,
    workspace_namespaces,
    workspaces,
)
from flight_server.metastore.tables.uploads import uploads
from flight_server.metastore.tables.usage import usage
from flight_server.metastore.tables.webhooks import webhook_deliveries, webhooks

__all__ = [
    "Moment",
    "api_keys",
    "audit",
    "followers",
    "grants",
    "job_events",
    "job_logs",
    "job_schedules",
    "jobs",
    "kept_answers",
    "metadata",
    "model_usage",
    "permission_changes",
    "provider_keys",
    "refresh_tokens",
    "revoked_tokens",
    "roles",
    "server_secrets",
    "uploads",
    "usage",
    "users",
    "webhook_deliveries",
    "webhooks",
    "workspace_namespaces",
    "workspaces",
]
