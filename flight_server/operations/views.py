"""Views: made, replaced, listed, renamed and dropped. How one is read is told in `seen_through`."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import SupportsTables, require
from flight_server.engines.derived import SupportsDerivedTables
from flight_server.engines.views import SupportsViews
from flight_server.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unsupported,
)
from flight_server.model import (
    TEMPORARY_CATALOG,
    Commit,
    Definition,
    Kind,
    NamespaceRef,
    TableInfo,
    TableRef,
    TableSpec,
    quoted,
)
from flight_server.operations.authorise import hide_internal, is_there, known, may_in_namespace
from flight_server.operations.derived import drop_with, told_dependents
from flight_server.operations.listings import list_tables
from flight_server.operations.seen_through import folded, parsed, view_schema
from flight_server.operations.services import Call, Services, engine_of
from flight_server.operations.sources import Sources, located, version_of
from flight_server.operations.tables import check_same_catalog, describe_table
from flight_server.operations.view_descriptions import no_view
from flight_server.query import Source, Statement, TableUse, rewrite, width_of


def create_view(
    services: Services,
    call: Call,
    view: TableRef,
    sql: str,
    columns: tuple[str, ...] = (),
    replaces: bool = False,
    comment: str = "",
) -> Commit:
    """Keeps a SELECT under a name. AlreadyExists; InvalidRequest; Forbidden; and those of `query`.

    With `replaces` a view of the name is replaced, for which one must be allowed to drop it.
    """
    check_target(services, call, view)
    if isinstance(engine_of(services, call, view.catalog), SupportsDerivedTables):
        raise Unsupported(
            f"A view in the catalog '{view.catalog}' is of one table and no SELECT: name that as "
            "'of', by the action create_view or over HTTP."
        )
    replaces = replaces and is_there(services, call, view, Action.DROP)
    definition = defined(call, sql, columns)
    schema, statement = checked_definition(services, call, view, definition)
    spec = TableSpec(schema, comment=comment, definition=definition)
    engine = require(engine_of(services, call, view.catalog), SupportsViews)
    plain = _for_others(services, call, view, definition, statement, schema)
    return engine.create_view(view, spec, plain, call.author("create view", view), replaces)


def rename_view(services: Services, call: Call, view: TableRef, to: TableRef) -> Commit:
    """NotFound; AlreadyExists; Forbidden."""
    hide_internal(to)
    found = known(services, call, view, Action.ALTER)
    may_in_namespace(services, call, NamespaceRef(to.catalog, to.namespace), Action.CREATE)
    check_same_catalog(found.table, to)
    author = call.author("rename view", found.table, to=str(to))
    match found.version.spec.kind:
        case Kind.TABLE:
            raise no_view(found.table)
        case Kind.VIEW:
            return require(found.engine, SupportsViews).rename_view(found.table, to, author)
    return require(found.engine, SupportsTables).rename_table(found.table, to, author)


def drop_view(services: Services, call: Call, view: TableRef, cascade: bool = False) -> Commit:
    """NotFound; Forbidden; InvalidRequest where it is a table; Conflict as of `drop_table`."""
    found = known(services, call, view, Action.DROP)
    author = call.author("drop view", found.table)
    match found.version.spec.kind:
        case Kind.TABLE:
            raise no_view(found.table)
        case Kind.VIEW:
            if cascade:
                raise Unsupported("Nothing is dropped with a SELECT: leave 'cascade' out.")
            return require(found.engine, SupportsViews).drop_view(found.table, author)
    return drop_with(services, call, found, author, cascade)


def describe_view(services: Services, call: Call, view: TableRef) -> TableInfo:
    """The view, as `describe_table`. InvalidRequest where it is a table."""
    info = describe_table(services, call, view)
    if info.spec.kind is Kind.TABLE:
        raise no_view(info.table)
    return info


def list_views(
    services: Services, call: Call, catalog: str | None = None, namespace: str | None = None
) -> list[TableRef]:
    """The views that the principal may know of, sorted; everywhere, or in one place."""
    return [
        table
        for table in list_tables(services, call, catalog, namespace)
        if kind_of_table(services, call, table) is not Kind.TABLE
    ]


def views_of(services: Services, call: Call, table: TableRef) -> list[TableRef]:
    """What is made of a table, a view or a snapshot, as far as the principal is told of that.

    Where the engine keeps the rows of views, that is all that follows from it, directly or not;
    in the lake the views whose SELECT names it. NotFound.
    """
    try:
        found = known(services, call, table, Action.READ)
    except Forbidden:
        return []
    if isinstance(found.engine, SupportsDerivedTables):
        return told_dependents(services, call, found.table, found.engine)
    return [
        view
        for view in list_views(services, call, found.table.catalog)
        if folded(found.table) in _named_in(services, call, view)
    ]


def _named_in(services: Services, call: Call, view: TableRef) -> set[tuple[str, ...]]:
    """What a view's SELECT names, where it is told what it says."""
    try:
        definition = describe_view(services, call, view).spec.definition
    except (Conflict, Forbidden, NotFound):
        return set()
    if definition is None or not definition.sql:
        return set()
    return {folded(use.table) for use in parsed(definition).tables}


