"""Our own actions, JSON in and JSON out: a table of name, description, body and function."""

from __future__ import annotations

from dataclasses import asdict

from flight_server import operations
from flight_server.bodies import actions as bodies
from flight_server.bodies.answers import (
    committed,
    described,
    inferred_told,
    rows_committed,
    tag_listed,
    version_listed,
)
from flight_server.bodies.bookkeeping import ReadAudit, ReadUsage
from flight_server.bodies.requests import Body, OfTable, Sql, loaded, parsed
from flight_server.bodies.schema_steps import step_listed
from flight_server.bodies.snapshots import (
    CreateSnapshot,
    OfSnapshot,
    restored,
    snapshot_listed,
)
from flight_server.bodies.statements import sql_request
from flight_server.bodies.views import (
    CreateView,
    DropView,
    ListViews,
    OfView,
    RenameView,
    refreshed,
    view_described,
)
from flight_server.errors import InvalidRequest
from flight_server.model import NamespaceRef, TableRef
from flight_server.operations import Call, Services
from flight_server.wire.computed_actions import COMPUTED_ACTIONS
from flight_server.wire.import_actions import IMPORT_ACTIONS
from flight_server.wire.index_actions import INDEX_ACTIONS
from flight_server.wire.job_actions import JOB_ACTIONS
from flight_server.wire.json_actions import Answer, JsonAction
from flight_server.wire.provider_actions import PROVIDER_ACTIONS
from flight_server.wire.webhook_actions import WEBHOOK_ACTIONS


def run_action(services: Services, call: Call, name: str, body: bytes) -> Answer:
    """Runs one of `ACTIONS`. An empty body is an empty object."""
    action = ACTIONS[name]
    more: tuple[bytes, ...] = ()
    if action.takes_bytes:
        body, _, part = body.partition(b"\n")
        more = (part,)
    values = loaded(body, f"body of '{name}'") if body.strip() else {}
    return action.run(services, call, parsed(action.body, values, f"body of '{name}'"), *more)


def _create_table(services: Services, call: Call, body: bodies.CreateTable) -> Answer:
    table, spec, sample = TableRef.parse(body.table), body.spec(), body.inferred()
    make = operations.ensure_table if body.if_not_exists else operations.create_table
    made = make(services, call, table, spec)
    return committed(made) | ({} if sample is None else {"inferred": inferred_told(sample)})


def _describe_table(services: Services, call: Call, body: bodies.DescribeTable) -> Answer:
    table = TableRef.parse(body.table)
    version = operations.snapshot_of(services, call, table, body.version, body.as_of)
    return described(operations.describe_table(services, call, table, version))


def _drop_table(services: Services, call: Call, body: bodies.DropTable) -> Answer:
    table = TableRef.parse(body.table)
    return committed(
        operations.unless_missing(
            body.if_exists, lambda: operations.drop_table(services, call, table, body.cascade)
        )
    )


def _undrop_table(services: Services, call: Call, body: OfTable) -> Answer:
    return committed(operations.undrop_table(services, call, TableRef.parse(body.table)))


def _rename_table(services: Services, call: Call, body: bodies.RenameTable) -> Answer:
    table, to = TableRef.parse(body.table), TableRef.parse(body.to)
    return committed(operations.rename_table(services, call, table, to))


def _alter_table(services: Services, call: Call, body: bodies.AlterTable) -> Answer:
    table, changes = TableRef.parse(body.table), body.parsed_changes()
    return committed(operations.alter_table(services, call, table, changes))


def _create_view(services: Services, call: Call, body: CreateView) -> Answer:
    return committed(body.create(services, call))


def _describe_view(services: Services, call: Call, body: OfView) -> Answer:
    info = operations.describe_view(services, call, TableRef.parse(body.view))
    return view_described(info, operations.freshness(services, call, info))


def _refresh_view(services: Services, call: Call, body: OfView) -> Answer:
    return refreshed(operations.refresh_view(services, call, TableRef.parse(body.view)))


def _drop_view(services: Services, call: Call, body: DropView) -> Answer:
    return committed(operations.drop_view(services, call, TableRef.parse(body.view), body.cascade))


