"""History: versions, differences, restores, tags, and which snapshot a request means."""

from __future__ import annotations

import datetime as dt

from flight_server.auth import Action
from flight_server.engines.base import (
    require,
)
from flight_server.engines.history import (
    SupportsChanges,
    SupportsTags,
    SupportsTimeline,
    SupportsVersions,
)
from flight_server.engines.stream import Batches
from flight_server.errors import Forbidden, InvalidRequest
from flight_server.model import ChangesRequest, Commit, TableRef, Tag, Version, check_tag_name
from flight_server.operations.authorise import Permitted, known, permitted, refuse_views
from flight_server.operations.services import Call, Services


def snapshot_of(
    services: Services,
    call: Call,
    table: TableRef,
    version: int | str | None,
    as_of: dt.datetime | None,
) -> int | None:
    """The snapshot a request names by number, by tag or by time; None means the newest.

    NotFound (version_not_found, tag_not_found); InvalidRequest where both are given.
    """
    if version is not None and as_of is not None:
        raise InvalidRequest("Give 'version' or 'as_of', not both.")
    if isinstance(version, str):
        allowed = permitted(services, call, table, Action.READ)
        return require(allowed.engine, SupportsTags).tagged(allowed.table, version)
    if as_of is not None:
        return version_at(services, call, table, as_of)
    return version


def snapshot_at(services: Services, catalog: str, as_of: dt.datetime) -> int:
    """The snapshot that was the newest at a time. NotFound (version_not_found)."""
    return require(services.engine(catalog), SupportsTimeline).snapshot_at(as_of)


def newest_snapshot(services: Services, catalog: str) -> int:
    """The newest snapshot of a catalog."""
    return require(services.engine(catalog), SupportsTimeline).snapshot()


def version_at(services: Services, call: Call, table: TableRef, as_of: dt.datetime) -> int:
    """The table's version that was the newest at a time. NotFound (version_not_found)."""
    if isinstance(services.engines.get(table.catalog), SupportsTimeline):
        # That of all tables: one that is no longer there had one as well.
        return snapshot_at(services, table.catalog, as_of)
    allowed = known(services, call, table, Action.READ)
    return require(allowed.engine, SupportsVersions).version_at(allowed.table, as_of)


def newest_version(services: Services, call: Call, table: TableRef) -> int:
    """The table's newest version. NotFound; Forbidden."""
    if isinstance(services.engines.get(table.catalog), SupportsTimeline):
        return newest_snapshot(services, table.catalog)
    return known(services, call, table, Action.READ).version.snapshot


def list_versions(
    services: Services, call: Call, table: TableRef, limit: int | None = None
) -> list[Version]:
    """The table's history, newest first. NotFound; Forbidden."""
    allowed = known(services, call, table, Action.READ)
    return require(allowed.engine, SupportsVersions).versions(allowed.table, limit)


def diff(
    services: Services, call: Call, table: TableRef, older: int, newer: int | None = None
) -> Batches:
    """The net difference between two versions. NotFound; Forbidden."""
    allowed = whole(services, call, table, "compare versions of")
    engine = require(allowed.engine, SupportsVersions)
    newer = allowed.version.snapshot if newer is None else newer
    return engine.diff(allowed.table, older, newer, call.cancellation)


def changes(services: Services, call: Call, table: TableRef, request: ChangesRequest) -> Batches:
    """The rows that changed between snapshots. NotFound; Forbidden."""
    allowed = whole(services, call, table, "follow the changes of")
    engine = require(allowed.engine, SupportsChanges)
    return engine.changes(allowed.table, request, call.cancellation)


def restore(services: Services, call: Call, table: TableRef, version: int) -> Commit:
    """A new commit in which the table is as it was. NotFound; Forbidden."""
    allowed = whole(services, call, table, "restore", Action.UPDATE, Action.DELETE, Action.INSERT)
    engine = require(allowed.engine, SupportsVersions)
    author = call.author(f"restore to version {version}", allowed.table, version=version)
    return engine.restore(allowed.table, version, author)


def list_tags(services: Services, call: Call, table: TableRef) -> list[Tag]:
    """The table's tags by name. NotFound; Forbidden."""
    allowed = permitted(services, call, table, Action.READ)
    return require(allowed.engine, SupportsTags).tags(allowed.table)


def create_tag(
    services: Services, call: Call, table: TableRef, name: str, version: int | None = None
) -> Tag:
    """Names a version. InvalidRequest (invalid_name); AlreadyExists; NotFound; Forbidden."""
    check_tag_name(name)
    allowed = permitted(services, call, table, Action.ALTER)
    refuse_views(allowed, "has no versions that could be tagged")
    engine = require(allowed.engine, SupportsTags)
    author = call.author(f"create tag {name}", allowed.table, tag=name)
    return engine.create_tag(allowed.table, name, version, author)


def drop_tag(services: Services, call: Call, table: TableRef, name: str) -> None:
    """NotFound (tag_not_found); Forbidden."""
    allowed = permitted(services, call, table, Action.ALTER)
    engine = require(allowed.engine, SupportsTags)
    author = call.author(f"drop tag {name}", allowed.table, tag=name)
    engine.drop_tag(allowed.table, name, author)


def whole(
    services: Services, call: Call, table: TableRef, verb: str, *actions: Action
) -> Permitted:
    """The table, for what only somebody may do who may do it to every row and column."""
    for action in (Action.READ, *actions):
        allowed = permitted(services, call, table, action)
        if not allowed.whole:
            raise Forbidden(
                f"You may not {verb} '{allowed.table}': you may {action.value} only a part of it."
            )
    return allowed
