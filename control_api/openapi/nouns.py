"""Schemas of what several routes answer with, and the words to write them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object", "additionalProperties": True}
ROW: Schema = {**OBJECT, "description": "Values by the names of their columns."}


def reference(name: str) -> Schema:
    """What stands in the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def members(
    always: Mapping[str, Schema],
    sometimes: Mapping[str, Schema] | None = None,
    description: str = "",
) -> Schema:
    """An object: what it always has, and what it may have."""
    found: Schema = {
        "type": "object",
        "properties": {**always, **(sometimes or {})},
        "required": list(always),
    }
    return found | ({"description": description} if description else {})


def array(of: Schema, description: str = "") -> Schema:
    """A list."""
    found: Schema = {"type": "array", "items": of}
    return found | ({"description": description} if description else {})


def maybe(schema: Schema, description: str = "") -> Schema:
    """The value, or null."""
    found: Schema = {"anyOf": [schema, {"type": "null"}]}
    return found | ({"description": description} if description else {})


def either(*schemas: Schema) -> Schema:
    """One of several."""
    return {"anyOf": list(schemas)}


def one_of(*values: str) -> Schema:
    """One of some words."""
    return {"type": "string", "enum": list(values)}


_TIME = reference("Time")
_NAMES = array(STRING)
_TEXTS: Schema = {"type": "object", "additionalProperties": STRING}
_COLUMN = members(
    {
        "name": STRING,
        "type": {**STRING, "description": "Arrow's name of it, such as timestamp[us, tz=UTC]."},
        "nullable": BOOLEAN,
        "metadata": _TEXTS,
        "default": maybe(STRING, "An expression of SQL."),
        "comment": STRING,
        "constraints": {**OBJECT, "description": "Keywords of JSON Schema."},
    }
)
_TABLE: dict[str, Schema] = {
    "kind": one_of("table", "view", "materialized_view", "snapshot"),
    "columns": array(reference("Column")),
    "schema_ipc": {**STRING, "description": "The schema as a message of Arrow, in base64."},
    "key": _NAMES,
    "partition_by": _NAMES,
    "defaults": _TEXTS,
    "constraints": {"type": "object", "additionalProperties": OBJECT},
    "checks": _TEXTS,
    "comment": STRING,
    "definition": maybe(STRING, "What a view says, where you may read all that it names."),
    "derived": maybe(
        members(
            {
                "base": maybe(STRING, "None where it is not yours to know."),
                "version": maybe(INTEGER, "Of the base; null where the view follows it."),
                "filter": maybe(STRING),
                "iterator": maybe(STRING),
            }
        ),
        "What a view or a snapshot in Pixeltable is made of.",
    ),
    "snapshot": INTEGER,
    "rows": maybe(INTEGER, "None where it is not known, or not yours to know."),
    "bytes": maybe(INTEGER),
    "files": maybe(INTEGER),
    "versions": INTEGER,
    "created_at": maybe(_TIME),
    "changed_at": maybe(_TIME),
}
_COMMIT: dict[str, Schema] = {
    "commit": maybe(INTEGER, "The snapshot that it made; null where nothing was to be done.")
}
_REFRESH = members(
    {
        "when": one_of("on_demand", "on_change"),
        "is_stale": maybe(BOOLEAN),
        "last_refresh": maybe(_TIME),
        "snapshot": maybe(INTEGER, "What the rows are of."),
        "mode": maybe(one_of("full", "incremental")),
        "error": maybe(STRING, "Why the last refresh failed."),
        "failed_at": maybe(_TIME),
    }
)
_KEY: dict[str, Schema] = {
    "id": STRING,
    "name": STRING,
    "owner": maybe(STRING),
    "roles": _NAMES,
    "scopes": maybe(_NAMES),
    "workspace": STRING,
    "created_at": _TIME,
    "created_by": STRING,
    "expires_at": maybe(_TIME),
    "revoked_at": maybe(_TIME),
    "previous_until": maybe(_TIME, "Until when the secret before the last rotation works."),
}
_HOOK: dict[str, Schema] = {
    "id": STRING,
    "url": STRING,
    "events": _NAMES,
    "tables": maybe(_NAMES, "Names, or `namespace.*`; null is any."),
    "active": BOOLEAN,
    "disabled_reason": maybe(STRING, "Why the server has made it inactive."),
    "headers": {**_TEXTS, "description": "Their values are never shown."},
    "retry_config": maybe(
        members({"max_retries": INTEGER, "retry_delay_seconds": NUMBER}),
        "Null is the schedule of Standard Webhooks.",
    ),
    "owner": STRING,
    "workspace": STRING,
    "failing_since": maybe(_TIME, "The first failure that no success has followed."),
    "previous_secret_until": maybe(_TIME, "Until when the old secret signs as well."),
    "created_at": _TIME,
    "updated_at": _TIME,
}
_SNAPSHOT: dict[str, Schema] = {
    "name": STRING,
    "table": maybe(STRING, "None where it is of all of the namespace."),
    "namespace": STRING,
    "version": INTEGER,
    "created_at": _TIME,
    "author": STRING,
}
_JOB_SPEC: dict[str, Schema] = {
    "job_type": one_of(
        "data_import",
        "data_export",
        "batch_operation",
        "media_processing",
        "table_recompute",
        "custom",
    ),
    "parameters": OBJECT,
    "priority": INTEGER,
    "timeout_seconds": INTEGER,
    "max_retries": INTEGER,
    "retry_delay_seconds": INTEGER,
    "webhook_url": maybe(STRING),
    "webhook_events": _NAMES,
}
_JOB: dict[str, Schema] = {
    "job_id": STRING,
    **_JOB_SPEC,
    "status": one_of("pending", "running", "completed", "failed", "cancelled"),
    "progress": maybe(NUMBER, "Percent; null where nobody knows."),
    "rows": INTEGER,
    "bytes": INTEGER,
    "rows_total": maybe(INTEGER),
    "bytes_total": maybe(INTEGER),
    "seconds_left": maybe(NUMBER, "An estimate."),
    "attempt": {**INTEGER, "description": "How often it was begun so far."},
    "result": maybe(OBJECT),
    "error": maybe(OBJECT, "Why it failed, or why its last attempt did."),
    "created_at": _TIME,
    "started_at": maybe(_TIME),
    "completed_at": maybe(_TIME),
    "schedule_id": maybe(STRING),
    "created_by": STRING,
    "workspace": STRING,
    "cancel_requested": BOOLEAN,
    "logs": array(reference("LogLine"), "The last of its lines; empty in lists."),
}
_PLACE: dict[str, Schema] = dict.fromkeys(("table", "namespace", "catalog"), maybe(STRING))
_STEP: dict[str, Schema] = {
    "version": INTEGER,
    "committed_at": _TIME,
    "author": STRING,
    "reason": STRING,
}
_COUNTS: dict[str, Schema] = dict.fromkeys(
    ("requests", "rows_in", "rows_out", "bytes_in", "bytes_out", "errors"), INTEGER
)
NOUNS: Mapping[str, Schema] = {
    "Time": {"type": "string", "format": "date-time"},
    "Commit": members(_COMMIT),
    "RowsChanged": members(
        dict.fromkeys(("commit", "rows", "rows_inserted", "rows_updated", "rows_deleted"), INTEGER)
    ),
    "Column": _COLUMN,
    "Table": members({"table": STRING, **_TABLE}),
    "TableChanged": members(
        {"table": STRING, **_COMMIT},
        {**_TABLE, "inferred": reference("Inferred")},
        "The table as it is now, where you may read it.",
    ),
    "Inferred": members(
        {
            "rows": INTEGER,
            "columns": array(members({"name": STRING, "type": STRING, "nulls": INTEGER})),
        },
        description="What sample rows showed.",
    ),
    "SchemaStep": members({**_STEP, "changes": array(OBJECT, "As PATCH takes them.")}),
    "View": members({"view": STRING, **_TABLE, "refresh": maybe(_REFRESH)}),
    "Version": members(
        {**_STEP, "changes": _NAMES, "tags": _NAMES},
        {"rows": INTEGER},
        "`rows` counts those that it inserted, updated or deleted, where that is known.",
    ),
    "Tag": members(
        {
            "name": STRING,
            "table": STRING,
            "version": INTEGER,
            "created_at": _TIME,
            "author": STRING,
        }
    ),
    "Snapshot": members(_SNAPSHOT),
    "SnapshotContent": members({**_SNAPSHOT, "tables": _NAMES}),
    "Tokens": members(
        {
            "access_token": STRING,
            "token_type": {"const": "Bearer"},
            "expires_in": {**INTEGER, "description": "Seconds."},
            "refresh_token": STRING,
        }
    ),
    "Identity": members(
        {
            "id": STRING,
            "name": STRING,
            "roles": _NAMES,
            "scopes": maybe(_NAMES),
            "workspace": STRING,
            "credential": STRING,
            "expires_at": maybe(_TIME),
        }
    ),
    "User": members(
        {
            "name": STRING,
            "roles": _NAMES,
            "external_roles": _NAMES,
            "workspace": STRING,
            "has_password": BOOLEAN,
            "certificate": maybe(STRING),
            "issuer": maybe(STRING),
            "subject": maybe(STRING),
            "created_at": _TIME,
            "created_by": STRING,
            "disabled_at": maybe(_TIME),
        }
    ),
    "Webhook": members(_HOOK),
    "WebhookShown": members({"secret": {**STRING, "description": "Shown this once."}, **_HOOK}),
    "Delivery": members(
        {
            "id": {**STRING, "description": "The header `webhook-id`, the same at each attempt."},
            "webhook_id": STRING,
            "event": STRING,
            "timestamp": _TIME,
            "data": OBJECT,
            "status": one_of("pending", "delivered", "failed", "withheld"),
            "attempts": INTEGER,
            "response_status": maybe(INTEGER),
            "error": maybe(STRING),
            "duration_ms": maybe(NUMBER),
            "created_at": _TIME,
            "attempted_at": maybe(_TIME),
            "next_attempt_at": maybe(_TIME),
        }
    ),
    "ApiKey": members(_KEY),
    "ApiKeyShown": members({"key": {**STRING, "description": "Shown this once."}, **_KEY}),
    "Job": members(_JOB),
    "LogLine": members(
        {
            "at": _TIME,
            "level": one_of("info", "warning", "error"),
            "text": STRING,
            "attempt": INTEGER,
        }
    ),
    "Schedule": members(
        {
            "schedule_id": STRING,
            "name": STRING,
            "cron": STRING,
            "timezone": STRING,
            "active": BOOLEAN,
            "next_at": maybe(_TIME),
            "last_at": maybe(_TIME),
            "last_job_id": maybe(STRING),
            "note": {**STRING, "description": "Why nothing was submitted the last time."},
            "job": members(_JOB_SPEC),
            "created_by": STRING,
            "workspace": STRING,
            "created_at": _TIME,
        }
    ),
    "Role": members(
        {
            "workspace": STRING,
            "name": STRING,
            "description": STRING,
            "created_at": _TIME,
            "created_by": STRING,
        }
    ),
    "Grant": members(
        {
            "id": STRING,
            "role": STRING,
            "actions": _NAMES,
            **_PLACE,
            "columns": maybe(_NAMES),
            "rows": maybe(STRING),
            "workspace": STRING,
            "created_at": _TIME,
            "created_by": STRING,
        }
    ),
    "Permission": members({"allowed": BOOLEAN, "columns": maybe(_NAMES), "rows": maybe(STRING)}),
    "Workspace": members(
        {
            "name": STRING,
            "description": STRING,
            "namespaces": _NAMES,
            "limits": OBJECT,
            "created_at": _TIME,
            "created_by": STRING,
        }
    ),
    "AuditEntry": members(
        {
            "id": INTEGER,
            "at": _TIME,
            **dict.fromkeys(
                ("principal_id", "principal", "workspace", "door", "peer", "request_id"), STRING
            ),
            "action": STRING,
            "resource": STRING,
            "outcome": one_of("ok", "refused", "failed"),
            "code": STRING,
            "snapshot": maybe(INTEGER),
            "details": OBJECT,
        }
    ),
    "Usage": members(
        {
            "workspace": STRING,
            "principal_id": STRING,
            "day": {"type": "string", "format": "date"},
            "principal": STRING,
            **_COUNTS,
        }
    ),
    "Quota": members(
        {
            "quota": STRING,
            "limit": INTEGER,
            "used": INTEGER,
            "remaining": INTEGER,
            "resets_at": _TIME,
        }
    ),
}
