"""Changing columns and properties of a table that is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa

from flight_server.engines.lake import catalog
from flight_server.engines.lake.checks import check_rows, check_rules, rules_of
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.inbound import Inbound
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.rule_changes import refuse_checked, with_rule
from flight_server.engines.lake.tables import (
    add_column,
    checked_spec,
    parsed_partition,
    partition,
    partitioned,
    set_partitioning,
    true_name,
)
from flight_server.engines.lake.types import select_expression, storage_type
from flight_server.engines.outbound import Outbound
from flight_server.errors import AlreadyExists, ErrorCode, InvalidRequest, Unsupported
from flight_server.model import (
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
    TableVersion,
    check_name,
    quoted,
)

BATCH_ROWS = 65_536
# Each holds all values of those before it, and DuckLake reads old files as the new type.
_WIDTHS = (
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
    ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    ("FLOAT", "DOUBLE"),
)


def alter_table(
    transaction: WriteTransaction,
    registry: Registry,
    table: TableRef,
    changes: Sequence[SchemaChange],
) -> None:
    """All changes in order. NotFound; AlreadyExists; InvalidRequest."""
    found = registry.resolve(table, transaction=transaction)
    spec, widened = found.spec, _to_widen(transaction, found.table, changes)
    for change in changes:
        spec = _changed(transaction, found.table, spec, change, widened)
    spec = checked_spec(spec)
    _check_rules(transaction, replace(found, spec=spec), found.spec)
    transaction.note(found.table, "altered")
    registry.put(transaction, found.table, spec)


def check_required(
    transaction: WriteTransaction, table: TableRef, schema: pa.Schema, names: Iterable[str]
) -> None:
    """InvalidRequest (invalid_data) where one of the columns now holds a null and must not."""
    for name in names:
        column = quoted(name)
        if not schema.field(name).nullable and transaction.run(
            f"SELECT 1 FROM {table.sql} WHERE {column} IS NULL LIMIT 1"
        ):
            raise InvalidRequest(
                f"The column '{name}' of '{table}' must not be null.",
                code=ErrorCode.INVALID_DATA,
            )


def _check_rules(transaction: WriteTransaction, found: TableVersion, before: TableSpec) -> None:
    """Judges the rows that are there by the rules that are new, or concern what has changed."""
    if not rules_of(found.spec):
        return
    check_rules(transaction, found.table, found.spec)
    known = {rule.condition for rule in rules_of(before)}
    old = {field.name: field.type for field in before.schema}
    changed = {field.name for field in found.schema if old.get(field.name) != field.type}
    fresh = [
        rule
        for rule in rules_of(found.spec)
        if rule.condition not in known or not rule.columns.isdisjoint(changed)
    ]
    check_rows(transaction, found, fresh)


def _to_widen(
    transaction: WriteTransaction, table: TableRef, changes: Sequence[SchemaChange]
) -> frozenset[str]:
    """The columns, in lower case, whose type DuckLake may change in its place.

    Of a column that it has widened, DuckLake 1.5.5 forgets within the transaction what older files
    were to have in it; an UPDATE or another ALTER then makes nulls of that.
    """
    if transaction.made(table) or not any(isinstance(one, RetypeColumn) for one in changes):
        return frozenset()
    log = transaction.log
    number = catalog.table_id(log.instance, table, log.snapshot)
    added = {one.field.name.lower() for one in changes if isinstance(one, AddColumn)}
    renamed = {one.new_name.lower() for one in changes if isinstance(one, RenameColumn)}
    return catalog.plain_columns(log.instance, number, log.snapshot) - added - renamed


def _changed(
    transaction: WriteTransaction,
    table: TableRef,
    spec: TableSpec,
    change: SchemaChange,
    widened: frozenset[str],
) -> TableSpec:
    """The spec after one change, which is made to the table."""
    match change:
        case AddColumn(field, default):
            return _with_column(transaction, table, spec, field, default)
        case DropColumn(name):
            return _without_column(transaction, table, spec, true_name(spec.schema, name))
        case RenameColumn(name, new_name):
            old = true_name(spec.schema, name)
            return _with_new_name(transaction, table, spec, old, new_name)
        case RetypeColumn(name, kind):
            old = true_name(spec.schema, name)
            may_widen = name.lower() in widened
            return _with_new_type(transaction, table, spec, old, kind, may_widen)
        case SetDefault(name, default):
            return _with_default(transaction, table, spec, true_name(spec.schema, name), default)
        case SetNullable(name, nullable):
            return _with_nullable(transaction, table, spec, true_name(spec.schema, name), nullable)
        case SetKey(key):
            return replace(spec, key=tuple(true_name(spec.schema, name) for name in key))
        case SetComment(comment):
            return replace(spec, comment=comment)
        case SetPartitioning(partition_by):
            named = tuple(partition(spec.schema, text) for text in partition_by)
            set_partitioning(transaction, table, named)
            return replace(spec, partition_by=named)
        case SetConstraint() | SetCheck() | DropCheck() | SetColumnComment():
            return with_rule(spec, change)


def _with_column(
    transaction: WriteTransaction,
    table: TableRef,
    spec: TableSpec,
    field: pa.Field,
    default: str | None,
) -> TableSpec:
    if field.name.lower() in {name.lower() for name in spec.schema.names}:
        raise AlreadyExists(f"The table '{table}' has a column '{field.name}' already.")
    if default is None and not field.nullable and _has_rows(transaction, table):
        raise InvalidRequest(
            f"The column '{field.name}' must not be null, and '{table}' has rows. Give a default.",
            code=ErrorCode.INVALID_DATA,
        )
    defaults = {**spec.defaults, **({field.name: default} if default is not None else {})}
    spec = replace(spec, schema=spec.schema.append(field), defaults=defaults)
    add_column(transaction, table, spec, field)
    return spec


def _without_column(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, name: str
) -> TableSpec:
    if len(spec.schema) == 1:
        raise InvalidRequest(f"'{name}' is the only column of '{table}'; drop the table instead.")
    for what, names in (("key", spec.key), ("partitioning", map(partitioned, spec.partition_by))):
        if name in tuple(names):
            raise InvalidRequest(f"The column '{name}' is part of the {what} of '{table}'.")
    refuse_checked(table, spec, name)
    transaction.run(f"ALTER TABLE {table.sql} DROP {quoted(name)}")
    schema = spec.schema.remove(spec.schema.get_field_index(name))
    return replace(
        spec,
        schema=schema,
        defaults={other: text for other, text in spec.defaults.items() if other != name},
        constraints={other: one for other, one in spec.constraints.items() if other != name},
    )


def _with_new_name(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, old: str, new: str
) -> TableSpec:
    check_name(new, "column name")
    if new.lower() != old.lower() and new.lower() in {n.lower() for n in spec.schema.names}:
        raise AlreadyExists(f"The table '{table}' has a column '{new}' already.")
    refuse_checked(table, spec, old)
    transaction.run(f"ALTER TABLE {table.sql} RENAME {quoted(old)} TO {quoted(new)}")
    return replace(
        spec,
        schema=_with_field(spec.schema, old, spec.schema.field(old).with_name(new)),
        key=tuple(new if name == old else name for name in spec.key),
        partition_by=tuple(_renamed_partition(text, old, new) for text in spec.partition_by),
        defaults={new if name == old else name: text for name, text in spec.defaults.items()},
        constraints={new if name == old else name: c for name, c in spec.constraints.items()},
    )


def _with_new_type(
    transaction: WriteTransaction,
    table: TableRef,
    spec: TableSpec,
    name: str,
    kind: pa.DataType,
    may_widen: bool,
) -> TableSpec:
    """Another type that loses nothing. A column that has to be rewritten for it comes last."""
    old = spec.schema.field(name)
    new = old.with_type(kind)
    inbound = _conversion(old, new)
    before, after = storage_type(old), storage_type(new)
    if before == after:
        _check_kept_alike(transaction, table, old, inbound)
        return replace(spec, schema=_with_field(spec.schema, name, new))
    column = quoted(name)
    if may_widen and _is_wider(before, after):
        transaction.run(f"ALTER TABLE {table.sql} ALTER {column} SET DATA TYPE {after}")
        return replace(spec, schema=_with_field(spec.schema, name, new))
    there_and_back = f"TRY_CAST(TRY_CAST({column} AS {after}) AS {before})"
    lost = transaction.count(
        f"SELECT count(*) FROM {table.sql} WHERE {there_and_back} IS DISTINCT FROM {column}"
    )
    if lost:
        raise InvalidRequest(
            f"{lost} values of the column '{name}' ({old.type}) would not survive as {kind}.",
            code=ErrorCode.INVALID_DATA,
        )
    _rewrite_column(transaction, table, name, after)
    others = spec.schema.remove(spec.schema.get_field_index(name))
    return replace(spec, schema=others.append(new))


def _conversion(old: pa.Field, new: pa.Field) -> Inbound:
    """What rows of the old type become; nobody sends any, so the remedy is not to cast them."""
    try:
        return Inbound(pa.schema([old]), pa.schema([new]))
    except InvalidRequest as error:
        raise InvalidRequest(
            f"The column '{old.name}' ({old.type}) cannot become {new.type} without risk. Add a "
            "column of the new type and update it with a CAST of this one.",
            code=error.code,
            details=error.details,
        ) from error


def _is_wider(before: str, after: str) -> bool:
    """Whether DuckLake changes the type in its place, without writing a file."""
    for widths in _WIDTHS:
        if before in widths and after in widths:
            return widths.index(before) < widths.index(after)
    return False


def _check_kept_alike(
    transaction: WriteTransaction, table: TableRef, old: pa.Field, inbound: Inbound
) -> None:
    """Refuses values that the new type cannot hold, or would keep as other numbers."""
    unchanged = Inbound(pa.schema([old]), pa.schema([old]))
    expression = select_expression(old, quoted(old.name))
    answer = transaction.connection.execute(f"SELECT {expression} FROM {table.sql}")
    reader = answer.to_arrow_reader(BATCH_ROWS)
    outbound = Outbound(pa.schema([old]), reader.schema)
    for batch in reader:
        for part in outbound.convert(batch):
            if not inbound.convert(part).column(0).equals(unchanged.convert(part).column(0)):
                raise Unsupported(
                    f"The values of the column '{old.name}' ({old.type}) would have to be computed "
                    f"anew. Add a column of the new type and update it from this one."
                )


def _rewrite_column(transaction: WriteTransaction, table: TableRef, name: str, kind: str) -> None:
    """A new column in the old one's place: DuckLake itself only widens types."""
    column, moved = quoted(name), quoted("_pixelflight_moved")
    transaction.run(f"ALTER TABLE {table.sql} RENAME {column} TO {moved}")
    transaction.run(f"ALTER TABLE {table.sql} ADD COLUMN {column} {kind}")
    transaction.run(f"UPDATE {table.sql} SET {column} = CAST({moved} AS {kind})")
    transaction.run(f"ALTER TABLE {table.sql} DROP {moved}")


