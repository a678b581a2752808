"""Named snapshots: what a table, or all of a namespace, was at a moment, kept until dropped.

A snapshot of a namespace holds what was there, and shows each principal as much of it as that may
know of: what is hidden is neither mentioned nor restored.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from flight_server.auth import Action
from flight_server.engines.base import require
from flight_server.engines.snapshots import SupportsSnapshots
from flight_server.errors import (
    ErrorCode,
    Forbidden,
    LimitExceeded,
    NotFound,
    Unsupported,
    did_you_mean,
)
from flight_server.model import (
    DEFAULT_CATALOG,
    Commit,
    Derivation,
    Kind,
    Member,
    NamedSnapshot,
    NamespaceRef,
    TableRef,
    check_name,
)
from flight_server.operations.authorise import (
    check_in_view,
    known,
    may_on_namespace,
    visible_tables,
)
from flight_server.operations.derived import (
    create_derived,
    drop_kept_snapshot,
    is_kept_elsewhere,
    kept_snapshot,
    kept_snapshots,
)
from flight_server.operations.services import Call, Services
from flight_server.operations.versions import newest_snapshot, snapshot_of, whole

# Each keeps files from being removed.
SNAPSHOTS_MAX = 1_000


@dataclass(frozen=True)
class Restored:
    """What a restore brought back, by the names that it has now."""

    commit: Commit
    tables: tuple[TableRef, ...]


def list_snapshots(services: Services, call: Call) -> list[NamedSnapshot]:
    """The snapshots of what the principal may know of, by name."""
    named = _engine(services).named_snapshots()
    visible = [one for one in named if _is_visible(services, call, one)]
    return visible + kept_snapshots(services, call)


def describe_snapshot(
    services: Services, call: Call, name: TableRef
) -> tuple[NamedSnapshot, list[TableRef]]:
    """A snapshot and the tables and views in it, as they were called then. NotFound."""
    if is_kept_elsewhere(services, call, name):
        kept = kept_snapshot(services, call, name)
        return kept, [] if kept.table is None else [kept.table]
    found = _found(services, call, name)
    return found, [one.then.table for one in _visible_members(services, call, found)]


def create_snapshot(
    services: Services,
    call: Call,
    name: str,
    of: TableRef | NamespaceRef,
    version: int | str | None = None,
    as_of: dt.datetime | None = None,
) -> NamedSnapshot:
    """Names what a table, or all tables of a namespace, are or were at a version.

    Whoever may read all of them may. AlreadyExists; NotFound; Forbidden; LimitExceeded.
    """
    check_name(name, "snapshot's name")
    if is_kept_elsewhere(services, call, of):
        return _kept(services, call, name, of, version, as_of)
    if of.catalog != DEFAULT_CATALOG:
        raise Unsupported(f"There are no snapshots in the catalog '{of.catalog}'.")
    engine = _engine(services)
    table = known(services, call, of, Action.READ).table if isinstance(of, TableRef) else None
    if isinstance(of, NamespaceRef):
        of = _readable(services, call, of)
        asked = snapshot_of(services, call, TableRef(of.catalog, of.name, name), version, as_of)
    else:
        asked = snapshot_of(services, call, of, version, as_of)
    snapshot = newest_snapshot(services, DEFAULT_CATALOG) if asked is None else asked
    if table is not None:
        # What it was called then, if it was there.
        known(services, call, table, Action.READ, snapshot)
    place = of.name if isinstance(of, NamespaceRef) else of.namespace
    if sum(one.name.namespace == place for one in engine.named_snapshots()) >= SNAPSHOTS_MAX:
        raise LimitExceeded(
            f"The namespace '{place}' has {SNAPSHOTS_MAX} snapshots already: drop some.",
            code=ErrorCode.TOO_LARGE,
        )
    author = call.author(f"create snapshot {name}", table or of, snapshot=name)
    found = NamedSnapshot(
        TableRef(of.catalog, place, name),
        table,
        snapshot,
        dt.datetime.now(dt.UTC),
        author.principal,
        call.principal.id,
    )
    engine.create_snapshot(found, author)
    return found


def drop_snapshot(services: Services, call: Call, name: TableRef) -> None:
    """Lets what it holds expire. NotFound; Forbidden.

    Whoever made it may, and whoever may alter the table, or all of the namespace. One that an
    engine keeps among its tables is dropped as these are.
    """
    if is_kept_elsewhere(services, call, name):
        drop_kept_snapshot(services, call, name)
        return
    found = _found(services, call, name)
    if found.maker != call.principal.id:
        may_on_namespace(services, call, found.namespace, Action.ALTER)
    author = call.author(f"drop snapshot {name.name}", found.table or found.namespace)
    _engine(services).drop_snapshot(found.name, author)


def restore_snapshot(services: Services, call: Call, name: TableRef) -> Restored:
    """Brings back what it holds in one commit, what was dropped since included.

    Needs of each table what `restore` does; what the principal may not know of stays as it is, as
    does what came since. NotFound; Forbidden; Conflict; Unsupported of other catalogs.
    """
    if is_kept_elsewhere(services, call, name):
        kept_snapshot(services, call, name)
    if name.catalog != DEFAULT_CATALOG:
        raise Unsupported(
            f"Nothing is brought back from snapshots in the catalog '{name.catalog}'."
        )
    found = _found(services, call, name)
    members = [
        one
        for one in _visible_members(services, call, found)
        if _may_restore(services, call, one, found.namespace)
    ]
    author = call.author(f"restore snapshot {name.name}", found.table or found.namespace)
    commit = _engine(services).restore_members(found, members, author)
    tables = ((one.now or one.then).table for one in members)
    return Restored(commit, tuple(tables))


def _kept(
    services: Services,
    call: Call,
    name: str,
    of: TableRef | NamespaceRef,
    version: int | str | None,
    as_of: dt.datetime | None,
) -> NamedSnapshot:
    """Made by the engine that keeps it, in the namespace of its table."""
    if isinstance(of, NamespaceRef):
        raise Unsupported(f"Snapshots in the catalog '{of.catalog}' are of one table each.")
    asked = snapshot_of(services, call, of, version, as_of)
    place = TableRef(of.catalog, of.namespace, name)
    create_derived(services, call, place, Derivation(of, is_snapshot=True, version=asked))
    return kept_snapshot(services, call, place)


def _engine(services: Services) -> SupportsSnapshots:
    return require(services.engine(DEFAULT_CATALOG), SupportsSnapshots)


def _found(services: Services, call: Call, name: TableRef) -> NamedSnapshot:
    """The snapshot, where the principal may know of what it is of. NotFound."""
    try:
        found = _engine(services).named_snapshot(name)
    except NotFound:
        found = None
    if found is None or not _is_visible(services, call, found):
        names = [str(one.name) for one in list_snapshots(services, call)]
        raise NotFound(
            f"There is no snapshot '{name}'.{did_you_mean(str(name), names)}",
            code=ErrorCode.SNAPSHOT_NOT_FOUND,
        )
    return found


def _is_visible(services: Services, call: Call, snapshot: NamedSnapshot) -> bool:
    of = snapshot.table or snapshot.namespace
    return services.access.may(call.principal, Action.READ, of).visible


def _visible_members(services: Services, call: Call, snapshot: NamedSnapshot) -> Iterator[Member]:
    """What the principal may know of, by the name that it has, or had."""
    for member in _engine(services).members(snapshot):
        names = {member.then.table, (member.now or member.then).table}
        if all(services.access.may(call.principal, Action.READ, one).visible for one in names):
            yield member


def _readable(services: Services, call: Call, namespace: NamespaceRef) -> NamespaceRef:
    """The namespace in its true case. NotFound; Forbidden where a table in it may not be read."""
    check_in_view(services, call, namespace)
    tables = visible_tables(services, call, namespace.catalog, namespace.name)
    for table in tables:
        known(services, call, table, Action.READ)
    return NamespaceRef(namespace.catalog, tables[0].namespace) if tables else namespace


def _may_restore(services: Services, call: Call, member: Member, namespace: NamespaceRef) -> bool:
    """Whether there is something to do with it. Forbidden where that may not be done."""
    now, kind = member.now, member.then.spec.kind
    if now is None or kind is Kind.VIEW:
        may_on_namespace(services, call, namespace, Action.CREATE)
    if now is None:
        _check_reads_whole(services, call, member)
    elif now.spec.kind is Kind.VIEW:
        known(services, call, now.table, Action.DROP)
    elif now.spec.kind is Kind.MATERIALIZED_VIEW:
        return kind is not Kind.MATERIALIZED_VIEW
    else:
        whole(services, call, now.table, "restore", Action.UPDATE, Action.DELETE, Action.INSERT)
    return True


def _check_reads_whole(services: Services, call: Call, member: Member) -> None:
    """Forbidden where the principal could not have read all of what was dropped."""
    table = member.then.table
    decision = services.access.may(call.principal, Action.READ, table)
    if not decision.allowed or decision.rows is not None or decision.columns is not None:
        raise Forbidden(f"You may not restore '{table}': you may not read all of it.")
