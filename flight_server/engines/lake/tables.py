"""Making, changing and removing tables and namespaces.

Whether a column may be null is kept by us and checked on every way in: DuckLake sets NOT NULL only
on tables that the transaction has not touched, so no restore or overwrite could.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.instance import CATALOG, METADATA
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.types import storage_type
from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    InvalidRequest,
    NotFound,
    Unsupported,
    did_you_mean,
)
from flight_server.model import (
    AddColumn,
    DropColumn,
    NamespaceRef,
    RenameColumn,
    RetypeColumn,
    SchemaChange,
    SetComment,
    SetDefault,
    SetKey,
    SetNullable,
    SetPartitioning,
    TableRef,
    TableSpec,
    quoted,
)

_PARTITION = re.compile(r"(?:(year|month|day|hour)\((.+)\))|(.+)", re.IGNORECASE)


def namespaces(connection: Any) -> list[str]:
    """The names of all namespaces, the server's own included, sorted."""
    rows = connection.execute(
        f"SELECT schema_name FROM {METADATA}.ducklake_schema WHERE end_snapshot IS NULL ORDER BY 1"
    ).fetchall()
    return [name for (name,) in rows]


def create_namespace(transaction: WriteTransaction, namespace: NamespaceRef) -> None:
    """AlreadyExists."""
    known = {name.lower() for name in namespaces(transaction.connection)}
    if namespace.name.lower() in known:
        raise AlreadyExists(f"The namespace '{namespace}' exists already.")
    transaction.run(f"CREATE SCHEMA {CATALOG}.{quoted(namespace.name)}")


def drop_namespace(
    transaction: WriteTransaction, registry: Registry, namespace: NamespaceRef
) -> None:
    """NotFound; Conflict while tables are in it."""
    check_namespace(transaction, namespace.name)
    tables = registry.tables(namespace.name)
    if tables:
        raise Conflict(
            f"The namespace '{namespace}' holds {len(tables)} tables, '{tables[0]}' among them. "
            f"Drop them first.",
            details={"tables": [str(table) for table in tables]},
        )
    if namespace.name.lower() == "main":
        raise InvalidRequest("The namespace 'main' is the root and cannot be dropped.")
    transaction.run(f"DROP SCHEMA {CATALOG}.{quoted(namespace.name)}")


def check_namespace(transaction: WriteTransaction, name: str) -> None:
    """NotFound (namespace_not_found) with the nearest name."""
    check_known_namespace(namespaces(transaction.connection), name)


def check_known_namespace(known: Sequence[str], name: str) -> None:
    """NotFound (namespace_not_found) where none of the known ones has the name."""
    if name.lower() not in {other.lower() for other in known}:
        raise NotFound(
            f"There is no namespace '{name}'.{did_you_mean(name, known)}",
            code=ErrorCode.NAMESPACE_NOT_FOUND,
        )


def create_table(
    transaction: WriteTransaction, registry: Registry, table: TableRef, spec: TableSpec
) -> TableSpec:
    """The spec with true column names. AlreadyExists; NotFound (namespace_not_found)."""
    check_namespace(transaction, table.namespace)
    check_free(transaction, registry, table)
    spec = checked_spec(spec)
    columns = ", ".join(_column(spec, field) for field in spec.schema)
    transaction.run(f"CREATE TABLE {table.sql} ({columns})")
    if spec.partition_by:
        _set_partitioning(transaction, table, spec.partition_by)
    registry.put(transaction, table, spec)
    return spec


def checked_spec(spec: TableSpec) -> TableSpec:
    """The spec with its names in their true case; InvalidRequest where one is no column."""
    for field in spec.schema:
        storage_type(field)
    partition_by = tuple(_partition(spec.schema, text) for text in spec.partition_by)
    key = tuple(true_name(spec.schema, name) for name in spec.key)
    defaults = {true_name(spec.schema, name): text for name, text in spec.defaults.items()}
    return replace(spec, key=key, partition_by=partition_by, defaults=defaults)


def check_free(transaction: WriteTransaction, registry: Registry, table: TableRef) -> None:
    """AlreadyExists where a table has the name, whatever its case."""
    try:
        known = registry.resolve(table, transaction=transaction)
    except NotFound:
        return
    raise AlreadyExists(f"The table '{known.table}' exists already.")


