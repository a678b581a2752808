"""What the columns and properties of a table were, at each version that wrote them anew."""

from __future__ import annotations

from flight_server.engines.lake import catalog
from flight_server.engines.lake.commits import CommitLog
from flight_server.engines.lake.history import History
from flight_server.engines.lake.instance import CATALOG, Instance
from flight_server.engines.lake.registry import Registry
from flight_server.errors import NotFound, Unsupported
from flight_server.model import HIDDEN_PREFIX, Kind, SchemaVersion, TableRef, Version


def schema_versions(
    log: CommitLog, registry: Registry, history: History, table: TableRef
) -> list[SchemaVersion]:
    """Newest first; the last one is the oldest version that is left. NotFound; Unsupported."""
    found = registry.resolve(table)
    if found.spec.kind is Kind.VIEW:
        raise Unsupported(f"'{found.table}' is a view, whose columns are those of its query.")
    number = catalog.table_id(log.instance, found.table, found.snapshot)
    listed = history.versions(found.table, None)
    ours = [one.snapshot for one in listed if one.snapshot >= registry.since]
    written = _snapshots_of_specs(log.instance, ours[-1], found.snapshot) if ours else frozenset()
    chosen = [one for one in listed if one.snapshot in written or "dropped" in one.changes]
    chosen += [one for one in listed[-1:] if one not in chosen]
    return [_at(log.instance, registry, found.table, number, one) for one in chosen]


def _at(
    instance: Instance, registry: Registry, table: TableRef, number: int, version: Version
) -> SchemaVersion:
    """The table at a version: itself, under whichever name, or what had its name then."""
    name = catalog.name_of(instance, number, version.snapshot)
    try:
        then = registry.resolve(name or table, version.snapshot)
    except NotFound:
        return SchemaVersion(version, table, None, -1, {})
    mine = number if name else catalog.table_id(instance, then.table, version.snapshot)
    columns = catalog.column_ids(instance, mine, version.snapshot)
    return SchemaVersion(version, then.table, then.spec, mine, columns)


def _snapshots_of_specs(instance: Instance, oldest: int, newest: int) -> frozenset[int]:
    """The snapshots that gave any table a spec."""
    rows = instance.rows(
        "SELECT DISTINCT snapshot_id FROM ducklake_table_insertions("
        f"'{CATALOG}', '{HIDDEN_PREFIX}', 'tables', {int(oldest)}, {int(newest)})"
    )
    return frozenset(snapshot for (snapshot,) in rows)