def _rename_view(services: Services, call: Call, body: RenameView) -> Answer:
    view, to = TableRef.parse(body.view), TableRef.parse(body.to)
    return committed(operations.rename_view(services, call, view, to))


def _list_views(services: Services, call: Call, body: ListViews) -> Answer:
    if body.of is not None:
        found = operations.views_of(services, call, TableRef.parse(body.of))
    else:
        found = operations.list_views(services, call, body.catalog, body.namespace)
    return {"views": [str(view) for view in found]}


def _list_namespaces(services: Services, call: Call, body: bodies.ListNamespaces) -> Answer:
    found = operations.list_namespaces(services, call, body.catalog)
    return {"namespaces": [str(namespace) for namespace in found]}


def _create_namespace(services: Services, call: Call, body: bodies.CreateNamespace) -> Answer:
    namespace = NamespaceRef.parse(body.namespace)
    make = operations.ensure_namespace if body.if_not_exists else operations.create_namespace
    return committed(make(services, call, namespace))


def _drop_namespace(services: Services, call: Call, body: bodies.DropNamespace) -> Answer:
    namespace = NamespaceRef.parse(body.namespace)
    return committed(
        operations.unless_missing(
            body.if_exists, lambda: operations.drop_namespace(services, call, namespace)
        )
    )


def _list_versions(services: Services, call: Call, body: bodies.ListVersions) -> Answer:
    table = TableRef.parse(body.table)
    versions = operations.list_versions(services, call, table, body.limit)
    return {"versions": [version_listed(version) for version in versions]}


def _schema_history(services: Services, call: Call, body: bodies.SchemaHistory) -> Answer:
    table = TableRef.parse(body.table)
    steps = operations.schema_history(services, call, table, body.limit)
    return {"history": [step_listed(step) for step in steps]}


def _list_tags(services: Services, call: Call, body: OfTable) -> Answer:
    tags = operations.list_tags(services, call, TableRef.parse(body.table))
    return {"tags": [tag_listed(tag) for tag in tags]}


def _restore(services: Services, call: Call, body: bodies.Restore) -> Answer:
    table = TableRef.parse(body.table)
    version = operations.snapshot_of(services, call, table, body.version, body.as_of)
    if version is None:
        raise InvalidRequest("Give the 'version' to restore, or a time as 'as_of'.")
    return committed(operations.restore(services, call, table, version))


def _create_tag(services: Services, call: Call, body: bodies.CreateTag) -> Answer:
    table = TableRef.parse(body.table)
    return tag_listed(operations.create_tag(services, call, table, body.name, body.version))


def _drop_tag(services: Services, call: Call, body: bodies.TagOf) -> Answer:
    operations.drop_tag(services, call, TableRef.parse(body.table), body.name)
    return {}


def _create_snapshot(services: Services, call: Call, body: CreateSnapshot) -> Answer:
    return snapshot_listed(body.create(services, call))


def _list_snapshots(services: Services, call: Call, body: bodies.Nothing) -> Answer:
    found = operations.list_snapshots(services, call)
    return {"snapshots": [snapshot_listed(one) for one in found]}


def _restore_snapshot(services: Services, call: Call, body: OfSnapshot) -> Answer:
    name = TableRef.parse(body.snapshot)
    return restored(operations.restore_snapshot(services, call, name))


def _drop_snapshot(services: Services, call: Call, body: OfSnapshot) -> Answer:
    operations.drop_snapshot(services, call, TableRef.parse(body.snapshot))
    return {}


def _update(services: Services, call: Call, body: bodies.Update) -> Answer:
    table = TableRef.parse(body.table)
    return rows_committed(
        operations.update(services, call, table, body.assignments, body.filter, body.all)
    )


def _delete(services: Services, call: Call, body: bodies.Delete) -> Answer:
    table = TableRef.parse(body.table)
    return rows_committed(operations.delete(services, call, table, body.filter, body.all))


def _optimize(services: Services, call: Call, body: bodies.Optimize) -> Answer:
    table = TableRef.parse(body.table) if body.table is not None else None
    return asdict(operations.optimize(services, call, table))


