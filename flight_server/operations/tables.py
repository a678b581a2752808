"""Namespaces and tables: list, describe, create, change, remove, bring back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa

from flight_server.auth import Action, CatalogRef
from flight_server.engines.base import (
    SupportsNamespaces,
    SupportsSchemaChange,
    SupportsTables,
    SupportsUndrop,
    require,
)
from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unsupported,
)
from flight_server.model import (
    DEFAULT_NAMESPACE,
    RESERVED_NAMESPACES,
    TEMPORARY_CATALOG,
    Commit,
    Kind,
    NamespaceRef,
    SchemaChange,
    TableInfo,
    TableRef,
    TableSpec,
    check_schema,
)
from flight_server.operations.authorise import (
    Permitted,
    hide_internal,
    known,
    may_in_namespace,
    may_on_namespace,
    permitted,
    visible_namespaces,
    visible_tables,
    without_hidden,
)
from flight_server.operations.derived import drop_with, visible_derived
from flight_server.operations.services import Call, Services, engine_of
from flight_server.operations.table_rules import checked_changes
from flight_server.operations.together import in_one_commit
from flight_server.operations.view_descriptions import (
    described_view,
    no_table,
    with_visible_definition,
)
from flight_server.query import check_literal, check_rule


def list_catalogs(services: Services, call: Call) -> list[str]:
    """The catalogs that the principal may know of, sorted; `temp` while the session has tables."""
    may = services.access.may
    names = [
        name
        for name in services.engines
        if may(call.principal, Action.READ, CatalogRef(name)).visible
    ]
    temporary = call.session.temporary if call.session is not None else None
    if temporary is not None and temporary.tables(DEFAULT_NAMESPACE):
        names.append(TEMPORARY_CATALOG)
    return sorted(names)


def list_namespaces(
    services: Services, call: Call, catalog: str | None = None
) -> list[NamespaceRef]:
    """The namespaces that the principal may know of, sorted; of all catalogs, or of one."""
    catalogs = list(services.engines) if catalog is None else [catalog]
    return [found for one in catalogs for found in visible_namespaces(services, call, one)]


def ensure_namespace(services: Services, call: Call, namespace: NamespaceRef) -> Commit | None:
    """Makes a namespace; None where there is one of the name. As `create_namespace`."""
    try:
        return create_namespace(services, call, namespace)
    except AlreadyExists:
        return None


def create_namespace(services: Services, call: Call, namespace: NamespaceRef) -> Commit:
    """AlreadyExists; InvalidRequest (invalid_name); Forbidden."""
    check_namespace_name(namespace)
    may_on_namespace(services, call, namespace, Action.CREATE)
    engine = require(engine_of(services, call, namespace.catalog), SupportsNamespaces)
    return engine.create_namespace(namespace, call.author("create namespace", namespace))


def drop_namespace(services: Services, call: Call, namespace: NamespaceRef) -> Commit:
    """NotFound; Conflict while tables are in it; Forbidden."""
    may_in_namespace(services, call, namespace, Action.DROP)
    engine = require(engine_of(services, call, namespace.catalog), SupportsNamespaces)
    return engine.drop_namespace(namespace, call.author("drop namespace", namespace))


def table_specs(
    services: Services,
    call: Call,
    namespace: NamespaceRef,
    wanted: Callable[[str], bool] = lambda name: True,
) -> list[tuple[TableRef, TableSpec]]:
    """The tables of a namespace that the principal may know of, each as far as it may be read.

    One that may be known of and not read is there without columns. `wanted` says of a table's
    name whether it is asked for. What somebody drops meanwhile is left out. Nothing is counted:
    thousands of tables are no trouble.
    """
    found = []
    with suppress(NotFound):
        for table in visible_tables(services, call, namespace.catalog, namespace.name):
            if wanted(table.name):
                with suppress(NotFound):
                    found.append((table, _readable_spec(services, call, table)))
    return found


def _readable_spec(services: Services, call: Call, table: TableRef) -> TableSpec:
    try:
        allowed = permitted(services, call, table, Action.READ)
    except (Forbidden, Conflict):
        return TableSpec(pa.schema([]))
    spec = allowed.version.spec
    if len(allowed.columns) == len(spec.schema):
        return spec
    narrowed: TableSpec = without_hidden(spec, allowed.columns)
    return narrowed


def describe_table(
    services: Services, call: Call, table: TableRef, version: int | None = None
) -> TableInfo:
    """The table as far as the principal may read it. NotFound; Forbidden.

    Numbers of rows and bytes are the whole table's, so only whole tables show them.
    """
    allowed = known(services, call, table, Action.READ, version)
    if allowed.version.spec.kind is Kind.VIEW:
        return described_view(services, call, allowed, version)
    info = allowed.engine.describe(allowed.table, version)
    spec = with_visible_definition(services, call, allowed, info.spec, version)
    spec = visible_derived(services, call, allowed, spec)
    return as_far_as_permitted(allowed, replace(info, spec=spec))


def as_far_as_permitted(allowed: Permitted, info: TableInfo) -> TableInfo:
    """What of a table's description may be told."""
    if allowed.whole:
        return info
    spec = without_hidden(info.spec, allowed.columns)
    return replace(info, spec=spec, rows=-1, bytes=-1, files=-1)


def ensure_table(services: Services, call: Call, table: TableRef, spec: TableSpec) -> Commit | None:
    """Makes a table; None where there is one that the principal may read. As `create_table`."""
    if _is_readable(services, call, table):
        return None
    try:
        return create_table(services, call, table, spec)
    except AlreadyExists:
        if _is_readable(services, call, table):
            return None
        raise


