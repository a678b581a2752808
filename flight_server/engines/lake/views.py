"""Views, kept as DuckLake's own beside our specs of them: plain DuckDB reads them as well.

DuckLake's copy is for others. Here a view is never run under its name: what it says is checked
and rewritten for each who reads it.
"""

from __future__ import annotations

from flight_server.engines.lake import tables
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.registry import Registry
from flight_server.errors import AlreadyExists, NotFound
from flight_server.model import Kind, TableRef, TableSpec, quoted, table_not_found


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
    spec = tables.checked_spec(spec)
    names = ", ".join(quoted(name) for name in spec.schema.names)
    transaction.run(f"{verb} VIEW {view.sql} ({names}) AS {sql}")
    registry.put(transaction, view, spec)


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