def _explain(services: Services, call: Call, body: Sql) -> Answer:
    return {"plan": operations.explain(services, call, sql_request(services, body))}


def _read_audit(services: Services, call: Call, body: ReadAudit) -> Answer:
    return body.page(services, call)


def _read_usage(services: Services, call: Call, body: ReadUsage) -> Answer:
    return body.report(services, call)


def _health(services: Services, call: Call, body: Body) -> Answer:
    return operations.health(services)


ACTIONS: dict[str, JsonAction] = {
    "create_table": JsonAction("Make a table.", bodies.CreateTable, _create_table),
    "describe_table": JsonAction(
        "Everything known about a table.", bodies.DescribeTable, _describe_table
    ),
    "drop_table": JsonAction("Remove a table.", bodies.DropTable, _drop_table),
    "undrop_table": JsonAction("Bring a removed table back.", OfTable, _undrop_table),
    "rename_table": JsonAction("Give a table another name.", bodies.RenameTable, _rename_table),
    "alter_table": JsonAction(
        "Change columns or properties, in one commit.", bodies.AlterTable, _alter_table
    ),
    "create_view": JsonAction("Keep a SELECT under a name.", CreateView, _create_view),
    "describe_view": JsonAction(
        "A view, what it says, and how fresh its rows are.", OfView, _describe_view
    ),
    "refresh_view": JsonAction(
        "Bring the rows of a materialised view up to date.", OfView, _refresh_view
    ),
    "drop_view": JsonAction("Remove a view.", DropView, _drop_view),
    "rename_view": JsonAction("Give a view another name.", RenameView, _rename_view),
    "list_views": JsonAction("The views of a catalog or a namespace.", ListViews, _list_views),
    "list_namespaces": JsonAction(
        "The namespaces of a catalog, or of all.", bodies.ListNamespaces, _list_namespaces
    ),
    "create_namespace": JsonAction("Make a namespace.", bodies.CreateNamespace, _create_namespace),
    "drop_namespace": JsonAction(
        "Remove an empty namespace.", bodies.DropNamespace, _drop_namespace
    ),
    "list_versions": JsonAction(
        "A table's history, newest first.", bodies.ListVersions, _list_versions
    ),
    "schema_history": JsonAction(
        "What became of a table's columns, newest first.", bodies.SchemaHistory, _schema_history
    ),
    "list_tags": JsonAction("A table's tags.", OfTable, _list_tags),
    "restore": JsonAction("Bring an old state back as a new commit.", bodies.Restore, _restore),
    "create_tag": JsonAction("Name a version.", bodies.CreateTag, _create_tag),
    "drop_tag": JsonAction("Remove a tag.", bodies.TagOf, _drop_tag),
    "create_snapshot": JsonAction(
        "Name what a table or a namespace is or was.", CreateSnapshot, _create_snapshot
    ),
    "list_snapshots": JsonAction("Named snapshots.", bodies.Nothing, _list_snapshots),
    "restore_snapshot": JsonAction(
        "Bring back all that a named snapshot holds, in one commit.",
        OfSnapshot,
        _restore_snapshot,
    ),
    "drop_snapshot": JsonAction("Let a named snapshot expire.", OfSnapshot, _drop_snapshot),
    "update": JsonAction("Set columns where a filter holds.", bodies.Update, _update),
    "delete": JsonAction("Delete rows where a filter holds.", bodies.Delete, _delete),
    "optimize": JsonAction("One round of housekeeping.", bodies.Optimize, _optimize),
    "explain": JsonAction("The plan of a SQL statement.", Sql, _explain),
    "read_audit": JsonAction("The audit trail, a page of it.", ReadAudit, _read_audit),
    "read_usage": JsonAction("What was used, by day.", ReadUsage, _read_usage),
    "health": JsonAction("What is mounted and answers.", bodies.Nothing, _health),
    **COMPUTED_ACTIONS,
    **INDEX_ACTIONS,
    **PROVIDER_ACTIONS,
    **WEBHOOK_ACTIONS,
    **JOB_ACTIONS,
    **IMPORT_ACTIONS,
}
