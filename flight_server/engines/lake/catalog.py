"""Questions to DuckLake's catalog, whose tables are its documented format (version 1.0).

Read only: what is written goes through DuckLake itself. The table functions of DuckLake answer
some of these too, but several times slower.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

from flight_server.engines.lake.instance import METADATA, Instance
from flight_server.errors import ErrorCode, NotFound
from flight_server.model import DEFAULT_CATALOG, TableRef, Version, table_not_found

# Commits that change files and no rows are not versions of a table.
MAINTENANCE = ("inline_flush", "merge_adjacent", "rewrite_delete")
KINDS = {
    "inserted_into_table": "inserted",
    "inlined_insert": "inserted",
    "deleted_from_table": "deleted",
    "inlined_delete": "deleted",
    "altered_table": "altered",
    "dropped_table": "dropped",
}


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table at a snapshot."""

    path: str
    rows: int
    bytes: int


def table_id(instance: Instance, table: TableRef, snapshot: int) -> int:
    """The number of the table that had the name at a snapshot. NotFound (table_not_found)."""
    rows = instance.rows(
        f"SELECT t.table_id FROM {METADATA}.ducklake_table t "
        f"JOIN {METADATA}.ducklake_schema s USING (schema_id) "
        "WHERE lower(t.table_name) = lower($1) AND lower(s.schema_name) = lower($2) "
        "AND t.begin_snapshot <= $3 AND (t.end_snapshot IS NULL OR t.end_snapshot > $3)",
        [table.name, table.namespace, snapshot],
    )
    if not rows:
        raise table_not_found(table)
    return int(rows[0][0])


def name_of(instance: Instance, table: int, snapshot: int) -> TableRef | None:
    """The name that a table had at a snapshot, None where it did not exist."""
    rows = instance.rows(
        f"SELECT s.schema_name, t.table_name FROM {METADATA}.ducklake_table t "
        f"JOIN {METADATA}.ducklake_schema s USING (schema_id) "
        "WHERE t.table_id = $1 AND t.begin_snapshot <= $2 "
        "AND (t.end_snapshot IS NULL OR t.end_snapshot > $2)",
        [table, snapshot],
    )
    return TableRef(DEFAULT_CATALOG, *rows[0]) if rows else None


def written_tables(instance: Instance, namespace: str) -> frozenset[str]:
    """The tables of a namespace that ever had a row, by their names.

    Of the others DuckLake has no statistics, and looks for them again and again: half a
    millisecond, twice for every column that is read.
    """
    rows = instance.rows(
        f"SELECT t.table_name FROM {METADATA}.ducklake_table_stats "
        f"JOIN {METADATA}.ducklake_table t USING (table_id) "
        f"JOIN {METADATA}.ducklake_schema s USING (schema_id) WHERE s.schema_name = $1 "
        "AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL",
        [namespace],
    )
    return frozenset(name for (name,) in rows)


def column_ids(instance: Instance, table: int, snapshot: int) -> dict[str, int]:
    """The numbers of a table's columns at a snapshot, which stay when columns are renamed.

    In the order that the columns have in DuckLake.
    """
    rows = instance.rows(
        f"SELECT column_name, column_id FROM {METADATA}.ducklake_column "
        "WHERE table_id = $1 AND parent_column IS NULL AND begin_snapshot <= $2 "
        "AND (end_snapshot IS NULL OR end_snapshot > $2) ORDER BY column_order",
        [table, snapshot],
    )
    return dict(rows)


def plain_columns(instance: Instance, table: int, snapshot: int) -> frozenset[str]:
    """The columns of a table, in lower case, of which no file lacks values.

    For the files that are older than a column DuckLake keeps what it was added with.
    """
    rows = instance.rows(
        f"SELECT lower(column_name) FROM {METADATA}.ducklake_column "
        "WHERE table_id = $1 AND parent_column IS NULL AND begin_snapshot <= $2 "
        "AND (end_snapshot IS NULL OR end_snapshot > $2) AND initial_default IS NULL",
        [table, snapshot],
    )
    return frozenset(name for (name,) in rows)