def rename_table(
    transaction: WriteTransaction, registry: Registry, table: TableRef, to: TableRef
) -> None:
    """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
    found = registry.resolve(table, transaction=transaction)
    if (to.catalog, to.namespace.lower()) != (table.catalog, found.table.namespace.lower()):
        raise Unsupported(
            f"'{found.table}' cannot move to '{to}': a table keeps its namespace when renamed."
        )
    to = replace(to, namespace=found.table.namespace)
    if to.name.lower() != found.table.name.lower():
        check_free(transaction, registry, to)
    transaction.run(f"ALTER TABLE {found.table.sql} RENAME TO {quoted(to.name)}")
    registry.remove(transaction, found.table)
    registry.put(transaction, to, found.spec)


def drop_table(transaction: WriteTransaction, registry: Registry, table: TableRef) -> None:
    """NotFound."""
    found = registry.resolve(table, transaction=transaction)
    transaction.run(f"DROP TABLE {found.table.sql}")
    registry.remove(transaction, found.table)


def alter_table(
    transaction: WriteTransaction,
    registry: Registry,
    table: TableRef,
    changes: Sequence[SchemaChange],
) -> None:
    """All changes in order. NotFound; AlreadyExists; InvalidRequest."""
    found = registry.resolve(table, transaction=transaction)
    spec = found.spec
    for change in changes:
        spec = _changed(transaction, found.table, spec, change)
    registry.put(transaction, found.table, checked_spec(spec))


def reshape(
    transaction: WriteTransaction, table: TableRef, current: TableSpec, wanted: TableSpec
) -> None:
    """Gives an emptied table other columns without making it another table.

    Versions, row ids and change feeds go on over an overwrite with a new schema that way.
    """
    if current.partition_by:
        _set_partitioning(transaction, table, ())
    moved = [f"_pixelflight_{number}" for number in range(len(current.schema))]
    for name, aside in zip(current.schema.names, moved, strict=True):
        transaction.run(f"ALTER TABLE {table.sql} RENAME {quoted(name)} TO {quoted(aside)}")
    for field in wanted.schema:
        _add_column(transaction, table, wanted, field)
    for aside in moved:
        transaction.run(f"ALTER TABLE {table.sql} DROP {quoted(aside)}")
    if wanted.partition_by:
        _set_partitioning(transaction, table, wanted.partition_by)


def with_schema(spec: TableSpec, schema: pa.Schema) -> TableSpec:
    """The spec for other columns; what speaks of columns that are gone is left out."""
    names = set(schema.names)
    partitioned = {_partitioned(text) for text in spec.partition_by}
    return replace(
        spec,
        schema=schema,
        key=spec.key if set(spec.key) <= names else (),
        partition_by=spec.partition_by if partitioned <= names else (),
        defaults={name: text for name, text in spec.defaults.items() if name in names},
    )


def is_kept_alike(one: TableSpec, other: TableSpec) -> bool:
    """Whether DuckLake keeps two specs in the same way, whatever else they say."""
    return [_column(one, field) for field in one.schema] == [
        _column(other, field) for field in other.schema
    ] and one.partition_by == other.partition_by


def true_name(schema: pa.Schema, name: str) -> str:
    """The column's name in its true case. InvalidRequest (column_not_found)."""
    known = {field.name.lower(): field.name for field in schema}
    if name.lower() not in known:
        raise InvalidRequest(
            f"There is no column '{name}'.{did_you_mean(name, schema.names)}",
            code=ErrorCode.COLUMN_NOT_FOUND,
        )
    return str(known[name.lower()])


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