def _with_default(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, name: str, text: str | None
) -> TableSpec:
    action = "DROP DEFAULT" if text is None else f"SET DEFAULT {text}"
    transaction.run(f"ALTER TABLE {table.sql} ALTER {quoted(name)} {action}")
    defaults = {other: value for other, value in spec.defaults.items() if other != name}
    return replace(spec, defaults=defaults if text is None else {**defaults, name: text})


def _with_nullable(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, name: str, nullable: bool
) -> TableSpec:
    field = spec.schema.field(name)
    if field.nullable == nullable:
        return spec
    if not nullable:
        nulls = transaction.count(f"SELECT count(*) FROM {table.sql} WHERE {quoted(name)} IS NULL")
        if nulls:
            raise InvalidRequest(
                f"The column '{name}' of '{table}' holds {nulls} nulls; update them first.",
                code=ErrorCode.INVALID_DATA,
            )
    return replace(spec, schema=_with_field(spec.schema, name, field.with_nullable(nullable)))


def _renamed_partition(text: str, old: str, new: str) -> str:
    function, inner, plain = parsed_partition(text)
    if function:
        return f"{function}({new})" if inner == old else text
    return new if plain == old else text


def _with_field(schema: pa.Schema, name: str, field: pa.Field) -> pa.Schema:
    return schema.set(schema.get_field_index(name), field)


def _has_rows(transaction: WriteTransaction, table: TableRef) -> bool:
    return bool(transaction.run(f"SELECT 1 FROM {table.sql} LIMIT 1"))