def data_files(instance: Instance, table: int, snapshot: int) -> list[DataFile]:
    """The table's data files at a snapshot in the order they are scanned."""
    return [
        DataFile(*row)
        for row in instance.rows(
            f"SELECT path, record_count, file_size_bytes FROM {METADATA}.ducklake_data_file "
            "WHERE table_id = $1 AND begin_snapshot <= $2 "
            "AND (end_snapshot IS NULL OR end_snapshot > $2) ORDER BY data_file_id",
            [table, snapshot],
        )
    ]


def created_at(instance: Instance, table: int) -> dt.datetime:
    """When a table was made; the oldest moment known where that snapshot has expired."""
    rows = instance.rows(
        f"SELECT min(snapshot_time) FROM {METADATA}.ducklake_snapshot WHERE snapshot_id >= "
        f"(SELECT min(begin_snapshot) FROM {METADATA}.ducklake_table WHERE table_id = ?)",
        [table],
    )
    moment: dt.datetime = rows[0][0]
    return moment


def snapshot_at(instance: Instance, moment: dt.datetime) -> int:
    """The snapshot that was the newest at a moment. NotFound (version_not_found)."""
    rows = instance.rows(
        f"SELECT max(snapshot_id) FILTER (snapshot_time <= $1), min(snapshot_time) "
        f"FROM {METADATA}.ducklake_snapshot",
        [moment],
    )
    found, oldest = rows[0]
    if found is None:
        raise NotFound(
            f"There is no version as of {moment.isoformat()}; the oldest is of "
            f"{oldest.isoformat()}.",
            code=ErrorCode.VERSION_NOT_FOUND,
        )
    return int(found)


def versions(
    instance: Instance, table: TableRef, until: int, limit: int | None = None
) -> list[Version]:
    """The snapshots that changed what has the name, newest first.

    A name's history is that of every table that bore it, each for its time, and of the table that
    bears it now since its making.
    """
    rows = instance.rows(
        _VERSIONS + ("" if limit is None else f" LIMIT {int(limit)}"),
        [table.name, table.namespace, until],
    )
    return [
        Version(
            snapshot=snapshot,
            committed_at=moment,
            changes=kinds(changes, {str(number) for number in ids}, created, notes),
            author=author or "",
            reason=reason or "",
        )
        for snapshot, moment, changes, ids, created, author, reason, notes in rows
    ]


def kinds(changes: str, ids: set[str], created: bool, notes: str | None) -> tuple[str, ...]:
    """What happened to the table: as the commit's own notes say, and DuckLake's log beyond them.

    An update is a delete and an insert to DuckLake.
    """
    noted = json.loads(notes).get("tables", {}) if notes else {}
    told = [kind for number in ids for kind in noted.get(number, ())]
    logged = (change.partition(":") for change in changes.split(","))
    found = [KINDS[verb] for verb, _, what in logged if verb in KINDS and what in ids]
    if "updated" in told:
        found = [kind for kind in found if kind not in ("inserted", "deleted")]
    return tuple(dict.fromkeys((["created"] if created else []) + told + found))


def deletes(instance: Instance, table: int, start: int, until: int) -> list[tuple[int, str, str]]:
    """The snapshots from `start` to `until` that deleted or updated rows of a table.

    Each with the namespace and the name that the table had then.
    """
    rows = instance.rows(
        f"SELECT c.snapshot_id, s.schema_name, t.table_name "
        f"FROM {METADATA}.ducklake_snapshot_changes c "
        f"JOIN {METADATA}.ducklake_table t ON t.table_id = $3 AND {_lasts('t')} "
        f"JOIN {METADATA}.ducklake_schema s ON s.schema_id = t.schema_id AND {_lasts('s')} "
        "WHERE c.snapshot_id BETWEEN $1 AND $2 AND list_has_any(string_split(changes_made, ','), "
        "['deleted_from_table:' || $3, 'inlined_delete:' || $3]) ORDER BY 1",
        [start, until, table],
    )
    return [(int(snapshot), namespace, name) for snapshot, namespace, name in rows]


def _lasts(kept: str) -> str:
    """Whether a row of the catalog holds in the snapshot of `c`."""
    ended = f"({kept}.end_snapshot IS NULL OR c.snapshot_id < {kept}.end_snapshot)"
    return f"c.snapshot_id >= {kept}.begin_snapshot AND {ended}"


