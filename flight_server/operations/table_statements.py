"""CREATE, DROP and ALTER: the operations on tables and namespaces, as SQL words them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import (
    SupportsIngest,
    SupportsTables,
    require,
)
from flight_server.engines.history import SupportsTimeline
from flight_server.engines.sql import SupportsSql, SupportsSqlWrites
from flight_server.errors import (
    AlreadyExists,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unsupported,
)
from flight_server.model import (
    DEFAULT_CATALOG,
    DEFAULT_NAMESPACE,
    HIDDEN_PREFIX,
    TEMPORARY_CATALOG,
    Commit,
    IngestRequest,
    Kind,
    NamespaceRef,
    SqlRequest,
    TableRef,
    TableSpec,
)
from flight_server.operations import tables, views
from flight_server.operations.authorise import known, may_in_namespace, permitted
from flight_server.operations.foreign import is_foreign, not_written_by_sql
from flight_server.operations.query import authorised, rows_for, used_parameters
from flight_server.operations.services import Call, Services, engine_of
from flight_server.operations.sources import located
from flight_server.operations.table_rules import refuse_known_checks
from flight_server.operations.together import in_one_commit, unless_missing
from flight_server.query import (
    AlterTable,
    CreateNamespace,
    CreateTable,
    CreateView,
    DropNamespace,
    DropTable,
    DropView,
    RenameTable,
    RenameView,
    Statement,
    Write,
)


def run(services: Services, call: Call, statement: Write, request: SqlRequest) -> Commit | None:
    """The commit of a statement about tables; None where there was nothing to do."""
    match statement:
        case CreateTable():
            return create_table(services, call, statement, request)
        case DropTable():
            return drop_table(services, call, statement)
        case AlterTable():
            return alter_table(services, call, statement)
        case RenameTable():
            return rename_table(services, call, statement)
        case CreateView():
            return create_view(services, call, statement)
        case DropView():
            return _drop_view(services, call, statement)
        case RenameView():
            return _rename_view(services, call, statement)
        case CreateNamespace():
            return create_namespace(services, call, statement)
        case DropNamespace():
            return drop_namespace(services, call, statement)
    raise AssertionError(f"{statement!r} is no statement about tables")


def create_table(
    services: Services, call: Call, statement: CreateTable, request: SqlRequest
) -> Commit | None:
    """Makes a table from columns or from the answer of a query, in one commit."""
    table = statement.target.table
    is_temporary = statement.temporary or TEMPORARY_CATALOG in (table.catalog, table.namespace)
    if statement.query is not None and table.catalog in services.engines and is_foreign(table):
        raise not_written_by_sql(table)
    if is_temporary:
        table = TableRef(TEMPORARY_CATALOG, DEFAULT_NAMESPACE, table.name)
        open_temporary(services, call)
    elif statement.if_not_exists and _is_there(services, call, table):
        return None
    if statement.query is None:
        spec, source = _spec(statement), None
    else:
        request = replace(
            request,
            parameters=used_parameters(statement.query, request.parameters),
            version=_snapshot_outside(services, call, statement.query, table),
        )
        source, _ = authorised(services, call, statement.query, request)
        spec = TableSpec(_query_schema(services, call, source))
    try:
        if source is None and not statement.or_replace:
            return tables.create_table(services, call, table, spec)
        return in_one_commit(
            services,
            call,
            table.catalog,
            "create table",
            lambda inside: _make(services, inside, statement, table, spec, source),
        )
    except AlreadyExists:
        if statement.if_not_exists:
            return None
        raise


def drop_table(services: Services, call: Call, statement: DropTable) -> Commit | None:
    """Drops a table, a temporary one before another of its name."""
    table = located(call, statement.target)
    return unless_missing(statement.if_exists, lambda: tables.drop_table(services, call, table))


def alter_table(services: Services, call: Call, statement: AlterTable) -> Commit | None:
    """Changes columns or properties of a table."""
    table = located(call, statement.target)

    def work() -> Commit | None:
        if table.catalog == TEMPORARY_CATALOG:
            allowed = permitted(services, call, table, Action.ALTER)
            raise Unsupported(
                f"The temporary table '{allowed.table.name}' can be renamed and not altered: make "
                "it anew, as in CREATE OR REPLACE TEMP TABLE t AS SELECT a, 0 AS b FROM t."
            )
        try:
            refuse_known_checks(services, call, table, statement.changes)
            return tables.alter_table(services, call, table, statement.changes)
        except PixelflightError as error:
            known = (ErrorCode.ALREADY_EXISTS, ErrorCode.COLUMN_NOT_FOUND, ErrorCode.NOT_FOUND)
            if statement.if_column and error.code in known:
                return None
            raise

    return unless_missing(statement.if_exists, work)


def rename_table(services: Services, call: Call, statement: RenameTable) -> Commit | None:
    """Gives a table another name in its namespace."""
    table = located(call, statement.target)
    to = replace(table, name=statement.new_name)
    return unless_missing(
        statement.if_exists, lambda: tables.rename_table(services, call, table, to)
    )


def create_view(services: Services, call: Call, statement: CreateView) -> Commit | None:
    """Keeps a SELECT under a name."""
    view = statement.target.table
    if statement.if_not_exists and _is_there(services, call, view):
        return None
    return views.create_view(
        services, call, view, statement.sql, statement.columns, statement.or_replace
    )


def _drop_view(services: Services, call: Call, statement: DropView) -> Commit | None:
    view = statement.target.table
    return unless_missing(statement.if_exists, lambda: views.drop_view(services, call, view))


def _rename_view(services: Services, call: Call, statement: RenameView) -> Commit | None:
    view = statement.target.table
    to = replace(view, name=statement.new_name)
    return unless_missing(statement.if_exists, lambda: views.rename_view(services, call, view, to))


def create_namespace(services: Services, call: Call, statement: CreateNamespace) -> Commit | None:
    """Makes a namespace."""
    try:
        return tables.create_namespace(services, call, statement.namespace)
    except AlreadyExists:
        if statement.if_not_exists:
            return None
        raise


def drop_namespace(services: Services, call: Call, statement: DropNamespace) -> Commit | None:
    """Drops a namespace; with CASCADE its tables go too, all in one commit."""
    namespace = statement.namespace

    def work() -> Commit:
        if not statement.cascade:
            return tables.drop_namespace(services, call, namespace)
        may_in_namespace(services, call, namespace, Action.DROP)
        return in_one_commit(
            services,
            call,
            namespace.catalog,
            "drop namespace",
            lambda inside: _drop_all(services, inside, namespace),
        )

    return unless_missing(statement.if_exists, work)


def _drop_all(services: Services, call: Call, namespace: NamespaceRef) -> Commit:
    for table in engine_of(services, call, namespace.catalog).tables(namespace.name):
        is_table = views.kind_of_table(services, call, table) is Kind.TABLE
        drop = tables.drop_table if is_table else views.drop_view
        drop(services, call, table)
    return tables.drop_namespace(services, call, namespace)


def open_temporary(services: Services, call: Call) -> None:
    """Makes the session's temporary tables ready. InvalidRequest where there is no session."""
    if call.session is None:
        raise InvalidRequest("Temporary tables need a session, and this call has none.")
    call.session.temporary_tables(services.engine(DEFAULT_CATALOG))


