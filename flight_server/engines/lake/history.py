"""Versions, differences, restores, tags and change feeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake import catalog, tables, views
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.differences import difference
from flight_server.engines.lake.instance import CATALOG, METADATA, literal
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.scans import Scans
from flight_server.engines.lake.tags import Tags
from flight_server.engines.lake.types import select_expression
from flight_server.engines.stream import BatchStream
from flight_server.errors import (
    ErrorCode,
    InvalidRequest,
    NotFound,
)
from flight_server.model import (
    CHANGE_COLUMNS,
    HIDDEN_PREFIX,
    ChangesRequest,
    Images,
    Kind,
    TableRef,
    TableSpec,
    TableVersion,
    Version,
    quoted,
    table_not_found,
)

Key = tuple[str, str]
PAST = f"{HIDDEN_PREFIX}_past"
# No column of a table can be called so.
_ROW, _AT = f"{HIDDEN_PREFIX}_row", f"{HIDDEN_PREFIX}_at"


class History:
    """What a table was, and what happened to it."""

    def __init__(self, log: CommitLog, registry: Registry, scans: Scans, tags: Tags) -> None:
        self._log = log
        self._registry = registry
        self._scans = scans
        self._tags = tags

    def versions(self, table: TableRef, limit: int | None) -> list[Version]:
        """The history of the table that has the name now, newest first. NotFound."""
        found = self._registry.resolve(table)
        tags = defaultdict(list)
        for tag in self._tags.of(found.table):
            tags[tag.snapshot].append(tag.name)
        history = views.versions if found.spec.kind is Kind.VIEW else catalog.versions
        listed = history(self._log.instance, found.table, found.snapshot, limit)
        return [replace(version, tags=tuple(tags[version.snapshot])) for version in listed]

    def diff(
        self, table: TableRef, older: int, newer: int, cancellation: Cancellation
    ) -> BatchStream:
        """See `SupportsVersions.diff`."""
        if older > newer:
            raise InvalidRequest(
                f"The older version {older} comes after the newer {newer}. Exchange them."
            )
        after, _ = self._then(table, newer)
        before, same = self._then(table, older)
        names = self._shared_names(before, after) if same else {}
        schema, sql = difference(before, after, names, same)
        return self._scans.rows(schema, sql, older, cancellation)

    def changes(
        self, table: TableRef, request: ChangesRequest, cancellation: Cancellation
    ) -> BatchStream:
        """See `SupportsChanges.changes`. NotFound (version_not_found) naming the oldest left."""
        until = self._log.snapshot if request.until is None else request.until
        if not 0 <= request.after <= until:
            self._registry.check_version(request.after)
        self._registry.check_version(until)
        found = self._registry.resolve(table, until)
        oldest = min(request.after, until)
        # Pinned from before the look at what is left until the stream itself is open.
        with self._log.pins.stream(oldest):
            start = self._first_followed(found, request.after, until)
            schema = pa.schema([*CHANGE_COLUMNS, *map(_nullable, found.schema)])
            number = catalog.table_id(self._log.instance, found.table, until)
            deletes = catalog.deletes(self._log.instance, number, start, until)
            columns = catalog.column_ids(self._log.instance, number, until)
            sql = _changes_sql(found, tuple(columns), start, until, request.images, deletes)
            return self._scans.rows(schema, sql, oldest, cancellation)

    def restore(self, transaction: WriteTransaction, table: TableRef, version: int) -> TableVersion:
        """The table as it was at `version`, written in the transaction."""
        found = self._registry.resolve(table)
        old, same = self._then(table, version)
        alike = tables.is_kept_alike(found.spec, old.spec)
        transaction.note(found.table, "inserted", "updated", "deleted")
        if alike and same:
            _restore_rows(transaction, found.table, old, version)
        else:
            _restore_all(transaction, found, old, version, reshaped=not alike)
        self._registry.put(transaction, found.table, old.spec)
        return found

    def undrop(self, transaction: WriteTransaction, table: TableRef) -> TableVersion:
        """The table as it was just before it was dropped: that version. NotFound; AlreadyExists."""
        tables.check_free(transaction, self._registry, table)
        old = self._registry.resolve(table, self._last_seen(table))
        self.bring_back(transaction, old)
        return old

    def bring_back(self, transaction: WriteTransaction, old: TableVersion) -> None:
        """A table that is no longer there, as it was at a version."""
        # Once a new table has the name, the transaction no longer finds the old one under it.
        aside = replace(old.table, name="_pixelflight_undropped")
        tables.create_table(transaction, self._registry, aside, old.spec)
        self._insert_all(transaction, aside, old, old.snapshot)
        tables.rename_table(transaction, self._registry, aside, old.table)

    def _insert_all(
        self, transaction: WriteTransaction, table: TableRef, old: TableVersion, version: int
    ) -> None:
        names = _names(old.spec)
        transaction.run(
            f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {old.table.sql} "
            f"AT (VERSION => {version})"
        )

    def _last_seen(self, table: TableRef) -> int:
        """The snapshot before the last table of the name was dropped. NotFound."""
        rows = self._log.instance.rows(
            f"SELECT max(t.end_snapshot) FROM {METADATA}.ducklake_table t "
            f"JOIN {METADATA}.ducklake_schema s USING (schema_id) "
            "WHERE lower(t.table_name) = lower(?) AND lower(s.schema_name) = lower(?) "
            # A table that only lost this name lives on under another one.
            f"AND NOT EXISTS (FROM {METADATA}.ducklake_table later "
            "WHERE later.table_id = t.table_id AND later.begin_snapshot = t.end_snapshot)",
            [table.name, table.namespace],
        )
        if rows[0][0] is None:
            raise table_not_found(table)
        return int(rows[0][0]) - 1

    def _then(self, table: TableRef, version: int) -> tuple[TableVersion, bool]:
        """What the table was at a version, and whether it was itself, so that row ids compare.

        A table that bore another name then is found under that; one that did not exist then is
        what bore its name.
        """
        found = self._registry.resolve(table)
        self._registry.check_version(version)
        number = catalog.table_id(self._log.instance, found.table, found.snapshot)
        name = catalog.name_of(self._log.instance, number, version)
        return self._registry.resolve(name or found.table, version), name is not None

    def _shared_names(self, before: TableVersion, after: TableVersion) -> dict[str, str]:
        """The columns that both versions of a table have: what each was called before."""
        instance = self._log.instance
        number = catalog.table_id(instance, after.table, after.snapshot)
        then = catalog.column_ids(instance, number, before.snapshot)
        now = catalog.column_ids(instance, number, after.snapshot)
        was = {number: name for name, number in then.items()}
        return {name: was[number] for name, number in now.items() if number in was}

    def _first_followed(self, found: TableVersion, after: int, until: int) -> int:
        """The first snapshot whose changes are told: after `after`, and not before the table.

        NotFound where one between has expired: a gap is never jumped in silence.
        """
        instance = self._log.instance
        number = catalog.table_id(instance, found.table, until)
        made, missing, oldest = instance.rows(
            f"SELECT (SELECT min(begin_snapshot) FROM {METADATA}.ducklake_table "
            "WHERE table_id = $1), $3 - $2 - count(*) FILTER (snapshot_id > $2 "
            "AND snapshot_id <= $3), min(snapshot_id) "
            f"FROM {METADATA}.ducklake_snapshot",
            [number, after, until],
        )[0]
        if missing > 0:
            raise NotFound(
                f"The changes after {after} are no longer all there: snapshots have expired. "
                f"The oldest one left is {oldest}; read the table anew and follow from there.",
                code=ErrorCode.VERSION_NOT_FOUND,
                details={"oldest": oldest},
            )
        return max(after + 1, int(made))


def _restore_all(
    transaction: WriteTransaction,
    found: TableVersion,
    old: TableVersion,
    version: int,
    reshaped: bool,
) -> None:
    """Every row is written anew.

    They are staged: the past of a table loses the rows that its present loses in the transaction.
    """
    names = _names(old.spec)
    transaction.run(
        f"CREATE OR REPLACE TEMP TABLE {PAST} AS SELECT {names} FROM {old.table.sql} "
        f"AT (VERSION => {version})"
    )
    transaction.run(f"DELETE FROM {found.table.sql}")
    if reshaped:
        tables.reshape(transaction, found.table, found.spec, old.spec)
    transaction.run(f"INSERT INTO {found.table.sql} ({names}) SELECT {names} FROM temp.{PAST}")


def _restore_rows(
    transaction: WriteTransaction, table: TableRef, old: TableVersion, version: int
) -> None:
    """Only what differs is written, and rows keep their ids, so that followers see little."""
    past = f"{old.table.sql} AT (VERSION => {version})"
    columns = [quoted(name) for name in old.schema.names]
    kept, was = (", ".join(f"{side}.{c}" for c in columns) for side in ("kept", "was"))
    transaction.run(f"DELETE FROM {table.sql} WHERE rowid NOT IN (SELECT rowid FROM {past})")
    transaction.run(
        f"MERGE INTO {table.sql} AS kept USING (SELECT rowid AS {_ROW}, * FROM {past}) AS was "
        f"ON kept.rowid = was.{_ROW} "
        f"WHEN MATCHED AND row({kept}) IS DISTINCT FROM row({was}) "
        f"THEN UPDATE SET {', '.join(f'{c} = was.{c}' for c in columns)} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) VALUES ({was})"
    )


def _changes_sql(
    found: TableVersion,
    names: Sequence[str],
    start: int,
    until: int,
    images: Images,
    deletes: Sequence[tuple[int, str, str]],
) -> str:
    """Rows that came and rows that went; one that did both in a commit was updated.

    DuckLake's table_changes dates the deletes of rows wrong whose versions were flushed into one
    file, and tells of files written anew. Asked for one snapshot it is right, so it is asked for
    each that deleted something, by the name that the table had in it.
    """
    table = _argument(found.table.namespace, found.table.name)
    upkeep = " OR ".join(f"starts_with(changes_made, '{verb}:')" for verb in catalog.MAINTENANCE)
    # Under names of ours, for a table may have a column that is called as DuckLake calls its own.
    ours = [quoted(f"{HIDDEN_PREFIX}_{place}") for place in range(len(names))]
    fed = f"AS fed({', '.join(ours)})"
    shown = ", ".join(f"{our} AS {quoted(name)}" for our, name in zip(ours, names, strict=True))
    came = (
        f"SELECT rowid AS {_ROW}, snapshot_id AS {_AT}, {shown} "
        f"FROM ducklake_table_insertions({table}, {min(start, until)}, {until}) {fed} "
        f"WHERE {start} <= {until} AND snapshot_id NOT IN (SELECT snapshot_id "
        f"FROM {METADATA}.ducklake_snapshot_changes WHERE {upkeep})"
    )
    went = " UNION ALL ".join(
        f"SELECT rowid AS {_ROW}, {snapshot}::BIGINT AS {_AT}, {shown} "
        f"FROM ducklake_table_deletions({_argument(namespace, name)}, {snapshot}, {snapshot}) {fed}"
        for snapshot, namespace, name in deletes
    )
    columns = ", ".join(_expression(field) for field in found.schema)
    parts = [_told("came", "went", "insert", "update_postimage", columns)]
    if images is Images.BOTH:
        parts.append(_told("went", "came", "delete", "update_preimage", columns))
    else:
        parts.append(f"{_told('went', 'came', 'delete', '', columns)} AND NOT {_BOTH % 'came'}")
    # Before an after-image of the same row stands its before-image: 'pre' sorts behind 'post'.
    return (
        f"WITH came AS ({came}), went AS ({went or 'SELECT * FROM came WHERE false'}) "
        f"{' UNION ALL '.join(parts)} ORDER BY 1, 2, 3 DESC"
    )


def _argument(namespace: str, name: str) -> str:
    """A table as DuckLake's functions are given it."""
    return f"'{CATALOG}', {literal(namespace)}, {literal(name)}"


_BOTH = f"({_ROW}, {_AT}) IN (SELECT ({_ROW}, {_AT}) FROM %s)"


def _told(rows: str, others: str, alone: str, both: str, columns: str) -> str:
    kind = f"CASE WHEN {_BOTH % others} THEN '{both}' ELSE '{alone}' END"
    return f"SELECT {_AT}, {_ROW}, {kind}, {columns} FROM {rows} WHERE true"


def _expression(field: pa.Field) -> str:
    column = quoted(field.name)
    return f"{select_expression(field, column)} AS {column}"


def _nullable(field: pa.Field) -> pa.Field:
    return field.with_nullable(True)


def _names(spec: TableSpec) -> str:
    return ", ".join(quoted(name) for name in spec.schema.names)


def _key(table: TableRef) -> Key:
    return table.namespace.lower(), table.name.lower()
