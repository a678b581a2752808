"""Views, kept as DuckLake's own beside our specs of them: plain DuckDB reads them as well.

DuckLake's copy is for others. Here a view is never run under its name: what it says is checked
and rewritten for each who reads it.
"""

from __future__ import annotations

import datetime as dt

from flight_server.engines.lake import tables
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.instance import METADATA, Instance
from flight_server.engines.lake.registry import Registry
from flight_server.errors import AlreadyExists, NotFound
from flight_server.model import (
    Kind,
    TableInfo,
    TableRef,
    TableSpec,
    TableVersion,
    Version,
    check_schema,
    quoted,
    table_not_found,
)


def create_view(
    transaction: WriteTransaction,
    registry: Registry,
    view: TableRef,
    spec: TableSpec,
    sql: str,
    replaces: bool,
) -> None:
    """AlreadyExists; NotFound (namespace_not_found)."""
    tables.check_namespace(transaction, view.namespace)
    verb = "CREATE"
    try:
        known = registry.resolve(view, transaction=transaction)
    except NotFound:
        pass
    else:
        if not replaces or known.spec.kind is not Kind.VIEW:
            raise AlreadyExists(f"{tables.named(known)} exists already.")
        registry.guard(transaction, known)
        verb, view = "CREATE OR REPLACE", known.table
    check_schema(spec.schema)
    names = ", ".join(quoted(name) for name in spec.schema.names)
    transaction.run(f"{verb} VIEW {view.sql} ({names}) AS {sql}")
    registry.put(transaction, view, spec)


def described(instance: Instance, found: TableVersion) -> TableInfo:
    """A view with what is known of it without reading it."""
    known = versions(instance, found.table, found.snapshot)
    now = dt.datetime.now(dt.UTC)
    return TableInfo(
        found.table,
        found.spec,
        found.snapshot,
        rows=-1,
        bytes=-1,
        files=-1,
        versions=len(known),
        created_at=known[-1].committed_at if known else now,
        changed_at=known[0].committed_at if known else now,
    )


def versions(
    instance: Instance, view: TableRef, until: int, limit: int | None = None
) -> list[Version]:
    """The snapshots that gave the name another meaning as a view's, newest first."""
    rows = instance.rows(_VERSIONS, [view.name, view.namespace, until])
    listed = [
        Version(snapshot, moment, ("altered" if older else "created",), author, reason)
        for snapshot, moment, author, reason, older in rows
    ]
    return listed if limit is None else listed[:limit]


_VERSIONS = f"""
SELECT snapshot_id, snapshot_time, coalesce(author, ''), coalesce(commit_message, ''),
       row_number() OVER (ORDER BY snapshot_id) > 1
FROM {METADATA}.ducklake_view v JOIN {METADATA}.ducklake_schema s USING (schema_id)
JOIN {METADATA}.ducklake_snapshot ON snapshot_id = v.begin_snapshot
JOIN {METADATA}.ducklake_snapshot_changes USING (snapshot_id)
WHERE lower(v.view_name) = lower($1) AND lower(s.schema_name) = lower($2) AND snapshot_id <= $3
ORDER BY snapshot_id DESC
"""


def rename_view(
    transaction: WriteTransaction, registry: Registry, view: TableRef, to: TableRef
) -> None:
    """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
    found = registry.resolve(view, transaction=transaction)
    to = tables.checked_name(transaction, registry, found, to)
    transaction.run(f"ALTER VIEW {found.table.sql} RENAME TO {quoted(to.name)}")
    registry.remove(transaction, found.table)
    registry.put(transaction, to, found.spec)


def drop_view(transaction: WriteTransaction, registry: Registry, view: TableRef) -> None:
    """NotFound."""
    found = registry.resolve(view, transaction=transaction)
    if found.spec.kind is not Kind.VIEW:
        raise table_not_found(view)
    transaction.run(f"DROP VIEW {found.table.sql}")
    registry.remove(transaction, found.table)
