"""What happened to a table: its versions, the difference between two, the feed of changes.

Rows are told apart by their ids, and a row has changed when its stamp has: values are compared
only where a net difference is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from flight_server.errors import InvalidRequest
from flight_server.model import (
    CHANGE_COLUMNS,
    ChangesRequest,
    Images,
    SchemaVersion,
    TableInfo,
    TableRef,
    Version,
)
from flight_server.testing.memory.casts import cast_column
from flight_server.testing.memory.columns import taken
from flight_server.testing.memory.commits import CommitLog
from flight_server.testing.memory.rows import default_values
from flight_server.testing.memory.state import Snapshot, TableState


@dataclass(frozen=True)
class Change:
    """One row of a feed: what happened, to which row, and where its values stand."""

    kind: str
    row_id: int
    table: TableState
    position: int


def snapshots_of(log: CommitLog, table_id: int) -> list[Snapshot]:
    """The snapshots that changed the table, oldest first."""
    return [snapshot for snapshot in log.snapshots if table_id in snapshot.kinds]


def version_of(snapshot: Snapshot, table_id: int, tags: tuple[str, ...]) -> Version:
    """The snapshot as the table's history lists it."""
    author = snapshot.author
    return Version(
        snapshot.id,
        snapshot.committed_at,
        snapshot.kinds[table_id],
        author.principal,
        author.reason,
        tags,
    )


def schema_version_of(snapshot: Snapshot, table_id: int) -> SchemaVersion:
    """What the table was once the snapshot was made."""
    table = snapshot.state.find_id(table_id)
    assert table is not None, "a table that is there now was there since it was made"
    columns = dict(zip(table.spec.schema.names, table.column_ids, strict=True))
    version = version_of(snapshot, table_id, ())
    return SchemaVersion(version, table.ref, table.spec, table.id, columns)


def described(log: CommitLog, table: TableState, snapshot: Snapshot) -> TableInfo:
    """The table with everything known about it; it counts as one file if it has rows."""
    changed = [s for s in snapshots_of(log, table.id) if s.id <= snapshot.id]
    return TableInfo(
        table.ref,
        table.spec,
        snapshot.id,
        rows=table.rows.num_rows,
        bytes=table.rows.nbytes,
        files=min(1, table.rows.num_rows),
        versions=len(changed),
        created_at=changed[0].committed_at if changed else table.created_at,
        changed_at=changed[-1].committed_at if changed else table.created_at,
    )


def difference(log: CommitLog, table: TableRef, older: int, newer: int) -> pa.Table:
    """The net difference: only rows whose values are not what they were."""
    if older > newer:
        raise InvalidRequest(f"The older version {older} is newer than the newer one {newer}.")
    now = log.table_at(table, newer)
    then = log.at(older).state.find_id(now.id) or log.table_at(table, older)
    found = [
        change
        for pair in _changes_between(then, now)
        if len(pair) == 1 or not _same(*pair)
        for change in pair
    ]
    fields = [CHANGE_COLUMNS[2], CHANGE_COLUMNS[1]]
    kinds = pa.array([change.kind for change in found], pa.string())
    return _rows(now, found, fields, [kinds, _row_ids(found)])


def feed(log: CommitLog, table: TableRef, request: ChangesRequest) -> pa.Table:
    """Every change of every commit after one snapshot and up to another, in order."""
    until = log.at(request.until).id
    after = log.at(request.after).id
    now = log.table_at(table, until)
    found, snapshots = [], []
    for snapshot, change in _feed(log, now.id, after, until):
        if change.kind != "update_preimage" or request.images is Images.BOTH:
            found.append(change)
            snapshots.append(snapshot)
    kinds = pa.array([change.kind for change in found], pa.string())
    columns = [pa.array(snapshots, pa.int64()), _row_ids(found), kinds]
    return _rows(now, found, list(CHANGE_COLUMNS), columns)


def _feed(log: CommitLog, table_id: int, after: int, until: int) -> Iterator[tuple[int, Change]]:
    before: TableState | None = None
    for snapshot in snapshots_of(log, table_id):
        now = snapshot.state.find_id(table_id)
        # A drop and the return from it change no row: the feed goes on where it was.
        if now is None or snapshot.id > until:
            continue
        if snapshot.id > after:
            for pair in _changes_between(before, now):
                for change in pair:
                    yield snapshot.id, change
        before = now


def _changes_between(then: TableState | None, now: TableState) -> Iterator[tuple[Change, ...]]:
    """Deletes, then updates as pairs of images, then inserts."""
    new = _places(now)
    old = _places(then) if then is not None else {}
    for row_id, (at, _) in old.items():
        if then is not None and row_id not in new:
            yield (Change("delete", row_id, then, at),)
    for row_id, (at, stamp) in new.items():
        if then is not None and row_id in old and old[row_id][1] != stamp:
            before = Change("update_preimage", row_id, then, old[row_id][0])
            yield before, Change("update_postimage", row_id, now, at)
    for row_id, (at, _) in new.items():
        if row_id not in old:
            yield (Change("insert", row_id, now, at),)


def _places(table: TableState) -> dict[int, tuple[int, int]]:
    """For each row id where the row stands, and its stamp."""
    numbered = zip(table.row_ids.to_pylist(), table.stamps.to_pylist(), strict=True)
    return {row_id: (at, stamp) for at, (row_id, stamp) in enumerate(numbered)}


def _same(before: Change, after: Change) -> bool:
    """Whether the columns that both images have hold the same values."""
    for name, now in zip(after.table.spec.schema, after.table.column_ids, strict=True):
        if now in before.table.column_ids:
            old = _values(before, now, name)
            new = _values(after, now, name)
            if not old.equals(new) and repr(old.to_pylist()) != repr(new.to_pylist()):
                return False
    return True


def _rows(
    now: TableState, found: list[Change], fields: list[pa.Field], columns: list[pa.Array]
) -> pa.Table:
    """The changes as a table: the given columns, then the rows' values in the schema of now."""
    for at, field in enumerate(now.spec.schema):
        pieces = [_values(change, now.column_ids[at], field) for change in found]
        chunks = [chunk for piece in pieces for chunk in piece.chunks]
        columns.append(pa.chunked_array(chunks, field.type))
    schema = pa.schema([*fields, *now.spec.schema], metadata=now.spec.schema.metadata)
    return pa.Table.from_arrays(columns, schema=schema)


def _values(change: Change, column_id: int, field: pa.Field) -> pa.ChunkedArray:
    """One row's value in a column of now: cast if it has been retyped, default if it was not."""
    table = change.table
    if column_id not in table.column_ids:
        return default_values(table, field, 1)
    column = table.rows.column(table.column_ids.index(column_id))
    return cast_column(taken(column, [change.position]), field)


def _row_ids(found: list[Change]) -> pa.Array:
    return pa.array([change.row_id for change in found], pa.int64())
