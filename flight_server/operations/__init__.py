"""What the server does: one function per verb, one file per family.

Each function authorises, resolves, delegates to an engine or to `query`, and so records: the
commit log keeps the author that a call carries. Both doors call these and hold no rule of their
own.
"""

from flight_server.operations.maintenance import health, hold, optimize, pinned
from flight_server.operations.query import QueryPlan, explain, plan_query, query
from flight_server.operations.rows import ScanPlan, delete, ingest, plan_scan, scan, update
from flight_server.operations.services import Call, Services
from flight_server.operations.tables import (
    alter_table,
    create_namespace,
    create_table,
    describe_table,
    drop_namespace,
    drop_table,
    list_namespaces,
    list_tables,
    rename_table,
    undrop_table,
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

__all__ = [
    "Call",
    "QueryPlan",
    "ScanPlan",
    "Services",
    "alter_table",
    "changes",
    "create_namespace",
    "create_table",
    "create_tag",
    "delete",
    "describe_table",
    "diff",
    "drop_namespace",
    "drop_table",
    "drop_tag",
    "explain",
    "health",
    "hold",
    "ingest",
    "list_namespaces",
    "list_tables",
    "list_tags",
    "list_versions",
    "newest_snapshot",
    "optimize",
    "pinned",
    "plan_query",
    "plan_scan",
    "query",
    "rename_table",
    "restore",
    "scan",
    "snapshot_at",
    "snapshot_of",
    "undrop_table",
    "update",
]