def kind_of_table(services: Services, call: Call, table: TableRef) -> Kind:
    """What bears the name; a table where nothing does any more."""
    try:
        return engine_of(services, call, table.catalog).resolve(table).spec.kind
    except NotFound:
        return Kind.TABLE


def check_target(services: Services, call: Call, view: TableRef) -> None:
    """Forbidden; NotFound; Unsupported where a view cannot be made under the name."""
    hide_internal(view)
    if TEMPORARY_CATALOG in (view.catalog.lower(), view.namespace.lower()):
        raise Unsupported(
            "Views are not temporary: make one in a namespace, or name the query by WITH."
        )
    may_in_namespace(services, call, NamespaceRef(view.catalog, view.namespace), Action.CREATE)


def defined(call: Call, sql: str, columns: tuple[str, ...] = ()) -> Definition:
    """The definition, with its names as the call's session completes them."""
    if call.session is None:
        return Definition(sql, columns=columns)
    return Definition(sql, call.session.catalog, call.session.namespace, columns)


def checked_definition(
    services: Services, call: Call, view: TableRef, definition: Definition
) -> tuple[pa.Schema, Statement]:
    """The columns of a view that is to be, for its maker. InvalidRequest; and those of `query`."""
    statement = parsed(definition)
    for use in statement.tables:
        if located(call, use).catalog == TEMPORARY_CATALOG:
            raise Unsupported(
                f"'{use.table.name}' is a temporary table, and a view outlives it. Copy it into a "
                "table first."
            )
    if definition.columns and width_of(statement) != len(definition.columns):
        raise InvalidRequest(
            f"The view names {len(definition.columns)} columns: its SELECT must list as many, "
            "one by one and without a *.",
            code=ErrorCode.INVALID_SQL,
        )
    inside = replace(call, session=None)
    body = rewrite(statement, Sources(services, inside, None, through=(view,)))
    return view_schema(services, inside, view, definition, body), statement


def _for_others(
    services: Services,
    call: Call,
    view: TableRef,
    definition: Definition,
    statement: Statement,
    schema: pa.Schema,
) -> str:
    """What the view says, for who opens the lake without us: over the tables as they are."""

    def plain(use: TableUse) -> Source:
        found = engine_of(services, call, use.table.catalog).resolve(use.table)
        version = version_of(services, call, use, None)
        if version is not None and found.spec.kind is Kind.VIEW:
            raise Unsupported(
                f"A view cannot read an older version of the view '{found.table}': write the "
                "SELECT of that with AT behind its tables."
            )
        return Source(found.table, version=version)

    body = rewrite(statement, plain)
    if definition.columns:
        return body
    names = ", ".join(quoted(name) for name in schema.names)
    return f"SELECT {names} FROM ({body}) AS {quoted(view.name)}"
