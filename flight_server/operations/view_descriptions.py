"""What somebody is told of a view without reading it."""

from __future__ import annotations

from dataclasses import replace

from flight_server.auth import Action
from flight_server.errors import Conflict, Forbidden, InvalidRequest, NotFound
from flight_server.model import Definition, TableInfo, TableRef, TableSpec
from flight_server.operations.authorise import Permitted, known, without_hidden
from flight_server.operations.seen_through import seen_through
from flight_server.operations.services import Call, Services


def described_view(
    services: Services, call: Call, found: Permitted, version: int | None
) -> TableInfo:
    """A view as far as the principal may read it. Conflict (view_unreadable).

    One that cannot be read is described to those who may change it, with the columns that it was
    made with.
    """
    info = found.engine.describe(found.table, version)
    try:
        seen = seen_through(services, call, found, version)
    except Conflict:
        if not _may_change(services, call, found.table):
            raise
        return replace(info, spec=without_hidden(info.spec, found.columns))
    spec = replace(info.spec, schema=seen.version.schema)
    return replace(info, spec=without_hidden(spec, seen.columns))


def with_visible_definition(
    services: Services, call: Call, found: Permitted, spec: TableSpec, version: int | None
) -> TableSpec:
    """The spec of a view that holds its rows, without what it says where that is not told.

    It is told to those who may change the view, or may read all that it names.
    """
    definition = spec.definition
    if definition is None or _may_change(services, call, found.table):
        return spec
    try:
        seen_through(services, call, found, version)
    except Conflict:
        return replace(spec, definition=Definition("", refresh=definition.refresh))
    return spec


def no_view(table: TableRef) -> InvalidRequest:
    """What is asked of views is asked of a table."""
    return InvalidRequest(
        f"'{table}' is a table and no view: ask for it, alter it and drop it as a table."
    )


def no_table(view: TableRef) -> InvalidRequest:
    """What is asked of tables is asked of a view."""
    return InvalidRequest(f"'{view}' is a view and no table: alter it and drop it as a view.")


def _may_change(services: Services, call: Call, view: TableRef) -> bool:
    try:
        known(services, call, view, Action.ALTER)
    except (NotFound, Forbidden):
        return False
    return True
