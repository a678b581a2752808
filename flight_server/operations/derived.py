"""Views and snapshots that an engine keeps itself, rows and all, among its tables.

Whoever makes one must be allowed to read all of its base: from then on it is read by whoever may
read its own name, whatever they may see of the base.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from flight_server.auth import Action, CatalogRef
from flight_server.engines.base import SupportsTables, require
from flight_server.engines.derived import SupportsDerivedTables
from flight_server.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
    PixelflightError,
)
from flight_server.model import (
    Author,
    Commit,
    Derivation,
    Derived,
    Kind,
    NamedSnapshot,
    NamespaceRef,
    TableRef,
    TableSpec,
)
from flight_server.operations.authorise import (
    Permitted,
    hide_internal,
    is_there,
    known,
    may_in_namespace,
    narrow,
    permitted,
)
from flight_server.operations.services import Call, Services, engine_of
from flight_server.operations.versions import whole
from flight_server.query import check_predicate


def create_derived(
    services: Services,
    call: Call,
    table: TableRef,
    derivation: Derivation,
    replaces: bool = False,
) -> Commit:
    """Makes a view or a snapshot of a table, where its engine keeps such.

    With `replaces` a view of the name is replaced, for which one must be allowed to drop it.
    AlreadyExists; NotFound; InvalidRequest; Forbidden; Unsupported; Conflict.
    """
    hide_internal(table)
    may_in_namespace(services, call, NamespaceRef(table.catalog, table.namespace), Action.CREATE)
    what = "snapshot" if derivation.is_snapshot else "view"
    replaces = replaces and is_there(services, call, table, Action.DROP)
    if table.catalog != derivation.base.catalog:
        raise InvalidRequest(
            f"A {what} of '{derivation.base}' is in its catalog: '{table}' is in another."
        )
    base = whole(services, call, derivation.base, f"make a {what} of")
    engine = require(base.engine, SupportsDerivedTables)
    filter_ = derivation.filter
    checked = replace(
        derivation,
        base=base.table,
        columns=None if derivation.columns is None else narrow(base, derivation.columns),
        filter=None if filter_ is None else check_predicate(filter_, base.columns),
    )
    author = call.author(f"create {what}", table, base=str(base.table))
    return engine.create_derived(table, checked, author, replaces, call.cancellation)


def drop_with(
    services: Services, call: Call, found: Permitted, author: Author, cascade: bool
) -> Commit:
    """Drops what has been found; with `cascade` all that is made of it as well, alike.

    Conflict names what is made of it, as far as the principal may know of that; Forbidden where
    some of it is not the principal's to drop.
    """
    if cascade:
        engine = require(found.engine, SupportsDerivedTables)
        dependents = engine.dependents(found.table)
        for one in dependents:
            _check_droppable(services, call, found.table, one)
        return engine.drop_with_dependents(found.table, dependents, author)
    if isinstance(found.engine, SupportsDerivedTables):
        dependents = found.engine.dependents(found.table)
        if dependents:
            raise _in_the_way(services, call, found.table, dependents)
    return require(found.engine, SupportsTables).drop_table(found.table, author)


def visible_derived(
    services: Services, call: Call, allowed: Permitted, spec: TableSpec
) -> TableSpec:
    """The spec without what its table is made of, where the principal may not read all of both."""
    derived = spec.derived
    if derived is None:
        return spec
    try:
        is_told = (
            allowed.whole
            and permitted(services, call, _base_of(derived), Action.READ, derived.version).whole
        )
    except PixelflightError:
        is_told = False
    return spec if is_told else replace(spec, derived=Derived(derived.kind))


def told_dependents(
    services: Services, call: Call, table: TableRef, engine: SupportsDerivedTables
) -> list[TableRef]:
    """What is made of a table, directly or not, as far as the principal is told what of."""
    bases: dict[TableRef, TableRef | None] = {}
    for one in engine.dependents(table):
        with suppress(NotFound, Forbidden):
            allowed = known(services, call, one, Action.READ)
            derived = visible_derived(services, call, allowed, allowed.version.spec).derived
            bases[one] = derived.base if derived is not None else None
    reached = {table}
    while more := {one for one, base in bases.items() if base in reached} - reached:
        reached |= more
    return sorted(reached - {table})


def kept_snapshots(services: Services, call: Call) -> list[NamedSnapshot]:
    """Those that engines keep themselves and the principal may know of, by name."""
    may = services.access.may
    return [
        _as_told(services, call, one)
        for name, engine in services.engines.items()
        if isinstance(engine, SupportsDerivedTables)
        and may(call.principal, Action.READ, CatalogRef(name)).visible
        for one in engine.kept_snapshots()
        if may(call.principal, Action.READ, one.name).visible
    ]


def kept_snapshot(services: Services, call: Call, name: TableRef) -> NamedSnapshot:
    """One of them. NotFound (snapshot_not_found), also where it is a table; Forbidden."""
    found = _snapshot(services, call, name, Action.READ)
    kept = require(found.engine, SupportsDerivedTables).kept_snapshots()
    for one in kept:
        if one.name == found.table:
            return _as_told(services, call, one)
    raise _no_snapshot(name)


def drop_kept_snapshot(services: Services, call: Call, name: TableRef) -> None:
    """NotFound (snapshot_not_found); Forbidden; Conflict where something is made of it."""
    found = _snapshot(services, call, name, Action.DROP)
    drop_with(services, call, found, call.author("drop snapshot", found.table), cascade=False)


def is_kept_elsewhere(services: Services, call: Call, name: TableRef | NamespaceRef) -> bool:
    """Whether the catalog's engine keeps snapshots itself. NotFound (catalog_not_found)."""
    return isinstance(engine_of(services, call, name.catalog), SupportsDerivedTables)


def _snapshot(services: Services, call: Call, name: TableRef, action: Action) -> Permitted:
    try:
        found = known(services, call, name, action)
    except NotFound as error:
        raise _no_snapshot(name) from error
    if found.version.spec.kind is not Kind.SNAPSHOT:
        raise _no_snapshot(name)
    return found


def _no_snapshot(name: TableRef) -> NotFound:
    return NotFound(f"There is no snapshot '{name}'.", code=ErrorCode.SNAPSHOT_NOT_FOUND)


def _as_told(services: Services, call: Call, snapshot: NamedSnapshot) -> NamedSnapshot:
    """Without the table that it is of, where the principal may not know of that."""
    assert snapshot.table is not None, "each is of a table"
    seen = services.access.may(call.principal, Action.READ, snapshot.table).visible
    return snapshot if seen else replace(snapshot, table=None)


def _base_of(derived: Derived) -> TableRef:
    assert derived.base is not None, "an engine tells it"
    return derived.base


def _check_droppable(services: Services, call: Call, table: TableRef, one: TableRef) -> None:
    try:
        known(services, call, one, Action.DROP)
    except NotFound:
        raise Forbidden(f"You may not drop all that is made of '{table}'.") from None


def _in_the_way(
    services: Services, call: Call, table: TableRef, dependents: list[TableRef]
) -> Conflict:
    may = services.access.may
    seen = [one for one in dependents if may(call.principal, Action.READ, one).visible]
    names = ", ".join(f"'{one}'" for one in seen) or "Something that you may not know of"
    return Conflict(
        f"'{table}' cannot be dropped alone: {names} is made of it. Drop that first, or all at "
        "once by 'cascade'.",
        details={"dependents": [str(one) for one in seen]},
    )
