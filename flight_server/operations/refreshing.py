"""Materialised views: their rows brought up to date, with the rights that their maker has now.

A refresh reads one snapshot, writes what the view says of it, and in the same commit that it did:
killed at any moment it has happened whole or not at all, and of two at once one commits. Where all
that happened since the last one is that rows came to the one table that the view reads, and each
row of the view is made of one of these, only what the new rows make is added.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from contextlib import closing
from dataclasses import dataclass, replace

from flight_server.auth import Action
from flight_server.engines.base import SupportsTransactions, require
from flight_server.engines.sql import SupportsSql
from flight_server.engines.stream import Batches
from flight_server.engines.views import RecordsRefreshes, SupportsMaterializedViews
from flight_server.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unauthenticated,
    Unsupported,
)
from flight_server.model import (
    DEFAULT_CATALOG,
    Definition,
    IngestMode,
    IngestRequest,
    Kind,
    Refreshed,
    RefreshMode,
    SqlRequest,
    TableRef,
    table_not_found,
)
from flight_server.operations.authorise import known
from flight_server.operations.seen_through import (
    IN_THE_WAY,
    folded,
    named_in_from,
    parsed,
    unreadable_by,
    view_unreadable,
)
from flight_server.operations.services import Call, Services
from flight_server.operations.sources import Sources
from flight_server.operations.view_descriptions import no_view
from flight_server.query import is_row_by_row, is_volatile, rewrite


@dataclass(frozen=True)
class Refreshing:
    """What a refresh did: `mode` is None where the rows were up to date already.

    `commit` is the snapshot that it made, or the newest one; `rows` are those it wrote.
    """

    refreshed: Refreshed
    mode: RefreshMode | None
    commit: int
    rows: int = 0


@dataclass(frozen=True)
class Reading:
    """What a view says, as its maker sees it at a snapshot.

    `sql` reads all of it; `tables` are those whose changes concern it.
    """

    sql: str
    snapshot: int
    digest: str
    bytes: int
    tables: frozenset[TableRef]


def refresh_view(services: Services, call: Call, view: TableRef) -> Refreshing:
    """Brings the rows of a materialised view up to date. NotFound; Forbidden; Conflict.

    Whoever may insert into the view may ask for it, whatever may be read below it.
    """
    if call.transaction is not None:
        raise Unsupported("A view is refreshed in a commit of its own: COMMIT or ROLLBACK first.")
    found = known(services, call, view, Action.INSERT)
    match found.version.spec.kind:
        case Kind.TABLE:
            raise no_view(found.table)
        case Kind.VIEW:
            raise Unsupported(
                f"'{found.table}' holds no rows to refresh: it is run whenever it is read."
            )
    if found.version.spec.derived is not None:
        raise Unsupported(f"'{found.table}' is kept up to date by its engine, or stays as it is.")
    try:
        return services.refresher.refresh(services, call, found.table)
    except (InvalidRequest, Unsupported):
        definition = found.version.spec.definition
        if definition is not None and call.principal.id == definition.maker:
            raise
        # It may tell of rows that only the maker may see.
        raise Conflict(
            f"The view '{found.table}' cannot be refreshed: its SELECT fails. Its maker is told "
            "why.",
            code=ErrorCode.VIEW_UNREADABLE,
        ) from None


def refresh(
    services: Services, call: Call, view: TableRef, only_changed: bool = False
) -> Refreshing:
    """A refresh of a view, by whoever the call names as its author.

    With `only_changed` what changes by the clock alone counts for up to date.
    """
    engine = services.engine(DEFAULT_CATALOG)
    views = require(engine, SupportsMaterializedViews)
    author = call.author("refresh view", view)
    with require(engine, SupportsTransactions).transaction(author) as transaction:
        assert isinstance(transaction, RecordsRefreshes), "its engine knows of refreshes"
        definition = _definition(services, view)
        before = views.refreshed(view)
        reading = read_by_maker(services, call, view, definition, transaction.snapshot)
        if before is not None and is_current(services, before, reading, only_changed):
            return Refreshing(before, None, transaction.snapshot)
        added = _added(services, call, view, definition, before, reading)
        mode = RefreshMode.FULL if added is None else RefreshMode.INCREMENTAL
        sql = reading.sql if added is None else added
        with (
            services.admission.admitted(reading.bytes, call.cancellation),
            closing(rows_of_view(services, call, sql, reading.snapshot)) as rows,
        ):
            how = IngestMode.OVERWRITE if added is None else IngestMode.APPEND
            request = IngestRequest(how)
            done = transaction.ingest(view, request, rows, author, cancellation=call.cancellation)
        refreshed = Refreshed(reading.snapshot, dt.datetime.now(dt.UTC), mode, reading.digest)
        transaction.record_refresh(view, refreshed, before)
        return Refreshing(refreshed, mode, transaction.commit().snapshot, done.rows)


def read_by_maker(
    services: Services, call: Call, view: TableRef, definition: Definition, snapshot: int
) -> Reading:
    """What the view says at a snapshot, over what its maker may see now. Forbidden; Conflict."""
    if folded(view) in map(folded, tables_below(services, definition)):
        raise view_unreadable(view, "it reads itself, by way of others or at once.")
    maker = as_maker(services, call, view, definition)
    sources = Sources(services, maker, snapshot, through=(view,))
    try:
        body = rewrite(parsed(definition), sources)
    except IN_THE_WAY as error:
        raise unreadable_by(view, error) from None
    identity = (definition.sql, definition.columns, tuple(sources.identities))
    digest = hashlib.sha256(repr(identity).encode()).hexdigest()
    sql = f"SELECT * FROM {named_in_from(view, definition, body)}"
    return Reading(sql, snapshot, digest, sources.bytes, frozenset(sources.tables))


def tables_below(services: Services, definition: Definition) -> frozenset[TableRef]:
    """All that a view reads, at whatever distance, by the names that are there."""
    found: set[TableRef] = set()
    waiting = [definition]
    while waiting:
        for use in parsed(waiting.pop()).tables:
            try:
                below = services.engine(use.table.catalog).resolve(use.table)
            except NotFound:
                continue
            if below.table not in found:
                found.add(below.table)
                waiting += [below.spec.definition] if below.spec.definition else []
    return frozenset(found)


def is_current(
    services: Services, refreshed: Refreshed, reading: Reading, whatever_time: bool = False
) -> bool:
    """Whether the rows are still what a reading would give, `whatever_time` it is."""
    if refreshed.digest != reading.digest:
        return False
    if not whatever_time and is_volatile(reading.sql):
        return False
    views = require(services.engine(DEFAULT_CATALOG), SupportsMaterializedViews)
    since, until = refreshed.snapshot, reading.snapshot
    return not any(views.is_changed(table, since, until) for table in reading.tables)


def as_maker(services: Services, call: Call, view: TableRef, definition: Definition) -> Call:
    """The call with the rights that the view's maker has now. Forbidden."""
    try:
        maker = services.authenticator.principal_of(definition.maker)
    except Unauthenticated:
        raise Forbidden(
            f"The view '{view}' cannot be refreshed: whoever made it has no access any more. "
            "Have it made anew by somebody who has."
        ) from None
    if definition.scopes is not None:
        maker = replace(maker, scopes=frozenset(definition.scopes))
    return replace(call, principal=maker, session=None, transaction=None)


