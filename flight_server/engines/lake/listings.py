"""Many tables described at once, in a handful of questions to the catalog instead of some for each.

Rows are counted from what DuckLake keeps of its files, of rows that are in none yet, and of those
that were deleted; so no table is read. Knows the newest snapshot only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

import duckdb

from flight_server.engines.lake import views
from flight_server.engines.lake.catalog import KINDS, MAINTENANCE
from flight_server.engines.lake.instance import METADATA, Instance
from flight_server.model import Kind, TableInfo, TableVersion, quoted


@dataclass(frozen=True)
class _Size:
    rows: int = 0
    bytes: int = 0
    files: int = 0


@dataclass(frozen=True)
class _Past:
    number: int
    created_at: dt.datetime
    changed_at: dt.datetime
    versions: int


def described(instance: Instance, found: Sequence[TableVersion]) -> list[TableInfo]:
    """The tables with their numbers, in their order; one that is gone by now is left out.

    How many rows a view has is not known: it would have to be run.
    """
    if not found:
        return []
    pasts = _pasts(instance, found)
    sizes = _sizes(instance, {past.number for past in pasts.values()})
    infos = []
    for place, one in enumerate(found):
        if one.spec.kind is Kind.VIEW:
            infos.append(views.described(instance, one))
        elif place in pasts:
            past = pasts[place]
            size = sizes.get(past.number, _Size())
            infos.append(
                TableInfo(
                    one.table,
                    one.spec,
                    one.snapshot,
                    size.rows,
                    size.bytes,
                    size.files,
                    past.versions,
                    past.created_at,
                    past.changed_at,
                )
            )
    return infos


def _pasts(instance: Instance, found: Sequence[TableVersion]) -> dict[int, _Past]:
    """By their places: which tables have the names now, and what is in their history."""
    names = [(one.table.namespace.lower(), one.table.name.lower()) for one in found]
    rows = instance.rows(
        _PASTS,
        [[namespace for namespace, _ in names], [name for _, name in names], found[0].snapshot],
    )
    return {
        place: _Past(number, created, changed or created, versions)
        for place, number, created, changed, versions in rows
    }


def _sizes(instance: Instance, numbers: Iterable[int]) -> dict[int, _Size]:
    wanted = sorted(numbers)
    sizes = {
        number: _Size(count, size, files)
        for number, count, size, files in instance.rows(_SIZES, [wanted])
    }
    inlined = _inlined(instance, wanted)
    deleted = _deleted(instance, [number for number, size in sizes.items() if size.files])
    return {
        number: replace(size, rows=size.rows + inlined.get(number, 0) - deleted.get(number, 0))
        for number, size in sizes.items()
    }


def _inlined(instance: Instance, wanted: Sequence[int]) -> dict[int, int]:
    """How many rows of each table are in no file yet."""
    kept = instance.rows(
        f"SELECT table_id, table_name FROM {METADATA}.ducklake_inlined_data_tables "
        "WHERE list_contains($1, table_id)",
        [list(wanted)],
    )
    if not kept:
        return {}
    parts = (
        f"SELECT {int(number)} AS table_id, count(*) AS n FROM {METADATA}.{quoted(name)} "
        "WHERE end_snapshot IS NULL"
        for number, name in kept
    )
    sql = f"SELECT table_id, CAST(sum(n) AS BIGINT) FROM ({' UNION ALL '.join(parts)}) GROUP BY ALL"
    return dict(instance.rows(sql))


def _deleted(instance: Instance, wanted: Iterable[int]) -> dict[int, int]:
    """How many rows of each table's files are deleted by what is in no file yet.

    DuckLake lists nowhere for which tables it keeps such deletions: one has to try.
    """
    found = {}
    with closing(instance.connection()) as connection:
        for number in wanted:
            with suppress(duckdb.CatalogException):
                row = connection.execute(
                    f"SELECT count(*) FROM {METADATA}.ducklake_inlined_delete_{int(number)} "
                    f"JOIN {METADATA}.ducklake_data_file ON data_file_id = file_id "
                    "WHERE end_snapshot IS NULL"
                ).fetchone()
                found[number] = int(row[0]) if row is not None else 0
    return found


_SIZES = f"""
SELECT wanted.table_id, CAST(coalesce(f.rows, 0) - coalesce(d.rows, 0) AS BIGINT),
       CAST(coalesce(f.bytes, 0) AS BIGINT), coalesce(f.files, 0)