def _changed(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, change: SchemaChange
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
            return _with_new_type(transaction, table, spec, true_name(spec.schema, name), kind)
        case SetDefault(name, default):
            return _with_default(transaction, table, spec, true_name(spec.schema, name), default)
        case SetNullable(name, nullable):
            return _with_nullable(transaction, table, spec, true_name(spec.schema, name), nullable)
        case SetKey(key):
            return replace(spec, key=tuple(true_name(spec.schema, name) for name in key))
        case SetComment(comment):
            return replace(spec, comment=comment)
        case SetPartitioning(partition_by):
            named = tuple(_partition(spec.schema, text) for text in partition_by)
            _set_partitioning(transaction, table, named)
            return replace(spec, partition_by=named)


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
    _add_column(transaction, table, spec, field)
    return spec


def _add_column(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, field: pa.Field
) -> None:
    default = spec.defaults.get(field.name)
    clause = "" if default is None else f" DEFAULT {default}"
    transaction.run(
        f"ALTER TABLE {table.sql} ADD COLUMN {quoted(field.name)} {storage_type(field)}{clause}"
    )


def _without_column(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, name: str
) -> TableSpec:
    if len(spec.schema) == 1:
        raise InvalidRequest(f"'{name}' is the only column of '{table}'; drop the table instead.")
    for what, names in (("key", spec.key), ("partitioning", map(_partitioned, spec.partition_by))):
        if name in tuple(names):
            raise InvalidRequest(f"The column '{name}' is part of the {what} of '{table}'.")
    transaction.run(f"ALTER TABLE {table.sql} DROP {quoted(name)}")
    defaults = {other: text for other, text in spec.defaults.items() if other != name}
    schema = spec.schema.remove(spec.schema.get_field_index(name))
    return replace(spec, schema=schema, defaults=defaults)


def _with_new_name(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, old: str, new: str
) -> TableSpec:
    if new.lower() != old.lower() and new.lower() in {n.lower() for n in spec.schema.names}:
        raise AlreadyExists(f"The table '{table}' has a column '{new}' already.")
    transaction.run(f"ALTER TABLE {table.sql} RENAME {quoted(old)} TO {quoted(new)}")
    return replace(
        spec,
        schema=_with_field(spec.schema, old, spec.schema.field(old).with_name(new)),
        key=tuple(new if name == old else name for name in spec.key),
        partition_by=tuple(_renamed_partition(text, old, new) for text in spec.partition_by),
        defaults={new if name == old else name: text for name, text in spec.defaults.items()},
    )


def _with_new_type(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, name: str, kind: pa.DataType
) -> TableSpec:
    """Another type that loses nothing; the column is written anew where it is kept differently."""
    old = spec.schema.field(name)
    new = old.with_type(kind)
    before, after = storage_type(old), storage_type(new)
    if before != after:
        column = quoted(name)
        there_and_back = f"TRY_CAST(TRY_CAST({column} AS {after}) AS {before})"
        lost = transaction.count(
            f"SELECT count(*) FROM {table.sql} WHERE {there_and_back} IS DISTINCT FROM {column}"
        )
        if lost:
            raise InvalidRequest(
                f"{lost} values of the column '{name}' ({old.type}) would not survive as {kind}.",
                code=ErrorCode.INVALID_DATA,
            )
        _rewrite_column(transaction, table, spec, name, after)
    return replace(spec, schema=_with_field(spec.schema, name, new))


def _rewrite_column(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, name: str, kind: str
) -> None:
    """A new column in the old one's place: DuckLake itself only widens types."""
    column, moved = quoted(name), quoted("_pixelflight_moved")
    transaction.run(f"ALTER TABLE {table.sql} RENAME {column} TO {moved}")
    transaction.run(f"ALTER TABLE {table.sql} ADD COLUMN {column} {kind}")
    transaction.run(f"UPDATE {table.sql} SET {column} = CAST({moved} AS {kind})")
    transaction.run(f"ALTER TABLE {table.sql} DROP {moved}")
    if name in spec.defaults:
        transaction.run(f"ALTER TABLE {table.sql} ALTER {column} SET DEFAULT {spec.defaults[name]}")


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


def _set_partitioning(
    transaction: WriteTransaction, table: TableRef, partition_by: Sequence[str]
) -> None:
    if not partition_by:
        transaction.run(f"ALTER TABLE {table.sql} RESET PARTITIONED BY")
        return
    parts = []
    for text in partition_by:
        function, inner, plain = _parsed_partition(text)
        parts.append(f"{function.lower()}({quoted(inner)})" if function else quoted(plain))
    transaction.run(f"ALTER TABLE {table.sql} SET PARTITIONED BY ({', '.join(parts)})")


def _column(spec: TableSpec, field: pa.Field) -> str:
    default = spec.defaults.get(field.name)
    return f"{quoted(field.name)} {storage_type(field)}" + (
        "" if default is None else f" DEFAULT {default}"
    )


def _partition(schema: pa.Schema, text: str) -> str:
    """A partition expression with its column in true case."""
    if text.lower() in {name.lower() for name in schema.names}:
        return true_name(schema, text)
    function, inner, _ = _parsed_partition(text)
    if not function:
        return true_name(schema, text)
    return f"{function.lower()}({true_name(schema, inner)})"


def _parsed_partition(text: str) -> tuple[str, str, str]:
    match = _PARTITION.fullmatch(text)
    if match is None:
        raise InvalidRequest("'partition_by' holds an empty text.")
    return match[1] or "", match[2] or "", match[3] or ""


def _partitioned(text: str) -> str:
    function, inner, plain = _parsed_partition(text)
    return inner if function else plain


def _renamed_partition(text: str, old: str, new: str) -> str:
    function, inner, plain = _parsed_partition(text)
    if function:
        return f"{function}({new})" if inner == old else text
    return new if plain == old else text


def _with_field(schema: pa.Schema, name: str, field: pa.Field) -> pa.Schema:
    return schema.set(schema.get_field_index(name), field)


def _has_rows(transaction: WriteTransaction, table: TableRef) -> bool:
    return bool(transaction.run(f"SELECT 1 FROM {table.sql} LIMIT 1"))