def _definition(services: Services, view: TableRef) -> Definition:
    """What a view that holds its rows says. NotFound where it went, or became something else."""
    found = services.engine(DEFAULT_CATALOG).resolve(view).spec
    if found.definition is None or found.kind is not Kind.MATERIALIZED_VIEW:
        raise table_not_found(view)
    return found.definition


def rows_of_view(services: Services, call: Call, sql: str, snapshot: int) -> Batches:
    """The rows of a SELECT that has been checked, at a snapshot, outside of any transaction."""
    engine = require(services.engine(DEFAULT_CATALOG), SupportsSql)
    return engine.run_sql(SqlRequest(sql, version=snapshot), call.cancellation)


def _added(
    services: Services,
    call: Call,
    view: TableRef,
    definition: Definition,
    before: Refreshed | None,
    reading: Reading,
) -> str | None:
    """A SELECT of the rows that have come to the view; None where all have to be computed."""
    statement = parsed(definition)
    if before is None or before.digest != reading.digest or is_volatile(reading.sql):
        return None
    if not is_row_by_row(statement):
        return None
    (use,) = statement.tables
    maker = as_maker(services, call, view, definition)
    source = Sources(services, maker, reading.snapshot, through=(view,))(use)
    if source.query is not None or source.table not in reading.tables:
        return None
    views = require(services.engine(DEFAULT_CATALOG), SupportsMaterializedViews)
    added = views.added_rows(source.table, before.snapshot, reading.snapshot)
    if added is None:
        return None
    schema = services.engine(DEFAULT_CATALOG).resolve(source.table, reading.snapshot).schema
    columns = tuple(schema.names) if source.columns is None else source.columns
    # Named, so that it stands where the table stood, as a part of it would.
    only_added = replace(source, version=None, columns=columns, query=added)
    body = rewrite(statement, lambda _: only_added)
    return f"SELECT * FROM {named_in_from(view, definition, body)}"
