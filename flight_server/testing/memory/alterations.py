"""Changes of a table's columns and properties, one function a kind.

Each takes a table as it is and gives it as it will be; the rows change only where a column comes,
goes or gets another type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import singledispatch
from typing import Any

import pyarrow as pa

from flight_server.errors import AlreadyExists, ErrorCode, InvalidRequest, NotFound
from flight_server.model import (
    COLUMN_COMMENT,
    AddColumn,
    DropCheck,
    DropColumn,
    RenameColumn,
    RetypeColumn,
    SchemaChange,
    SetCheck,
    SetColumnComment,
    SetComment,
    SetConstraint,
    SetDefault,
    SetKey,
    SetNullable,
    SetPartitioning,
    TableRef,
    TableSpec,
)
from flight_server.testing.memory.casts import cast_column
from flight_server.testing.memory.checks import checked_rules, refuse_checked
from flight_server.testing.memory.commits import Draft
from flight_server.testing.memory.rows import check_nulls, default_values
from flight_server.testing.memory.state import TableState
from flight_server.testing.memory.tables import (
    check_columns,
    check_defaults,
    checked_partitioning,
    partition_column,
)

NewIds = Callable[[int], range]


def alter_table(table: TableState, changes: Sequence[SchemaChange], new_ids: NewIds) -> TableState:
    """The table after all the changes, in their order."""
    for change in changes:
        if isinstance(change, AddColumn):
            table = _add_column(table, change, new_ids)
        else:
            table = _altered(change, table)
    return replace(table, spec=checked_rules(table.spec))


def alter_in(draft: Draft, table: TableRef, changes: Sequence[SchemaChange]) -> None:
    """Alters a drafted table. TABLE_NOT_FOUND."""
    draft.put(alter_table(draft.state.table(table), changes, draft.new_ids), "altered")


def _add_column(table: TableState, change: AddColumn, new_ids: NewIds) -> TableState:
    _refuse_taken(table, change.field.name)
    schema = table.spec.schema.append(change.field)
    check_columns(schema)
    added = {} if change.default is None else {change.field.name: change.default}
    check_defaults(schema, added)
    spec = replace(table.spec, schema=schema, defaults={**table.spec.defaults, **added})
    table = replace(table, spec=spec)
    values = default_values(table, change.field, table.rows.num_rows)
    check_nulls(change.field, values)
    return _with_columns(
        table, spec, [*table.rows.columns, values], (*table.column_ids, *new_ids(1))
    )


@singledispatch
def _altered(change: Any, table: TableState) -> TableState:
    raise AssertionError(f"no such change: {change!r}")


@_altered.register
def _drop_column(change: DropColumn, table: TableState) -> TableState:
    spec, at = table.spec, table.position(change.name)
    name = spec.schema.field(at).name
    if name in spec.key or name in map(partition_column, spec.partition_by):
        raise InvalidRequest(f"The column '{name}' is part of the key or of the partitioning.")
    if len(spec.schema) == 1:
        raise InvalidRequest(f"'{name}' is the only column: drop the table instead.")
    refuse_checked(table, name)
    spec = replace(
        spec,
        schema=spec.schema.remove(at),
        defaults={known: text for known, text in spec.defaults.items() if known != name},
        constraints={known: one for known, one in spec.constraints.items() if known != name},
    )
    columns, ids = list(table.rows.columns), list(table.column_ids)
    del columns[at], ids[at]
    return _with_columns(table, spec, columns, tuple(ids))


@_altered.register
def _rename_column(change: RenameColumn, table: TableState) -> TableState:
    at = table.position(change.name)
    old, new = table.spec.schema.field(at), change.new_name
    if new.casefold() != old.name.casefold():
        _refuse_taken(table, new)
    refuse_checked(table, old.name)
    schema = table.spec.schema.set(at, old.with_name(new))
    check_columns(schema)

    def renamed(name: str) -> str:
        return new if name == old.name else name

    spec = replace(
        table.spec,
        schema=schema,
        key=tuple(map(renamed, table.spec.key)),
        defaults={renamed(name): text for name, text in table.spec.defaults.items()},
        constraints={renamed(name): one for name, one in table.spec.constraints.items()},
        partition_by=tuple(_renamed_term(term, old.name, new) for term in table.spec.partition_by),
    )
    return _with_columns(table, spec, table.rows.columns, table.column_ids)


def _renamed_term(term: str, old: str, new: str) -> str:
    if partition_column(term) != old:
        return term
    return new if term == old else term.removesuffix(f"({old})") + f"({new})"


@_altered.register
def _retype_column(change: RetypeColumn, table: TableState) -> TableState:
    at = table.position(change.name)
    field = table.spec.schema.field(at).with_type(change.type)
    spec = replace(table.spec, schema=table.spec.schema.set(at, field))
    columns = list(table.rows.columns)
    columns[at] = cast_column(columns[at], field)
    defaults = {name: text for name, text in spec.defaults.items() if name == field.name}
    check_defaults(spec.schema, defaults)
    return _with_columns(table, spec, columns, table.column_ids)


@_altered.register
def _set_default(change: SetDefault, table: TableState) -> TableState:
    name = table.column(change.name).name
    defaults = {known: text for known, text in table.spec.defaults.items() if known != name}
    if change.default is not None:
        defaults[name] = change.default
    check_defaults(table.spec.schema, defaults)
    return replace(table, spec=replace(table.spec, defaults=defaults))


@_altered.register
def _set_nullable(change: SetNullable, table: TableState) -> TableState:
    at = table.position(change.name)
    field = table.spec.schema.field(at).with_nullable(change.nullable)
    check_nulls(field, table.rows.column(at))
    spec = replace(table.spec, schema=table.spec.schema.set(at, field))
    return _with_columns(table, spec, table.rows.columns, table.column_ids)


@_altered.register
def _set_key(change: SetKey, table: TableState) -> TableState:
    key = tuple(table.column(name).name for name in change.key)
    return replace(table, spec=replace(table.spec, key=key))


@_altered.register
def _set_comment(change: SetComment, table: TableState) -> TableState:
    return replace(table, spec=replace(table.spec, comment=change.comment))


@_altered.register
def _set_partitioning(change: SetPartitioning, table: TableState) -> TableState:
    terms = checked_partitioning(table.spec.schema, change.partition_by)
    return replace(table, spec=replace(table.spec, partition_by=terms))


@_altered.register
def _set_constraint(change: SetConstraint, table: TableState) -> TableState:
    name = table.column(change.name).name
    others = {known: one for known, one in table.spec.constraints.items() if known != name}
    kept = others | ({name: change.constraint} if change.constraint else {})
    return replace(table, spec=replace(table.spec, constraints=kept))


@_altered.register
def _set_check(change: SetCheck, table: TableState) -> TableState:
    checks = {**table.spec.checks, change.name: change.predicate}
    return replace(table, spec=replace(table.spec, checks=checks))


@_altered.register
def _drop_check(change: DropCheck, table: TableState) -> TableState:
    if change.name not in table.spec.checks:
        raise NotFound(f"There is no check '{change.name}'.")
    checks = {name: text for name, text in table.spec.checks.items() if name != change.name}
    return replace(table, spec=replace(table.spec, checks=checks))


@_altered.register
def _set_column_comment(change: SetColumnComment, table: TableState) -> TableState:
    at = table.position(change.name)
    field = table.spec.schema.field(at)
    noted = {**(field.metadata or {}), COLUMN_COMMENT: change.comment.encode()}
    if not change.comment:
        del noted[COLUMN_COMMENT]
    field = field.with_metadata(noted) if noted else field.remove_metadata()
    spec = replace(table.spec, schema=table.spec.schema.set(at, field))
    return _with_columns(table, spec, table.rows.columns, table.column_ids)


def _with_columns(
    table: TableState,
    spec: TableSpec,
    columns: Sequence[pa.ChunkedArray],
    ids: tuple[int, ...],
) -> TableState:
    rows = pa.Table.from_arrays(list(columns), schema=spec.schema)
    return replace(table, spec=spec, rows=rows, column_ids=ids)


def _refuse_taken(table: TableState, name: str) -> None:
    if name.casefold() in [known.casefold() for known in table.spec.schema.names]:
        raise AlreadyExists(
            f"The table '{table.ref}' has a column '{name}' already.",
            code=ErrorCode.ALREADY_EXISTS,
        )
