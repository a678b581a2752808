"""Rows written by SQL that has been checked and rewritten, within a transaction.

The rows of a SELECT go into the table in DuckDB itself, in one statement and without a copy in
Python. Each value is assigned as `assignments` says, and where a column, or a field inside it,
must not be null the statement itself ends with an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.assignments import assignment_expression
from flight_server.engines.lake.bindings import bound, inputs_bound
from flight_server.engines.lake.checks import (
    ID,
    Rule,
    check_rows,
    guarded,
    rules_of,
    rules_on,
    told,
)
from flight_server.engines.lake.columns import check_required
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.inserts import absent_defaults
from flight_server.engines.lake.instance import literal
from flight_server.engines.lake.local_rows import LOCAL_ROW_ID_MIN
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.required import null_condition
from flight_server.engines.lake.tables import true_name
from flight_server.engines.lake.types import storage_type
from flight_server.engines.required_values import has_required
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import HIDDEN_PREFIX, Commit, SqlRequest, TableRef, TableVersion, quoted

# No column of a table is named so, whatever a filter may name.
_ID = quoted(ID)
_UNBOUND = "prepared statement parameters"


def insert_rows(
    transaction: WriteTransaction,
    registry: Registry,
    table: TableRef,
    columns: Sequence[str],
    request: SqlRequest,
    cancellation: Cancellation,
) -> Commit:
    """See `SupportsSqlWrites.insert_rows`."""
    found = _target(transaction, registry, table)
    fields = _fields(found, columns)
    defaults = _defaults(found, [field.name for field in fields])
    names = ", ".join(quoted(name) for name in (*(field.name for field in fields), *defaults))
    given = {field.name: _checked(found, field, _place(at)) for at, field in enumerate(fields)}
    request = request if fields else SqlRequest("SELECT 1 WHERE true")
    rows = _assigned(fields, request) if fields else f"({request.sql})"
    rules = rules_of(found.spec)
    rows = _judged(found, rules, given | defaults, rows)
    sql = f"INSERT INTO {found.table.sql} ({names}) {rows}"
    with told(found, rules):
        count = _count(transaction, sql, request, cancellation)
    transaction.local_rows.inserted(found.table, count)
    transaction.count_rows(count)
    return Commit(-1, rows=count, rows_inserted=count)


def update_rows(
    transaction: WriteTransaction,
    registry: Registry,
    table: TableRef,
    columns: Sequence[str],
    request: SqlRequest,
    filter: str | None,
    cancellation: Cancellation,
) -> Commit:
    """See `SupportsSqlWrites.update_rows`. DuckLake sets a row once that comes twice."""
    found = _target(transaction, registry, table)
    fields = _fields(found, columns)
    transaction.local_rows.unite(transaction, found.table)
    rules = rules_on(found.spec, [field.name for field in fields])
    values = {
        field.name: _checked(found, field, f"s.{_place(at)}") for at, field in enumerate(fields)
    }
    rows, condition = _assigned(fields, request, _ID), _and(filter)
    if rules:
        rows, condition = _updated(found, rules, values, rows, filter), ""
        values = {name: f"s.{quoted(name)}" for name in values}
    sets = ", ".join(f"{quoted(name)} = {value}" for name, value in values.items())
    sql = (
        f"UPDATE {found.table.sql} AS t SET {sets} FROM {rows} AS s "
        f"WHERE t.rowid = s.{_ID}{condition}"
    )
    with told(found, rules):
        count = _count(transaction, sql, request, cancellation)
    transaction.local_rows.updated(found.table, count)
    transaction.note(found.table, "updated")
    transaction.count_rows(count)
    return Commit(-1, rows=count, rows_updated=count)


def delete_rows(
    transaction: WriteTransaction,
    registry: Registry,
    table: TableRef,
    request: SqlRequest,
    filter: str | None,
    cancellation: Cancellation,
) -> Commit:
    """See `SupportsSqlWrites.delete_rows`."""
    found = _target(transaction, registry, table)
    transaction.local_rows.unite(transaction, found.table)
    count = _count(
        transaction,
        # In a subquery a column that the principal may not see would be the table's own.
        f"WITH {_ID}({_ID}) AS MATERIALIZED ({request.sql}\n) DELETE FROM {found.table.sql} "
        f"WHERE rowid IN (SELECT {_ID} FROM {_ID}){_and(filter)}",
        request,
        cancellation,
    )
    transaction.note(found.table, "deleted")
    transaction.count_rows(count)
    return Commit(-1, rows=count, rows_deleted=count)


def merge_rows(
    transaction: WriteTransaction,
    registry: Registry,
    table: TableRef,
    request: SqlRequest,
    cancellation: Cancellation,
) -> Commit:
    """See `SupportsSqlWrites.merge_rows`. DuckDB answers with one total, so rows are counted."""
    found = _target(transaction, registry, table)
    transaction.local_rows.unite(transaction, found.table)
    # A row that was not matched may be there once others have committed.
    transaction.refuse_changes(found.table, "merged into")
    # Without a DELETE all that the table has grown by was inserted.
    which = f"rowid >= {LOCAL_ROW_ID_MIN}" if "DELETE" in request.sql.upper() else "true"
    counts = f"SELECT count(*), count(*) FILTER ({which}) FROM {found.table.sql}"
    [(rows_before, new_before)] = transaction.run(counts)
    count = _count(transaction, request.sql, request, cancellation)
    [(rows_after, new_after)] = transaction.run(counts)
    inserted = new_after - new_before
    deleted = rows_before + inserted - rows_after
    # DuckLake takes a MERGE that updates or one that deletes, and counts a row as often as it
    # is matched.
    updated = 0 if deleted else count - inserted
    done = Commit(-1, inserted + updated + deleted, inserted, updated, deleted)
    check_required(transaction, found.table, found.schema, found.schema.names)
    check_rows(transaction, found, rules_of(found.spec))
    kinds = {"inserted": inserted, "updated": updated, "deleted": deleted}
    transaction.note(found.table, *(kind for kind, rows in kinds.items() if rows))
    transaction.local_rows.updated(found.table, count)
    transaction.local_rows.merged(found.table, inserted)
    transaction.count_rows(done.rows)
    return done


def _target(transaction: WriteTransaction, registry: Registry, table: TableRef) -> TableVersion:
    found = registry.resolve(table, transaction=transaction)
    registry.guard(transaction, found)
    return found


def _fields(found: TableVersion, columns: Sequence[str]) -> list[pa.Field]:
    return [found.schema.field(true_name(found.schema, name)) for name in columns]


def _defaults(found: TableVersion, names: Sequence[str]) -> dict[str, str]:
    """What the columns that are not named get; a null where there would be nothing to insert."""
    defaults = absent_defaults(found, names)
    for field in found.schema:
        if not field.nullable and field.name not in names and field.name not in defaults:
            raise InvalidRequest(
                f"The column '{field.name}' is missing; it must not be null and has no default.",
                code=ErrorCode.SCHEMA_MISMATCH,
            )
    return defaults or ({} if names else {found.schema.names[0]: "NULL"})


def _assigned(fields: Sequence[pa.Field], request: SqlRequest, *others: str) -> str:
    """A subquery of the SELECT's values as the lake keeps them, each in its place."""
    places = [_place(at) for at in range(len(fields))]
    kept = [
        f"{assignment_expression(field, f's.{place}')} AS {place}"
        for field, place in zip(fields, places, strict=True)
    ]
    named = ", ".join((*others, *places))
    return f"(SELECT {', '.join((*others, *kept))} FROM ({request.sql}\n) AS s({named}))"


