"""Which errors a route may answer with: no more than those, and no fewer.

Tests hold every answer to this, and meet each of these errors of each route. So a new route has to
be looked for in every set here: what it gives and is not told of, or is told of and does not give,
fails the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flight_server.errors import ErrorCode

WRITES = frozenset({"post", "put", "patch", "delete"})
ARROW = "application/vnd.apache.arrow.stream"
# Their credential is in the body.
LOGINS = frozenset({"take_token", "refresh_token", "revoke_token"})
# They only look at the credential, whatever it may do, and at no deadline.
WITHOUT_CALL = LOGINS | {"who_am_i"}
# Their answers hold secrets, which are kept for nobody.
WITHOUT_KEY = LOGINS | {"create_key", "create_webhook", "rotate_key", "rotate_webhook"}

# What is sent to end it may be anything; so nobody is refused, and nobody has to wait.
_UNJUDGED = frozenset({"revoke_token"})
# Nothing is sent that could be wrong.
_NOTHING_SENT = frozenset({"who_am_i"})
# They answer with what the caller may see; what it may not see is not there.
_NEVER_FORBIDDEN = WITHOUT_CALL | {
    "cancel_job",
    "change_schedule",
    "complete_upload",
    "create_upload",
    "delete_webhook",
    "describe_job",
    "describe_key",
    "describe_namespace",
    "describe_schedule",
    "describe_snapshot",
    "describe_upload",
    "describe_webhook",
    "download_result",
    "drop_schedule",
    "drop_upload",
    "job_logs",
    "list_deliveries",
    "list_functions",
    "list_grants",
    "list_jobs",
    "list_keys",
    "list_namespaces",
    "list_roles",
    "list_schedules",
    "list_snapshots",
    "list_tables",
    "list_uploads",
    "list_views",
    "list_webhooks",
    "list_workspaces",
    "my_permissions",
    "replay_delivery",
    "retry_job",
    "rotate_webhook",
    "try_webhook",
    "write_part",
}
# Nothing is named that has to be there.
_NOTHING_NAMED = WITHOUT_CALL | {
    "create_upload",
    "create_webhook",
    "list_entries",
    "list_jobs",
    "list_keys",
    "list_model_usage",
    "list_schedules",
    "list_snapshots",
    "list_uploads",
    "list_usage",
    "list_users",
    "list_webhooks",
    "list_workspaces",
}
# What they make or change is never in the way, and no key can be, since they take none.
_WITHOUT_CONFLICT = LOGINS | {"create_webhook", "rotate_webhook"}
# The form of their answers is in their bodies.
_FORM_IN_BODY = frozenset({"stream_rows"})
# They read what may be a view, and below it may be missing what it reads.
_THROUGH_VIEWS = frozenset(
    {
        "changes",
        "describe_table",
        "describe_view",
        "diff",
        "list_deletions",
        "list_tags",
        "read_row",
        "read_row_of_key",
        "read_rows",
        "schema_history",
    }
)
# They take SQL, or what views do not have, or not every catalog.
_NOT_ALL_SUPPORTED = frozenset(
    {
        "add_computed_column",
        "batch_operations",
        "changes",
        "change_computed_column",
        "change_table",
        "create_grant",
        "create_index",
        "create_schedule",
        "create_snapshot",
        "create_table",
        "create_tag",
        "create_view",
        "delete_row",
        "delete_rows",
        "describe_table",
        "diff",
        "drop_table",
        "drop_view",
        "drop_computed_column",
        "drop_index",
        "export_rows",
        "import_data",
        "insert_rows",
        "list_cell_errors",
        "list_computed_columns",
        "list_deletions",
        "list_functions",
        "list_indexes",
        "list_tags",
        "preview_import",
        "query",
        "read_row",
        "read_row_of_key",
        "read_rows",
        "recompute_column",
        "refresh_view",
        "replace_row",
        "replace_row_of_key",
        "restore",
        "restore_snapshot",
        "schema_history",
        "search_rows",
        "stream_rows",
        "submit_job",
        "undelete_rows",
        "update_row",
        "update_row_of_key",
        "update_rows",
    }
)
# They write rows, which may violate checks, or checks, which rows may violate.
_CHECKED = frozenset(
    {
        "batch_operations",
        "change_table",
        "create_table",
        "insert_rows",
        "query",
        "replace_row",
        "replace_row_of_key",
        "undelete_rows",
        "update_row",
        "update_row_of_key",
        "update_rows",
    }
)
# Without a body, too, they may handle more than there is memory or a limit for.
_HEAVY = frozenset(
    {
        "changes",
        "delete_row",
        "delete_row_of_key",
        "diff",
        "list_entries",
        "read_row",
        "read_row_of_key",
        "read_rows",
        "refresh_view",
        "restore_snapshot",
        "undelete_rows",
        "undrop",
    }
)


def errors_of(method: str, operation: Mapping[str, Any]) -> Iterator[ErrorCode]:
    """The errors of a route under the prefix, one code for each status."""
    name = operation["operationId"]
    yield ErrorCode.INTERNAL
    yield ErrorCode.UNAVAILABLE
    yield from _of_callers(name)
    yield from _of_headers(operation)
    if name not in _NEVER_FORBIDDEN:
        yield ErrorCode.FORBIDDEN
    if name not in _NOTHING_NAMED:
        yield ErrorCode.NOT_FOUND
    # Whatever is there already, or came in between; or the Idempotency-Key is not new.
    if name in _THROUGH_VIEWS or (method in WRITES and name not in _WITHOUT_CONFLICT):
        yield ErrorCode.CONFLICT
    if name in _NOT_ALL_SUPPORTED:
        yield ErrorCode.UNSUPPORTED
    if name in _CHECKED:
        yield ErrorCode.CHECK_VIOLATION
    if name in _HEAVY or "requestBody" in operation:
        yield ErrorCode.TOO_LARGE


def _of_callers(name: str) -> Iterator[ErrorCode]:
    """Errors of who asks, how often and for how long."""
    if name not in _NOTHING_SENT:
        yield ErrorCode.INVALID_REQUEST
    if name not in _UNJUDGED:
        yield ErrorCode.UNAUTHENTICATED
        yield ErrorCode.LIMIT_EXCEEDED
    if name not in WITHOUT_CALL:
        yield ErrorCode.TIMED_OUT


def _of_headers(operation: Mapping[str, Any]) -> Iterator[ErrorCode]:
    """Errors of what can be seen of the route in its description."""
    if "requestBody" in operation:
        yield ErrorCode.UNSUPPORTED_MEDIA_TYPE
    forms = {form for one in operation["responses"].values() for form in one.get("content", ())}
    if ARROW in forms and operation["operationId"] not in _FORM_IN_BODY:
        yield ErrorCode.NOT_ACCEPTABLE
    names = {parameter.get("name", "").lower() for parameter in operation.get("parameters", ())}
    if "if-match" in names:
        yield ErrorCode.VERSION_CHANGED
