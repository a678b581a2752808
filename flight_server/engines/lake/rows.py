"""Rows changed and deleted where a filter holds, within a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.assignments import assignment_expression
from flight_server.engines.lake.checks import ID, Rule, guarded, rules_on, told
from flight_server.engines.lake.columns import check_required
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.tables import true_name
from flight_server.errors import InvalidRequest
from flight_server.model import Commit, TableRef, TableVersion, quoted


def update(
    transaction: WriteTransaction,
    registry: Registry,
    table: TableRef,
    assignments: Mapping[str, str],
    filter: str | None,
    cancellation: Cancellation,
) -> Commit:
    """Sets columns to SQL expressions over the old values where the filter holds."""
    if not assignments:
        raise InvalidRequest("There is nothing to set: name at least one column.")
    found = registry.resolve(table, transaction=transaction)
    registry.guard(transaction, found)
    named = {
        name: assignment_expression(found.schema.field(name), f"({text})")
        for name, text in ((true_name(found.schema, n), t) for n, t in assignments.items())
    }
    transaction.local_rows.unite(transaction, found.table)
    rules = rules_on(found.spec, named)
    with told(found, rules):
        rows = transaction.count(_update_sql(found, rules, named, filter), (), cancellation)
    transaction.local_rows.updated(found.table, rows)
    transaction.note(found.table, "updated")
    check_required(transaction, found.table, found.schema, named)
    transaction.count_rows(rows)
    return Commit(-1, rows=rows, rows_updated=rows)


def delete(
    transaction: WriteTransaction,
    registry: Registry,
    table: TableRef,
    filter: str | None,
    cancellation: Cancellation,
) -> Commit:
    """Deletes the rows where the filter holds, all without one."""
    found = registry.resolve(table, transaction=transaction)
    registry.guard(transaction, found)
    transaction.local_rows.unite(transaction, found.table)
    rows = transaction.count(f"DELETE FROM {found.table.sql}{_where(filter)}", (), cancellation)
    transaction.note(found.table, "deleted")
    transaction.count_rows(rows)
    return Commit(-1, rows=rows, rows_deleted=rows)


def _update_sql(
    found: TableVersion, rules: Sequence[Rule], named: Mapping[str, str], filter: str | None
) -> str:
    """The UPDATE; where it could break a rule, by way of the rows as they will be."""
    if not rules:
        sets = ", ".join(f"{quoted(name)} = {value}" for name, value in named.items())
        return f"UPDATE {found.table.sql} SET {sets}{_where(filter)}"
    others = {name for rule in rules for name in rule.columns} - set(named)
    values = [f"{value} AS {quoted(name)}" for name, value in named.items()]
    kept = ", ".join((f"rowid AS {quoted(ID)}", *values, *map(quoted, sorted(others))))
    rows = f"SELECT {kept} FROM {found.table.sql}{_where(filter)}"
    judged = guarded(found, rules, rows, (*named, *sorted(others)), others=(ID,))
    sets = ", ".join(f"{quoted(name)} = new.{quoted(name)}" for name in named)
    return (
        f"UPDATE {found.table.sql} AS kept SET {sets} FROM ({judged}) AS new "
        f"WHERE kept.rowid = new.{quoted(ID)}"
    )


def _where(filter: str | None) -> str:
    return f" WHERE {filter}" if filter else ""
