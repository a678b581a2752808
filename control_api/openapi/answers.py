"""What each route answers with where all went well, as schemas of JSON.

They are told and not enforced: nothing is checked while a request is served. That they are true is
checked by the tests, where every answer that any of them is given is held to them, and may have no
member that is not told of here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from control_api.openapi.computed_nouns import COMPUTED_NOUNS
from control_api.openapi.import_nouns import IMPORT_NOUNS
from control_api.openapi.index_nouns import INDEX_NOUNS
from control_api.openapi.nouns import (
    BOOLEAN,
    INTEGER,
    NOUNS,
    NUMBER,
    ROW,
    STRING,
    Schema,
    array,
    either,
    maybe,
    members,
    one_of,
    reference,
)
from control_api.openapi.provider_nouns import PROVIDER_NOUNS

_COMMIT = reference("Commit")
_TABLE = reference("Table")
_CHANGED = reference("RowsChanged")
_USER, _KEY, _ROLE, _GRANT = map(reference, ("User", "ApiKey", "Role", "Grant"))
_WORKSPACE, _TAG, _SNAPSHOT = map(reference, ("Workspace", "Tag", "Snapshot"))
_ROWS = array(ROW)
_WRITTEN = members(
    {
        "commit": INTEGER,
        "rows": INTEGER,
        "rows_inserted": INTEGER,
        "rows_updated": INTEGER,
        "offset": maybe(INTEGER),
    },
    {
        "duplicate": {"const": True, "description": "It was written before, and only then."},
        "rows_skipped": INTEGER,
        "errors": array(
            members({"row": INTEGER, "column": maybe(STRING), "reason": STRING}),
            "The first of the rows that were left out, counted from 1.",
        ),
    },
)
_ERROR: dict[str, Schema] = {
    "code": STRING,
    "message": STRING,
    "retryable": BOOLEAN,
    "request_id": STRING,
    "details": {"type": "object"},
}
_RESULT = members(
    {"operation": INTEGER, "status": one_of("success", "failed", "rolled_back", "skipped")},
    {
        "commit": maybe(INTEGER),
        "rows": INTEGER,
        "rows_inserted": INTEGER,
        "rows_updated": INTEGER,
        "rows_deleted": INTEGER,
        "error": members(_ERROR),
    },
)
_BATCH = members(
    {
        "total_operations": INTEGER,
        "successful": INTEGER,
        "failed": INTEGER,
        "errors": array(
            members(
                {
                    "operation": maybe(INTEGER, "None where it is the commit that failed."),
                    **_ERROR,
                }
            )
        ),
        "results": array(_RESULT, "One of each operation; none without `return_results`."),
        "execution_time_ms": NUMBER,
    },
    {"error": members(_ERROR, description="What ended the batch, and only then.")},
)
_QUERIED = either(
    members({"rows": _ROWS}, {"version": INTEGER}),
    members(
        {"kind": STRING, "rows": maybe(INTEGER), "commit": maybe(INTEGER)},
        description="Of a statement that writes.",
    ),
)


@cache
def answers() -> Mapping[str, Schema]:
    """The schemas by the operationIds of their routes; those that answer with nothing have none."""
    return {
        "live": members({"status": {"const": "live"}}),
        **_of_auth(),
        **_of_tables(),
        **_of_rows(),
        **_of_history(),
        **_of_webhooks(),
        **_of_jobs(),
        **_of_imports(),
        **dict.fromkeys(
            ("add_computed_column", "change_computed_column", "drop_computed_column"),
            reference("Computed"),
        ),
        "recompute_column": reference("Recomputed"),
        "list_computed_columns": members({"columns": array(reference("ComputedColumn"))}),
        "list_cell_errors": members({"errors": array(reference("CellError"))}),
        "list_functions": members({"functions": array(reference("Function"))}),
        "list_providers": members({"providers": array(reference("Provider"))}),
        "set_provider_key": members({"provider": STRING, "key": reference("ProviderKey")}),
        "list_model_usage": members({"usage": array(reference("ModelUsage"))}),
        "list_entries": members(
            {"entries": array(reference("AuditEntry")), "cursor": maybe(INTEGER)}
        ),
        "list_usage": members(
            {
                "usage": array(reference("Usage")),
                "workspace": STRING,
                "quotas": array(reference("Quota")),
            }
        ),
    }


@cache
def components() -> Mapping[str, Schema]:
    """What the schemas refer to."""
    return {**NOUNS, **IMPORT_NOUNS, **COMPUTED_NOUNS, **INDEX_NOUNS, **PROVIDER_NOUNS}


def _of_auth() -> dict[str, Schema]:
    return {
        "take_token": reference("Tokens"),
        "refresh_token": reference("Tokens"),
        "who_am_i": reference("Identity"),
        "list_users": members({"users": array(_USER)}),
        "create_user": _USER,
        "describe_user": _USER,
        "change_user": _USER,
        "list_keys": members({"api_keys": array(_KEY)}),
        "create_key": reference("ApiKeyShown"),
        "describe_key": _KEY,
        "revoke_key": _KEY,
        "rotate_key": reference("ApiKeyShown"),
        "list_roles": members({"roles": array(_ROLE)}),
        "create_role": _ROLE,
        "change_role": _ROLE,
        "list_grants": members({"grants": array(_GRANT)}),
        "create_grant": _GRANT,
        "my_permissions": members(
            {"permissions": {"type": "object", "additionalProperties": reference("Permission")}}
        ),
        "list_workspaces": members({"workspaces": array(_WORKSPACE)}),
        "create_workspace": _WORKSPACE,
        "change_workspace": _WORKSPACE,
    }


def _of_tables() -> dict[str, Schema]:
    names = array(STRING)
    listed = members({"table": STRING, "catalog": STRING, "namespace": STRING, "name": STRING})
    changed = reference("TableChanged")
    return {
        "list_namespaces": members({"namespaces": names}),
        "create_namespace": _COMMIT,
        "describe_namespace": members({"namespace": STRING, "namespaces": names, "tables": names}),
        "drop_namespace": _COMMIT,
        "list_tables": members(
            {
                "tables": either(array(listed), array(_TABLE, "With `details`.")),
                "next_cursor": maybe(STRING),
            }
        ),
        "create_table": changed,
        "describe_table": _TABLE,
        "change_table": changed,
        "drop_table": _COMMIT,
        "schema_history": members({"history": array(reference("SchemaStep"))}),
        "list_views": members({"views": names}),
        "create_view": _COMMIT,
        "describe_view": reference("View"),
        "drop_view": _COMMIT,
        "refresh_view": members(
            {
                "commit": INTEGER,
                "mode": maybe(one_of("full", "incremental")),
                "rows": INTEGER,
                "snapshot": INTEGER,
            }
        ),
    }


def _of_rows() -> dict[str, Schema]:
    one = ("replace_row", "update_row", "delete_row")
    changing = ("update_rows", "delete_rows", "undelete_rows", *one, *(f"{n}_of_key" for n in one))
    deletion = members(
        {"deletion": INTEGER, "rows": INTEGER, "deleted_at": reference("Time"), "author": STRING}
    )
    return {
        **dict.fromkeys(changing, _CHANGED),
        "stream_rows": _ROWS,
        "read_rows": members({"rows": _ROWS, "next_cursor": maybe(STRING), "version": INTEGER}),
        "insert_rows": _WRITTEN,
        "list_deletions": members({"deletions": array(deletion)}),
        "read_row": ROW,
        "read_row_of_key": ROW,
        "query": _QUERIED,
        "batch_operations": _BATCH,
    }


def _of_history() -> dict[str, Schema]:
    restored = members({"commit": INTEGER, "tables": array(STRING)})
    return {
        "list_versions": members({"versions": array(reference("Version"))}),
        "diff": members({"rows": _ROWS, "from": INTEGER, "to": INTEGER}),
        "changes": members({"rows": _ROWS, "after": INTEGER, "until": INTEGER}),
        "restore": _COMMIT,
        "undrop": _COMMIT,
        "list_tags": members({"tags": array(_TAG)}),
        "create_tag": _TAG,
        "list_indexes": members({"indexes": array(reference("Index"))}),
        "create_index": _COMMIT,
        "drop_index": _COMMIT,
        "search_rows": members({"rows": _ROWS}),
        "list_snapshots": members({"snapshots": array(_SNAPSHOT)}),
        "create_snapshot": _SNAPSHOT,
        "describe_snapshot": reference("SnapshotContent"),
        "restore_snapshot": restored,
    }


def _of_webhooks() -> dict[str, Schema]:
    hook, shown, delivery = map(reference, ("Webhook", "WebhookShown", "Delivery"))
    return {
        "list_webhooks": members({"webhooks": array(hook)}),
        "create_webhook": shown,
        "describe_webhook": hook,
        "change_webhook": hook,
        "rotate_webhook": shown,
        "try_webhook": delivery,
        "list_deliveries": members({"deliveries": array(delivery), "cursor": maybe(INTEGER)}),
        "replay_delivery": delivery,
    }


def _of_imports() -> dict[str, Schema]:
    upload = reference("Upload")
    return {
        "import_data": reference("Job"),
        "preview_import": reference("Preview"),
        "list_uploads": members({"uploads": array(upload)}),
        "create_upload": upload,
        "describe_upload": upload,
        "write_part": upload,
        "complete_upload": upload,
    }


def _of_jobs() -> dict[str, Schema]:
    job, schedule = reference("Job"), reference("Schedule")
    return {
        "submit_job": job,
        "export_rows": job,
        "list_jobs": members({"jobs": array(job), "cursor": maybe(INTEGER)}),
        "describe_job": job,
        "cancel_job": job,
        "retry_job": job,
        "job_logs": members(
            {
                "logs": array(reference("LogLine")),
                "after": {**INTEGER, "description": "What the next page is asked for with."},
            }
        ),
        "create_schedule": schedule,
        "list_schedules": members({"schedules": array(schedule)}),
        "describe_schedule": schedule,
        "change_schedule": schedule,
    }
