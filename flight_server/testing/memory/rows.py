"""Writing rows into one table: the modes of ingest, update and delete.

Each function takes a table as it is and gives it as it will be, with the counts of what it did.
Knows nothing of tokens, commits or streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean
from flight_server.model import Commit, IngestMode
from flight_server.testing.memory.casts import cast_column, nulls
from flight_server.testing.memory.columns import (
    built,
    distinct_count,
    has_nulls,
    joined,
    matched,
    taken,
    taken_rows,
)
from flight_server.testing.memory.expressions import computed, constant, matching
from flight_server.testing.memory.state import TableState, column_position, numbers

NewIds = Callable[[int], range]
Written = tuple[TableState, Commit]


def put_rows(
    table: TableState,
    mode: IngestMode,
    key: tuple[str, ...],
    received: pa.Table,
    new_ids: NewIds,
) -> Written:
    """The table after the rows came in, and how many were inserted, updated and deleted."""
    rows = conform(table, received)
    if mode in (IngestMode.UPSERT, IngestMode.MERGE):
        key = check_key(table, key, rows, received)
        return _put_by_key(table, mode, key, rows, received, new_ids)
    replaced = table.rows.num_rows if mode is IngestMode.OVERWRITE else 0
    kept = delete_rows(table, None)[0] if mode is IngestMode.OVERWRITE else table
    count = rows.num_rows
    commit = Commit(0, rows=count, rows_inserted=count, rows_deleted=replaced)
    return _append(kept, rows, new_ids), commit


def update_rows(
    table: TableState, assignments: Mapping[str, str], condition: str | None, new_ids: NewIds
) -> Written:
    """The table with the columns assigned where the condition holds."""
    if not assignments:
        raise InvalidRequest("An update needs at least one column to set.")
    positions = matching(table.rows, condition)
    old = taken_rows(table.rows, positions)
    new = {table.position(name): name for name in assignments}
    columns = list(table.rows.columns)
    for at, name in new.items():
        field = table.spec.schema.field(at)
        values = computed(old, assignments[name], field)
        check_nulls(field, values)
        columns[at] = _spliced(columns[at], values, positions)
    count = len(positions)
    return (
        table.with_rows(
            built(table.spec.schema, lambda at: columns[at]),
            table.row_ids,
            _spliced(table.stamps, numbers(new_ids(count)), positions),
        ),
        Commit(0, rows=count, rows_updated=count),
    )


def delete_rows(table: TableState, condition: str | None) -> Written:
    """The table without the rows where the condition holds."""
    gone = set(matching(table.rows, condition))
    kept = [at for at in range(table.rows.num_rows) if at not in gone]
    return select_rows(table, kept), Commit(0, rows=len(gone), rows_deleted=len(gone))


def select_rows(table: TableState, positions: Sequence[int]) -> TableState:
    """The table with only these of its rows."""
    return table.with_rows(
        taken_rows(table.rows, positions),
        taken(table.row_ids, positions),
        taken(table.stamps, positions),
    )


def conform(table: TableState, received: pa.Table) -> pa.Table:
    """The rows in the table's own schema: matched by name, cast, defaults filled in."""
    schema, given = table.spec.schema, _columns_given(table, received)
    columns = []
    for at, field in enumerate(schema):
        if at in given:
            values = cast_column(received.column(given[at]), field)
        else:
            values = default_values(table, field, received.num_rows)
        check_nulls(field, values)
        columns.append(values)
    return built(schema, lambda at: columns[at])


def default_values(table: TableState, field: pa.Field, count: int) -> pa.ChunkedArray:
    """What rows get in a column that was left out."""
    default = table.spec.defaults.get(field.name)
    return nulls(field.type, count) if default is None else constant(default, field, count)