def create_table(services: Services, call: Call, table: TableRef, spec: TableSpec) -> Commit:
    """AlreadyExists; NotFound (namespace_not_found); InvalidRequest; Forbidden."""
    hide_internal(table)
    may_in_namespace(services, call, NamespaceRef(table.catalog, table.namespace), Action.CREATE)
    engine = require(engine_of(services, call, table.catalog), SupportsTables)
    return engine.create_table(table, checked_spec(spec), call.author("create table", table))


def rename_table(services: Services, call: Call, table: TableRef, to: TableRef) -> Commit:
    """NotFound; AlreadyExists; Forbidden."""
    hide_internal(to)
    allowed = permitted(services, call, table, Action.ALTER)
    may_in_namespace(services, call, NamespaceRef(to.catalog, to.namespace), Action.CREATE)
    check_table(allowed)
    check_same_catalog(allowed.table, to)
    engine = require(allowed.engine, SupportsTables)
    author = call.author("rename table", allowed.table, to=str(to))
    return engine.rename_table(allowed.table, to, author)


def _is_readable(services: Services, call: Call, table: TableRef) -> bool:
    """Whether there is a table that the principal may read."""
    try:
        permitted(services, call, table, Action.READ)
    except (NotFound, Forbidden):
        return False
    return True


def change_table(
    services: Services,
    call: Call,
    table: TableRef,
    changes: Sequence[SchemaChange],
    to: TableRef | None = None,
) -> Commit:
    """Alters and renames a table, in one commit. Errors as of both."""
    if to is None:
        return alter_table(services, call, table, changes)
    if not changes:
        return rename_table(services, call, table, to)

    def work(inside: Call) -> Commit:
        engine, name, checked = _alterable(services, inside, table, changes)
        # In this order: see the lake's definitions. Who may alter it may do so by either name.
        rename_table(services, inside, name, to)
        author = inside.author("alter table", to)
        return engine.alter_table(replace(to, namespace=name.namespace), checked, author)

    return in_one_commit(services, call, table.catalog, "alter table", work)


def drop_table(services: Services, call: Call, table: TableRef, cascade: bool = False) -> Commit:
    """NotFound; Forbidden; Conflict where views or snapshots are made of it.

    With `cascade` these are dropped with it, where its engine keeps such.
    """
    allowed = permitted(services, call, table, Action.DROP)
    check_table(allowed)
    author = call.author("drop table", allowed.table)
    return drop_with(services, call, allowed, author, cascade)


def undrop_table(services: Services, call: Call, table: TableRef) -> Commit:
    """The table as it was before it was dropped. NotFound; AlreadyExists; Forbidden."""
    hide_internal(table)
    may_in_namespace(services, call, NamespaceRef(table.catalog, table.namespace), Action.CREATE)
    engine = require(engine_of(services, call, table.catalog), SupportsUndrop)
    return engine.undrop_table(table, call.author("undrop table", table))


def alter_table(
    services: Services, call: Call, table: TableRef, changes: Sequence[SchemaChange]
) -> Commit:
    """All changes in one commit, in their order. NotFound; InvalidRequest; Forbidden."""
    engine, name, checked = _alterable(services, call, table, changes)
    return engine.alter_table(name, checked, call.author("alter table", name))


def _alterable(
    services: Services, call: Call, table: TableRef, changes: Sequence[SchemaChange]
) -> tuple[SupportsSchemaChange, TableRef, list[SchemaChange]]:
    """Who alters the table, its true name, and the changes once they are checked."""
    if not changes:
        raise InvalidRequest("'changes' is empty: name at least one change.")
    allowed = permitted(services, call, table, Action.ALTER)
    check_table(allowed)
    checked = checked_changes(services, call, allowed, changes)
    return require(allowed.engine, SupportsSchemaChange), allowed.table, checked


def check_table(allowed: Permitted) -> None:
    """InvalidRequest where it is a view; one that its engine keeps counts for a table as well."""
    spec = allowed.version.spec
    if spec.kind is not Kind.TABLE and spec.derived is None:
        raise no_table(allowed.table)


def check_same_catalog(table: TableRef, to: TableRef) -> None:
    """Unsupported where the table would have to become another engine's."""
    if table.catalog != to.catalog:
        raise Unsupported(
            f"'{table}' cannot move to '{to}': a table keeps its catalog when renamed."
        )


def check_namespace_name(namespace: NamespaceRef) -> None:
    """InvalidRequest (invalid_name) where SQL could not tell it from something of its own."""
    if namespace.name.lower() in RESERVED_NAMESPACES:
        raise InvalidRequest(
            f"The namespace '{namespace}' is one that SQL keeps for itself. Choose another name.",
            code=ErrorCode.INVALID_NAME,
        )


def checked_spec(spec: TableSpec) -> TableSpec:
    """The spec with its defaults and checks checked. InvalidRequest names what cannot be."""
    check_schema(spec.schema)
    return replace(
        spec,
        defaults={k: check_literal(v) for k, v in spec.defaults.items()},
        checks={k: check_rule(v, spec.schema.names) for k, v in spec.checks.items()},
    )


def spec_of(schema: pa.Schema, key: tuple[str, ...] = ()) -> TableSpec:
    """The spec of a table made from a stream's schema."""
    return checked_spec(TableSpec(schema, key=key))