def is_touched(instance: Instance, table: int, after: int, until: int) -> bool:
    """Whether a commit between two snapshots changed the table's rows or columns."""
    verbs = ", ".join(f"'{verb}:{int(table)}'" for verb in KINDS)
    rows = instance.rows(
        f"SELECT 1 FROM {METADATA}.ducklake_snapshot_changes "
        "WHERE snapshot_id > $1 AND snapshot_id <= $2 "
        f"AND list_has_any(string_split(changes_made, ','), [{verbs}]) LIMIT 1",
        [after, until],
    )
    return bool(rows)


def changed_since(instance: Instance, table: TableRef, snapshot: int) -> bool:
    """Whether a commit after the snapshot changed the table."""
    newest = versions(instance, table, until=2**62, limit=1)
    return bool(newest) and newest[0].snapshot > snapshot


def rewritten_since(instance: Instance, snapshot: int) -> dict[str, str]:
    """The tables whose files were merged or written anew after a snapshot: numbers, namespaces.

    DuckLake lets a transaction commit all the same that has deleted rows of one of those files,
    and the rows are there again.
    """
    rows = instance.rows(
        "WITH made AS (SELECT unnest(string_split(changes_made, ',')) AS change "
        f"FROM {METADATA}.ducklake_snapshot_changes WHERE snapshot_id > $1) "
        "SELECT DISTINCT split_part(change, ':', 2), s.schema_name FROM made "
        f"JOIN {METADATA}.ducklake_table t ON t.table_id::VARCHAR = split_part(change, ':', 2) "
        f"JOIN {METADATA}.ducklake_schema s USING (schema_id) "
        "WHERE split_part(change, ':', 1) IN ('merge_adjacent', 'rewrite_delete')",
        [snapshot],
    )
    return {str(number): str(namespace) for number, namespace in rows}


def is_other_since(instance: Instance, table: TableRef, snapshot: int) -> bool:
    """Whether a commit after the snapshot changed the table's rows, or only its files."""
    if changed_since(instance, table, snapshot):
        return True
    try:
        known = table_id(instance, table, snapshot)
    except NotFound:
        # It is made in the transaction that asks: nobody else has files of it.
        return False
    return str(known) in rewritten_since(instance, snapshot)


_MINE = " OR ".join(f"list_contains(changes, '{verb}:' || span.table_id)" for verb in sorted(KINDS))
_NOT_MINE = " OR ".join(
    f"list_contains(changes, '{verb}:' || span.table_id)" for verb in MAINTENANCE
)
_VERSIONS = f"""
WITH named AS (
    SELECT t.table_id, t.begin_snapshot, coalesce(t.end_snapshot, $3 + 1) AS end_snapshot,
           t.end_snapshot IS NULL AS is_current
    FROM {METADATA}.ducklake_table t JOIN {METADATA}.ducklake_schema s USING (schema_id)
    WHERE lower(t.table_name) = lower($1) AND lower(s.schema_name) = lower($2)
), span AS (
    SELECT table_id, begin_snapshot, end_snapshot FROM named
    UNION
    SELECT t.table_id, t.begin_snapshot, coalesce(t.end_snapshot, $3 + 1)
    FROM {METADATA}.ducklake_table t JOIN named n ON n.table_id = t.table_id AND n.is_current
), log AS (
    SELECT snapshot_id, snapshot_time, changes_made, author, commit_message, commit_extra_info,
           string_split(changes_made, ',') AS changes
    FROM {METADATA}.ducklake_snapshot JOIN {METADATA}.ducklake_snapshot_changes
    USING (snapshot_id) WHERE snapshot_id <= $3
), made AS (
    SELECT table_id, min(begin_snapshot) AS snapshot_id FROM {METADATA}.ducklake_table
    GROUP BY table_id
)
SELECT log.snapshot_id, any_value(snapshot_time), any_value(changes_made),
       list(DISTINCT span.table_id), bool_or(made.snapshot_id IS NOT NULL),
       any_value(author), any_value(commit_message), any_value(commit_extra_info)
FROM span
JOIN log ON log.snapshot_id BETWEEN span.begin_snapshot AND span.end_snapshot
LEFT JOIN made ON made.table_id = span.table_id AND made.snapshot_id = log.snapshot_id
WHERE made.snapshot_id IS NOT NULL OR (({_MINE}) AND NOT ({_NOT_MINE}))
      OR json_exists(commit_extra_info, '$.tables."' || span.table_id || '"')
GROUP BY log.snapshot_id
ORDER BY log.snapshot_id DESC
"""
