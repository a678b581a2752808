"""Materialised views: made with their first rows, and what is known of how fresh they are."""

from __future__ import annotations

import datetime as dt
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from flight_server.auth import Action
from flight_server.engines.base import Engine, SupportsTables, SupportsTransactions, require
from flight_server.engines.views import (
    RecordsRefreshes,
    SupportsMaterializedViews,
    SupportsViews,
)
from flight_server.errors import AlreadyExists, InvalidRequest, PixelflightError, Unsupported
from flight_server.model import (
    DEFAULT_CATALOG,
    Commit,
    IngestRequest,
    Kind,
    Refresh,
    Refreshed,
    RefreshMode,
    TableInfo,
    TableRef,
    TableSpec,
)
from flight_server.operations.authorise import Permitted, is_there, known
from flight_server.operations.refreshing import is_current, read_by_maker, rows_of_view
from flight_server.operations.services import Call, Services
from flight_server.operations.versions import newest_snapshot
from flight_server.operations.views import check_target, checked_definition, defined
from flight_server.query import is_volatile


@dataclass(frozen=True)
class Freshness:
    """How fresh the rows of a materialised view are.

    `error` says why they were not refreshed the last time, to its maker in full.
    """

    refresh: Refresh
    refreshed: Refreshed | None
    is_stale: bool
    error: str | None = None
    failed_at: dt.datetime | None = None


def create_materialized_view(
    services: Services,
    call: Call,
    view: TableRef,
    sql: str,
    columns: tuple[str, ...] = (),
    replaces: bool = False,
    comment: str = "",
    refresh: Refresh = Refresh.ON_DEMAND,
) -> Commit:
    """A table of what a SELECT says, that is to be refreshed. Errors as `create_view`.

    It is made with the rights of the call's principal, and so it is refreshed.
    """
    if call.transaction is not None:
        raise Unsupported("Such a view is made in a commit of its own: COMMIT or ROLLBACK first.")
    if view.catalog != DEFAULT_CATALOG:
        raise Unsupported(f"Views that hold rows are in the catalog '{DEFAULT_CATALOG}' only.")
    check_target(services, call, view)
    old = _replaced(services, call, view) if replaces else None
    scopes = call.principal.scopes
    definition = replace(
        defined(call, sql, columns),
        refresh=refresh,
        maker=call.principal.id,
        scopes=None if scopes is None else tuple(sorted(scopes)),
    )
    schema, _ = checked_definition(services, call, view, definition)
    spec = TableSpec(schema, comment=comment, definition=definition)
    engine = require(services.engine(DEFAULT_CATALOG), SupportsTransactions)
    author = call.author("create view", view)
    with engine.transaction(author) as transaction:
        assert isinstance(transaction, RecordsRefreshes), "its engine knows of refreshes"
        inside = replace(call, transaction=None)
        reading = read_by_maker(services, inside, view, definition, transaction.snapshot)
        if refresh is Refresh.ON_CHANGE and is_volatile(reading.sql):
            raise InvalidRequest(
                "What this SELECT answers changes with the clock or by chance, and not only with "
                "its tables: it can be refreshed on demand, and not on change."
            )
        if old is not None:
            _drop(transaction, old, call)
        require(transaction, SupportsTables).create_table(view, spec, author)
        with (
            services.admission.admitted(reading.bytes, call.cancellation),
            closing(rows_of_view(services, inside, reading.sql, reading.snapshot)) as rows,
        ):
            done = transaction.ingest(
                view, IngestRequest(), rows, author, cancellation=call.cancellation
            )
        now = dt.datetime.now(dt.UTC)
        made = Refreshed(reading.snapshot, now, RefreshMode.FULL, reading.digest)
        before = None if old is None else _known(services, old.table)
        transaction.record_refresh(view, made, before)
        return replace(done, snapshot=transaction.commit().snapshot)


def freshness(services: Services, call: Call, info: TableInfo) -> Freshness | None:
    """How fresh a view's rows are; None of what holds none or is no view."""
    definition, view = info.spec.definition, info.table
    if definition is None or definition.refresh is None:
        return None
    full = services.engine(DEFAULT_CATALOG).resolve(view).spec.definition or definition
    refreshed = _known(services, view)
    is_stale = True
    if refreshed is not None:
        snapshot = newest_snapshot(services, DEFAULT_CATALOG)
        with suppress(PixelflightError):
            reading = read_by_maker(services, call, view, full, snapshot)
            is_stale = not is_current(services, refreshed, reading)
    failure = services.refresher.failure(view)
    if failure is None:
        return Freshness(definition.refresh, refreshed, is_stale)
    is_mine = call.principal.id == full.maker
    told = failure.message if is_mine else "The last refresh failed; its maker is told why."
    return Freshness(definition.refresh, refreshed, is_stale, told, failure.failed_at)


def _known(services: Services, view: TableRef) -> Refreshed | None:
    return require(services.engine(DEFAULT_CATALOG), SupportsMaterializedViews).refreshed(view)


def _replaced(services: Services, call: Call, view: TableRef) -> Permitted | None:
    """The view that is to be replaced, if there is one. AlreadyExists where it is a table."""
    if not is_there(services, call, view, Action.DROP):
        return None
    found = known(services, call, view, Action.DROP)
    if found.version.spec.kind is Kind.TABLE:
        raise AlreadyExists(f"The table '{found.table}' exists already.")
    return found


def _drop(transaction: Engine, old: Permitted, call: Call) -> None:
    author = call.author("create view", old.table)
    if old.version.spec.kind is Kind.VIEW:
        require(transaction, SupportsViews).drop_view(old.table, author)
    else:
        require(transaction, SupportsTables).drop_table(old.table, author)