FROM (SELECT unnest($1) AS table_id) AS wanted
LEFT JOIN (
    SELECT table_id, sum(record_count) AS rows, sum(file_size_bytes) AS bytes, count(*) AS files
    FROM {METADATA}.ducklake_data_file WHERE end_snapshot IS NULL GROUP BY table_id
) AS f USING (table_id)
LEFT JOIN (
    SELECT table_id, sum(delete_count) AS rows
    FROM {METADATA}.ducklake_delete_file WHERE end_snapshot IS NULL GROUP BY table_id
) AS d USING (table_id)
"""

_VERBS = ", ".join(f"'{verb}'" for verb in sorted(KINDS))
_UPKEEP = ", ".join(f"'{verb}'" for verb in MAINTENANCE)
# The same history as `catalog.versions` lists, counted for many names.
_PASTS = f"""
WITH asked AS (
    SELECT unnest(range(len($1))) AS place, unnest($1) AS namespace, unnest($2) AS name
), named AS (
    SELECT a.place, t.table_id, t.begin_snapshot, coalesce(t.end_snapshot, $3 + 1) AS end_snapshot,
           t.end_snapshot IS NULL AS is_current
    FROM asked a JOIN {METADATA}.ducklake_table t ON lower(t.table_name) = a.name
    JOIN {METADATA}.ducklake_schema s
    ON s.schema_id = t.schema_id AND lower(s.schema_name) = a.namespace
), span AS (
    SELECT place, table_id, begin_snapshot, end_snapshot FROM named
    UNION
    SELECT n.place, t.table_id, t.begin_snapshot, coalesce(t.end_snapshot, $3 + 1)
    FROM {METADATA}.ducklake_table t JOIN named n ON n.table_id = t.table_id AND n.is_current
), entry AS (
    SELECT snapshot_id, unnest(string_split(changes_made, ',')) AS change
    FROM {METADATA}.ducklake_snapshot_changes
), made AS (
    SELECT min(begin_snapshot) AS snapshot_id, table_id FROM {METADATA}.ducklake_table
    GROUP BY table_id
), touched AS (
    (SELECT snapshot_id, split_part(change, ':', 2) AS number FROM entry
     WHERE split_part(change, ':', 1) IN ({_VERBS})
     EXCEPT
     SELECT snapshot_id, split_part(change, ':', 2) FROM entry
     WHERE split_part(change, ':', 1) IN ({_UPKEEP}))
    UNION
    SELECT snapshot_id, unnest(json_keys(commit_extra_info, '$.tables'))
    FROM {METADATA}.ducklake_snapshot_changes WHERE json_exists(commit_extra_info, '$.tables')
    UNION
    SELECT snapshot_id, CAST(table_id AS VARCHAR) FROM made
), counted AS (
    SELECT span.place, count(DISTINCT log.snapshot_id) AS versions, max(log.snapshot_time) AS newest
    FROM span JOIN touched ON touched.number = CAST(span.table_id AS VARCHAR)
    AND touched.snapshot_id BETWEEN span.begin_snapshot AND span.end_snapshot
    JOIN {METADATA}.ducklake_snapshot log
    ON log.snapshot_id = touched.snapshot_id AND log.snapshot_id <= $3
    GROUP BY span.place
), first AS (
    SELECT made.table_id, min(log.snapshot_time) AS created
    FROM made ASOF JOIN {METADATA}.ducklake_snapshot log ON made.snapshot_id <= log.snapshot_id
    GROUP BY made.table_id
)
SELECT named.place, named.table_id, first.created, counted.newest, coalesce(counted.versions, 0)
FROM named JOIN first USING (table_id) LEFT JOIN counted USING (place)
WHERE named.is_current
"""
