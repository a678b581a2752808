"""What the server does: one function per verb, one file per family.

Each function authorises, resolves, delegates to an engine or to `query`, and so records: the
commit log keeps the author that a call carries. Both doors call these and hold no rule of their
own.
"""

from flight_server.operations.api_keys import (
    create_key,
    describe_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from flight_server.operations.cached_queries import cached_query, pinned_query
from flight_server.operations.jobs import submit_job
from flight_server.operations.listings import (
    describe_tables,
    list_tables,
    namespace_content,
    page_of_tables,
)
from flight_server.operations.logins import refresh_login, revoke_token, take_token
from flight_server.operations.maintenance import health, hold, optimize, pinned
from flight_server.operations.materialized import Freshness, create_materialized_view, freshness
from flight_server.operations.measures import (
    check_may_measure,
    metrics_are_open,
    read_measures,
)
from flight_server.operations.parameters import parameter_schema, rows_of
from flight_server.operations.permissions import (
    bound_to,
    create_grant,
    create_role,
    describe_role,
    drop_grant,
    drop_role,
    list_grants,
    list_roles,
    permissions_on,
)
from flight_server.operations.query import (
    QueryPlan,
    explain,
    plan_query,
    query,
    query_each,
    statement_of,
)
from flight_server.operations.readiness import Checks, Readiness
from flight_server.operations.refreshing import Refreshing, refresh_view
from flight_server.operations.row_changes import (
    list_deletions,
    set_values,
    soft_delete,
    undelete,
)
from flight_server.operations.row_reads import (
    Found,
    aggregate,
    column_defaults,
    one_row,
    open_scan,
    page,
    readable_key,
    readable_schema,
    row_not_found,
    writable_schema,
)
from flight_server.operations.rows import (
    ScanPlan,
    delete,
    ingest,
    plan_scan,
    replace_table,
    scan,
    update,
)
from flight_server.operations.schema_history import SchemaStep, schema_history
from flight_server.operations.services import Call, Services, is_operation
from flight_server.operations.sessions import OpenTransaction, Session, transaction_not_found
from flight_server.operations.single_rows import change_row
from flight_server.operations.snapshots import (
    Restored,
    create_snapshot,
    describe_snapshot,
    drop_snapshot,
    list_snapshots,
    restore_snapshot,
)
from flight_server.operations.statements import (
    Executed,
    begin,
    execute,
    execute_each,
    is_control,
    is_read,
    needs_session,
)
from flight_server.operations.table_rules import judge_of
from flight_server.operations.table_statements import open_temporary
from flight_server.operations.tables import (
    alter_table,
    change_table,
    create_namespace,
    create_table,
    describe_table,
    drop_namespace,
    drop_table,
    ensure_namespace,
    ensure_table,
    list_namespaces,
    rename_table,
    undrop_table,
)
from flight_server.operations.together import in_one_commit, unless_missing
from flight_server.operations.users import (
    change_user,
    create_user,
    delete_user,
    describe_user,
    list_users,
)
from flight_server.operations.versions import (
    changes,
    create_tag,
    diff,
    drop_tag,
    list_tags,
    list_versions,
    newest_snapshot,
    restore,
    snapshot_at,
    snapshot_of,
)
from flight_server.operations.views import (
    create_view,
    describe_view,
    drop_view,
    kind_of_table,
    list_views,
    rename_view,
)
from flight_server.operations.webhooks import (
    change_webhook,
    check_outbound,
    create_webhook,
    delete_webhook,
    describe_webhook,
    list_deliveries,
    list_webhooks,
    replay_delivery,
    rotate_webhook,
    try_webhook,
)
from flight_server.operations.workspaces import (
    change_workspace,
    create_workspace,
    drop_workspace,
    list_workspaces,
)
from flight_server.query import parameters_of
from flight_server.telemetry import traced

__all__ = [
    "Call",
    "Checks",
    "Executed",
    "Found",
    "Freshness",
    "OpenTransaction",
    "QueryPlan",
    "Readiness",
    "Refreshing",
    "Restored",
    "ScanPlan",
    "SchemaStep",
    "Services",
    "Session",
    "aggregate",
    "alter_table",
    "begin",
    "bound_to",
    "cached_query",
    "change_row",
    "change_table",
    "change_user",
    "change_webhook",
    "change_workspace",
    "changes",
    "check_may_measure",
    "check_outbound",
    "column_defaults",
    "create_grant",
    "create_key",
    "create_materialized_view",
    "create_namespace",
    "create_role",
    "create_snapshot",
    "create_table",
    "create_tag",
    "create_user",
    "create_view",
    "create_webhook",
    "create_workspace",
    "delete",
    "delete_user",
    "delete_webhook",
    "describe_key",
    "describe_role",
    "describe_snapshot",
    "describe_table",
    "describe_tables",
    "describe_user",
    "describe_view",
    "describe_webhook",
    "diff",
    "drop_grant",
    "drop_namespace",
    "drop_role",
    "drop_snapshot",
    "drop_table",
    "drop_tag",
    "drop_view",
    "drop_workspace",
    "ensure_namespace",
    "ensure_table",
    "execute",
    "execute_each",
    "explain",
    "freshness",
    "health",
    "hold",
    "in_one_commit",
    "ingest",
    "is_control",
    "is_read",
    "judge_of",
    "kind_of_table",
    "list_deletions",
    "list_deliveries",
    "list_grants",
    "list_keys",
    "list_namespaces",
    "list_roles",
    "list_snapshots",
    "list_tables",
    "list_tags",
    "list_users",
    "list_versions",
    "list_views",
    "list_webhooks",
    "list_workspaces",
    "metrics_are_open",
    "namespace_content",
    "needs_session",
    "newest_snapshot",
    "one_row",
    "open_scan",
    "open_temporary",
    "optimize",
    "page",
    "page_of_tables",
    "parameter_schema",
    "parameters_of",
    "permissions_on",
    "pinned",
    "pinned_query",
    "plan_query",
    "plan_scan",
    "query",
    "query_each",
    "read_measures",
    "readable_key",
    "readable_schema",
    "refresh_login",
    "refresh_view",
    "rename_table",
    "rename_view",
    "replace_table",
    "replay_delivery",
    "restore",
    "restore_snapshot",
    "revoke_key",
    "revoke_token",
    "rotate_key",
    "rotate_webhook",
    "row_not_found",
    "rows_of",
    "scan",
    "schema_history",
    "set_values",
    "snapshot_at",
    "snapshot_of",
    "soft_delete",
    "statement_of",
    "submit_job",
    "take_token",
    "transaction_not_found",
    "try_webhook",
    "undelete",
    "undrop_table",
    "unless_missing",
    "update",
    "writable_schema",
]

# Each operation that a call is served by is a part of the call's trace, whichever door it came by.
for _name in __all__:
    if is_operation(globals()[_name]):
        globals()[_name] = traced(globals()[_name])