def check_nulls(field: pa.Field, values: pa.ChunkedArray) -> None:
    """INVALID_DATA where the column forbids nulls and there are some."""
    if not field.nullable and has_nulls(values):
        raise InvalidRequest(
            f"The column '{field.name}' does not allow nulls, and the rows hold some.",
            code=ErrorCode.INVALID_DATA,
        )


def check_key(
    table: TableState, key: tuple[str, ...], rows: pa.Table, received: pa.Table
) -> tuple[str, ...]:
    """The key to match by, in the table's spelling; the rows must have it, once each."""
    chosen = tuple(table.column(name).name for name in key or table.spec.key)
    if not chosen:
        raise InvalidRequest(
            f"The table '{table.ref}' has no key: name the columns to match by in 'key'."
        )
    for name in chosen:
        if name.casefold() not in [given.casefold() for given in received.schema.names]:
            raise InvalidRequest(
                f"The key column '{name}' is missing from the rows.",
                code=ErrorCode.SCHEMA_MISMATCH,
            )
        if has_nulls(rows.column(name)):
            raise InvalidRequest(
                f"The key column '{name}' holds nulls.", code=ErrorCode.INVALID_DATA
            )
    if distinct_count(rows.select(chosen)) < rows.num_rows:
        names = ", ".join(f"'{name}'" for name in chosen)
        raise InvalidRequest(
            f"Several of the rows have the same key ({names}).", code=ErrorCode.INVALID_DATA
        )
    return chosen


def _columns_given(table: TableState, received: pa.Table) -> dict[int, int]:
    """For each of the table's columns that came: its position, and the one it came at."""
    schema, given = table.spec.schema, {}
    known = {name.casefold() for name in schema.names}
    for at, name in enumerate(received.schema.names):
        if name.casefold() not in known:
            near = did_you_mean(name, schema.names)
            raise InvalidRequest(
                f"The table '{table.ref}' has no column '{name}'.{near}",
                code=ErrorCode.SCHEMA_MISMATCH,
            )
        target = column_position(schema, name)
        if target in given:
            raise InvalidRequest(
                f"The rows have the column '{name}' twice.", code=ErrorCode.SCHEMA_MISMATCH
            )
        given[target] = at
    return given


def _append(table: TableState, rows: pa.Table, new_ids: NewIds) -> TableState:
    return table.with_rows(
        built(rows.schema, lambda at: joined(table.rows.column(at), rows.column(at))),
        joined(table.row_ids, numbers(new_ids(rows.num_rows))),
        joined(table.stamps, numbers(new_ids(rows.num_rows))),
    )


def _put_by_key(
    table: TableState,
    mode: IngestMode,
    key: tuple[str, ...],
    rows: pa.Table,
    received: pa.Table,
    new_ids: NewIds,
) -> Written:
    pairs = matched(table.rows.select(key), rows.select(key))
    known = set(pairs.values())
    given = _columns_given(table, received) if mode is IngestMode.MERGE else range(len(rows.schema))
    if set(given) <= {table.position(name) for name in key}:
        # There is nothing to set, so no row is updated.
        pairs = {}
    old, new = list(pairs), taken_rows(rows, list(pairs.values()))
    updated = table.with_rows(
        built(
            rows.schema,
            lambda at: (
                _spliced(table.rows.column(at), new.column(at), old)
                if at in given
                else table.rows.column(at)
            ),
        ),
        table.row_ids,
        _spliced(table.stamps, numbers(new_ids(len(old))), old),
    )
    others = [at for at in range(rows.num_rows) if at not in known]
    commit = Commit(0, rows=rows.num_rows, rows_updated=len(old), rows_inserted=len(others))
    return _append(updated, taken_rows(rows, others), new_ids), commit


def _spliced(
    old: pa.ChunkedArray, new: pa.ChunkedArray, positions: Sequence[int]
) -> pa.ChunkedArray:
    """The old values, with the new ones at the positions."""
    order = list(range(len(old)))
    for at, position in enumerate(positions):
        order[position] = len(old) + at
    return taken(joined(old, new), order)
