"""Making, changing and removing tables and namespaces.

Whether a column may be null is kept by us and checked on every way in: DuckLake sets NOT NULL only
on tables that the transaction has not touched, so no restore or overwrite could.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from flight_server.constraints import check_constraint
from flight_server.engines.lake.checks import check_rules
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.instance import CATALOG, METADATA, Instance, literal
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
    Kind,
    NamespaceRef,
    TableRef,
    TableSpec,
    TableVersion,
    check_name,
    check_schema,
    quoted,
)

_PARTITION = re.compile(r"(?:(year|month|day|hour)\((.+)\))|(.+)", re.IGNORECASE)
_CALL = re.compile(r"(\w+)\(.*\)")


def namespaces(instance: Instance, transaction: WriteTransaction | None = None) -> list[str]:
    """The names of all namespaces, as a transaction has made them, sorted; our own included."""
    base = None if transaction is None else transaction.base
    now = "end_snapshot IS NULL"
    then = "begin_snapshot <= $1 AND (end_snapshot IS NULL OR end_snapshot > $1)"
    rows = instance.rows(
        f"SELECT schema_name FROM {METADATA}.ducklake_schema WHERE {then if base else now}",
        [base.snapshot] if base else (),
    )
    known: dict[str, str | None] = {name.lower(): name for (name,) in rows}
    if transaction is not None:
        known |= transaction.pending_namespaces
    return sorted(name for name in known.values() if name is not None)


def create_namespace(transaction: WriteTransaction, namespace: NamespaceRef) -> None:
    """AlreadyExists."""
    known = {name.lower() for name in namespaces(transaction.log.instance, transaction)}
    if namespace.name.lower() in known:
        raise AlreadyExists(f"The namespace '{namespace}' exists already.")
    transaction.run(f"CREATE SCHEMA {CATALOG}.{quoted(namespace.name)}")
    transaction.pending_namespaces[namespace.name.lower()] = namespace.name


def drop_namespace(
    transaction: WriteTransaction, registry: Registry, namespace: NamespaceRef
) -> None:
    """NotFound; Conflict while tables are in it."""
    check_namespace(transaction, namespace.name)
    tables = registry.tables(namespace.name, transaction)
    if tables:
        raise Conflict(
            f"The namespace '{namespace}' holds {len(tables)} tables, '{tables[0]}' among them. "
            f"Drop them first.",
            details={"tables": [str(table) for table in tables]},
        )
    if namespace.name.lower() == "main":
        raise InvalidRequest("The namespace 'main' is the root and cannot be dropped.")
    transaction.run(f"DROP SCHEMA {CATALOG}.{quoted(namespace.name)}")
    transaction.pending_namespaces[namespace.name.lower()] = None


def check_namespace(transaction: WriteTransaction, name: str) -> None:
    """NotFound (namespace_not_found) with the nearest name."""
    check_known_namespace(namespaces(transaction.log.instance, transaction), name)


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
    check_rules(transaction, table, spec)
    columns = ", ".join(_column(spec, field) for field in spec.schema)
    transaction.run(f"CREATE TABLE {table.sql} ({columns})")
    if spec.partition_by:
        set_partitioning(transaction, table, spec.partition_by)
    registry.put(transaction, table, spec)
    return spec


def checked_spec(spec: TableSpec) -> TableSpec:
    """The spec with its names in their true case; InvalidRequest where one is no column."""
    check_schema(spec.schema)
    for field in spec.schema:
        storage_type(field)
    partition_by = tuple(partition(spec.schema, text) for text in spec.partition_by)
    key = tuple(true_name(spec.schema, name) for name in spec.key)
    defaults = {true_name(spec.schema, name): text for name, text in spec.defaults.items()}
    constraints = {}
    for name, constraint in spec.constraints.items():
        field = spec.schema.field(true_name(spec.schema, name))
        if checked := check_constraint(field, constraint):
            constraints[field.name] = checked
    for name in spec.checks:
        check_name(name, "check")
    return replace(
        spec, key=key, partition_by=partition_by, defaults=defaults, constraints=constraints
    )


def check_free(transaction: WriteTransaction, registry: Registry, table: TableRef) -> None:
    """AlreadyExists where a table has the name, whatever its case."""
    try:
        known = registry.resolve(table, transaction=transaction)
    except NotFound:
        return
    raise AlreadyExists(f"{named(known)} exists already.")


def named(found: TableVersion) -> str:
    """The table or the view as a sentence begins with it."""
    what = "table" if found.spec.kind is Kind.TABLE else "view"
    return f"The {what} '{found.table}'"


def rename_table(
    transaction: WriteTransaction, registry: Registry, table: TableRef, to: TableRef
) -> None:
    """NotFound; AlreadyExists; Unsupported where `to` is in another namespace."""
    found = registry.resolve(table, transaction=transaction)
    to = checked_name(transaction, registry, found, to)
    transaction.run(f"ALTER TABLE {found.table.sql} RENAME TO {quoted(to.name)}")
    registry.remove(transaction, found.table)
    registry.put(transaction, to, found.spec)


def checked_name(
    transaction: WriteTransaction, registry: Registry, found: TableVersion, to: TableRef
) -> TableRef:
    """The new name of a table. AlreadyExists; Unsupported where it is in another namespace."""
    if (to.catalog, to.namespace.lower()) != (found.table.catalog, found.table.namespace.lower()):
        raise Unsupported(
            f"'{found.table}' cannot move to '{to}': a table keeps its namespace when renamed."
        )
    if to.name.lower() != found.table.name.lower():
        check_free(transaction, registry, to)
    return replace(to, namespace=found.table.namespace)


def drop_table(transaction: WriteTransaction, registry: Registry, table: TableRef) -> None:
    """NotFound."""
    found = registry.resolve(table, transaction=transaction)
    transaction.run(f"DROP TABLE {found.table.sql}")
    registry.remove(transaction, found.table)


def reshape(
    transaction: WriteTransaction, table: TableRef, current: TableSpec, wanted: TableSpec
) -> None:
    """Gives an emptied table other columns without making it another table.

    Versions, row ids and change feeds go on over an overwrite with a new schema that way.
    """
    if current.partition_by:
        set_partitioning(transaction, table, ())
    moved = [f"_pixelflight_{number}" for number in range(len(current.schema))]
    for name, aside in zip(current.schema.names, moved, strict=True):
        transaction.run(f"ALTER TABLE {table.sql} RENAME {quoted(name)} TO {quoted(aside)}")
    for field in wanted.schema:
        add_column(transaction, table, wanted, field)
    for aside in moved:
        transaction.run(f"ALTER TABLE {table.sql} DROP {quoted(aside)}")
    if wanted.partition_by:
        set_partitioning(transaction, table, wanted.partition_by)


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


def add_column(
    transaction: WriteTransaction, table: TableRef, spec: TableSpec, field: pa.Field
) -> None:
    """Adds a column as the spec describes it; rows that are there get its default's value now.

    DuckDB makes several statements of an ADD COLUMN whose default is an expression, and changes
    its configuration for them, which is locked. A text is no expression, and says any value.
    """
    name, kind = quoted(field.name), storage_type(field)
    default = spec.defaults.get(field.name)
    clause = ""
    if default is not None:
        value = transaction.run(f"SELECT CAST(CAST(({default}) AS {kind}) AS VARCHAR)")[0][0]
        clause = " DEFAULT NULL" if value is None else f" DEFAULT {literal(value)}"
    transaction.run(f"ALTER TABLE {table.sql} ADD COLUMN {name} {kind}{clause}")


def set_partitioning(
    transaction: WriteTransaction, table: TableRef, partition_by: Sequence[str]
) -> None:
    """Sets how files written from now on are partitioned; by nothing where it is empty."""
    if not partition_by:
        transaction.run(f"ALTER TABLE {table.sql} RESET PARTITIONED BY")
        return
    parts = []
    for text in partition_by:
        function, inner, plain = parsed_partition(text)
        parts.append(f"{function.lower()}({quoted(inner)})" if function else quoted(plain))
    transaction.run(f"ALTER TABLE {table.sql} SET PARTITIONED BY ({', '.join(parts)})")


def _column(spec: TableSpec, field: pa.Field) -> str:
    default = spec.defaults.get(field.name)
    return f"{quoted(field.name)} {storage_type(field)}" + (
        "" if default is None else f" DEFAULT {default}"
    )


def partition(schema: pa.Schema, text: str) -> str:
    """A partition expression with its column in true case."""
    if text.lower() in {name.lower() for name in schema.names}:
        return true_name(schema, text)
    function, inner, _ = parsed_partition(text)
    if not function and (call := _CALL.fullmatch(text)) is not None:
        raise InvalidRequest(
            f"There is no column '{text[:80]}', and none is partitioned by {call[1][:80]}(…): "
            "write a column, or year, month, day or hour of one.",
            code=ErrorCode.COLUMN_NOT_FOUND,
        )
    if not function:
        return true_name(schema, text)
    return f"{function.lower()}({true_name(schema, inner)})"


def parsed_partition(text: str) -> tuple[str, str, str]:
    """Function and column of `year(c)`, or a plain column last; what is absent is empty."""
    match = _PARTITION.fullmatch(text)
    if match is None:
        raise InvalidRequest("'partition_by' holds an empty text.")
    return match[1] or "", match[2] or "", match[3] or ""


def partitioned(text: str) -> str:
    """The column of a partition expression."""
    function, inner, plain = parsed_partition(text)
    return inner if function else plain