def _judged(
    found: TableVersion, rules: Sequence[Rule], values: Mapping[str, str], rows: str
) -> str:
    """A SELECT of the values, which ends with an error for a row that violates a rule."""
    if not rules:
        return f"SELECT {', '.join(values.values())} FROM {rows}"
    kept = ", ".join(
        f"CAST({value} AS {storage_type(found.schema.field(name))}) AS {quoted(name)}"
        for name, value in values.items()
    )
    return guarded(found, rules, f"SELECT {kept} FROM {rows}", tuple(values))


def _updated(
    found: TableVersion,
    rules: Sequence[Rule],
    values: Mapping[str, str],
    rows: str,
    filter: str | None,
) -> str:
    """A subquery of the rows as they will be, judged, with their ids."""
    others = sorted({name for rule in rules for name in rule.columns} - set(values))
    kept = [f"{value} AS {quoted(name)}" for name, value in values.items()]
    kept += [f"t.{quoted(name)}" for name in others]
    changed = (
        f"SELECT s.{_ID}, {', '.join(kept)} FROM {found.table.sql} AS t, {rows} AS s "
        f"WHERE t.rowid = s.{_ID}{_and(filter)}"
    )
    return f"({guarded(found, rules, changed, (*values, *others), others=(ID,))})"


def _checked(found: TableVersion, field: pa.Field, value: str) -> str:
    """The value, and the statement's end where it is null, or has one inside, and must not."""
    if not has_required(field):
        return value
    message = f"The column '{field.name}' of '{found.table}' must not be null."
    refused = f"error({literal(message)})"
    condition = null_condition(field, value)
    # The keys of a map are required in every map, and DuckDB sees to them itself.
    if condition is None:
        return value
    if null_condition(field.with_nullable(True), value) is None:
        return f"coalesce({value}, {refused})"
    return f"CASE WHEN {condition} THEN {refused} ELSE {value} END"


def _place(at: int) -> str:
    return quoted(f"{HIDDEN_PREFIX}_{at}")


def _and(filter: str | None) -> str:
    return f" AND ({filter})" if filter else ""


def _count(
    transaction: WriteTransaction, sql: str, request: SqlRequest, cancellation: Cancellation
) -> int:
    with _refusing(), inputs_bound(transaction.connection, request, cancellation):
        return transaction.count(sql, bound(request.parameters), cancellation)


@contextmanager
def _refusing() -> Iterator[None]:
    """Values that do not fit are the data's fault, not the statement's."""
    try:
        yield
    except InvalidRequest as error:
        cause = error.__cause__
        misfit = (duckdb.InvalidInputException, duckdb.OutOfRangeException)
        if isinstance(cause, misfit) and _UNBOUND not in str(cause):
            raise InvalidRequest(error.message, code=ErrorCode.INVALID_DATA) from cause
        raise