def _make(
    services: Services,
    call: Call,
    statement: CreateTable,
    table: TableRef,
    spec: TableSpec,
    source: SqlRequest | None,
) -> Commit:
    replaces = statement.or_replace and _is_there(services, call, table)
    if source is None or not statement.with_data:
        if replaces:
            tables.drop_table(services, call, table)
        return tables.create_table(services, call, table, spec)
    if not replaces:
        return _filled(services, call, table, spec, source)
    old = permitted(services, call, table, Action.DROP)
    engine = require(old.engine, SupportsTables)
    # The query may read the old table: until it has, the new one goes by a name of its own.
    aside = replace(table, name=f"{HIDDEN_PREFIX}_{uuid4().hex}")
    made = _filled(services, call, aside, spec, source)
    engine.drop_table(old.table, call.author("drop table", old.table))
    engine.rename_table(aside, table, call.author("create table", table))
    return made


def _filled(
    services: Services, call: Call, table: TableRef, spec: TableSpec, source: SqlRequest
) -> Commit:
    """A new table with the rows of a query, or none: a transaction may outlive the error."""
    source = rows_for(services, call, table, source)
    tables.create_table(services, call, table, spec)
    try:
        return _inserted(services, call, table, spec, source)
    except BaseException:
        engine = require(engine_of(services, call, table.catalog), SupportsTables)
        with suppress(PixelflightError):
            engine.drop_table(table, call.author("create table", table))
        raise


def _inserted(
    services: Services, call: Call, table: TableRef, spec: TableSpec, source: SqlRequest
) -> Commit:
    engine, author = engine_of(services, call, table.catalog), call.author("create table", table)
    if source.version is None:
        return require(engine, SupportsSqlWrites).insert_rows(
            table, spec.schema.names, source, author, call.cancellation
        )
    reading = require(services.engine(DEFAULT_CATALOG), SupportsSql)
    rows = reading.run_sql(source, call.cancellation)
    try:
        return require(engine, SupportsIngest).ingest(
            table, IngestRequest(), rows, author, cancellation=call.cancellation
        )
    finally:
        rows.close()


def _snapshot_outside(
    services: Services, call: Call, query: Statement, table: TableRef
) -> int | None:
    """The snapshot at which a query of older versions is read, None where it names none.

    The transaction that makes the table has written, and reads no older versions itself.
    """
    is_past = any(use.version is not None or use.as_of is not None for use in query.tables)
    if not is_past or call.transaction is not None or table.catalog == TEMPORARY_CATALOG:
        return None
    return require(services.engine(DEFAULT_CATALOG), SupportsTimeline).snapshot()


def _spec(statement: CreateTable) -> TableSpec:
    schema = pa.schema(
        [pa.field(one.name, one.type, nullable=one.nullable) for one in statement.columns]
    )
    defaults = {one.name: one.default for one in statement.columns if one.default is not None}
    return TableSpec(schema, key=statement.key, defaults=defaults, checks=dict(statement.checks))


def _query_schema(services: Services, call: Call, source: SqlRequest) -> pa.Schema:
    engine = require(engine_of(services, call, DEFAULT_CATALOG), SupportsSql)
    return engine.sql_schema(source)


def _is_there(services: Services, call: Call, table: TableRef) -> bool:
    """Whether the principal can see such a table."""
    try:
        known(services, call, table, Action.READ)
    except NotFound:
        return False
    except Forbidden:
        return True
    return True
