"""Statements that write rows to a table that DuckDB keeps itself, as text.

What is assigned to a column is cast and checked for its Arrow type; see `assignments`. The rows of
a SELECT are named here, since what a client's SELECT calls its columns means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from flight_server.engines.lake.assignments import assignment_expression
from flight_server.engines.lake.tables import true_name
from flight_server.engines.lake.types import storage_type
from flight_server.errors import InvalidRequest
from flight_server.model import TableVersion, quoted

# How a row's id is called among the rows of a SELECT.
_ROW = "row_"


def created(found: TableVersion, kind: str = "TABLE") -> str:
    """Makes the table, or a `TEMP TABLE` of the connection."""
    columns = ", ".join(_column(found, field) for field in found.schema)
    return f"CREATE {kind} {found.table.sql} ({columns})"


def updated(found: TableVersion, assignments: Mapping[str, str], filter: str | None) -> str:
    """Sets columns to expressions over the row's old values."""
    if not assignments:
        raise InvalidRequest("There is nothing to set: name at least one column.")
    fields = _fields(found, assignments)
    texts = [f"({text})" for text in assignments.values()]
    return f"UPDATE {found.table.sql} SET {_sets(fields, texts)}{_where(filter)}"


def deleted(found: TableVersion, filter: str | None) -> str:
    """Deletes rows."""
    return f"DELETE FROM {found.table.sql}{_where(filter)}"


def inserted_rows(found: TableVersion, columns: Sequence[str], select: str) -> str:
    """Inserts the rows of a SELECT, one of defaults where no columns are named."""
    if not columns:
        return f"INSERT INTO {found.table.sql} DEFAULT VALUES"
    fields = _fields(found, columns)
    names = ", ".join(quoted(field.name) for field in fields)
    given = _given(fields)
    values = [assignment_expression(field, name) for field, name in zip(fields, given, strict=True)]
    # Values that no column is named for are one too many for the INSERT, which says so.
    values.append(f"* EXCLUDE ({', '.join(given)})")
    return (
        f"INSERT INTO {found.table.sql} ({names}) "
        f"SELECT {', '.join(values)} FROM {_rows(select, given)}"
    )


def updated_rows(
    found: TableVersion, columns: Sequence[str], select: str, filter: str | None
) -> str:
    """Sets columns of the rows whose ids the SELECT gives first."""
    fields, target = _fields(found, columns), found.table.sql
    given = _given(fields)
    # Whether a row meets the filter is asked apart, where only the table's own names are known.
    return (
        f"UPDATE {target} AS kept SET {_sets(fields, given)} "
        f"FROM (SELECT DISTINCT ON ({_ROW}) * FROM {_rows(select, (_ROW, *given))}) AS given "
        f"WHERE kept.rowid = given.{_ROW} "
        f"AND kept.rowid IN (SELECT rowid FROM {target}{_where(filter)})"
    )


def deleted_rows(found: TableVersion, select: str, filter: str | None) -> str:
    """Deletes the rows whose ids the SELECT gives."""
    target = found.table.sql
    return (
        f"DELETE FROM {target} "
        f"WHERE rowid IN (SELECT {_ROW} FROM {_rows(select, (_ROW,))}) "
        f"AND rowid IN (SELECT rowid FROM {target}{_where(filter)})"
    )


def _column(found: TableVersion, field: pa.Field) -> str:
    default = found.spec.defaults.get(field.name)
    return (
        f"{quoted(field.name)} {storage_type(field)}"
        + ("" if default is None else f" DEFAULT {default}")
        + ("" if field.nullable else " NOT NULL")
    )


def _fields(found: TableVersion, names: Iterable[str]) -> list[pa.Field]:
    return [found.schema.field(true_name(found.schema, name)) for name in names]


def _given(fields: Sequence[pa.Field]) -> tuple[str, ...]:
    return tuple(f"value_{number}" for number in range(len(fields)))


def _rows(select: str, names: Sequence[str]) -> str:
    # On a line of its own: the SELECT may end with a comment.
    return f"({select}\n) AS given ({', '.join(names)})"


def _sets(fields: Sequence[pa.Field], values: Sequence[str]) -> str:
    return ", ".join(
        f"{quoted(field.name)} = {assignment_expression(field, value)}"
        for field, value in zip(fields, values, strict=True)
    )


def _where(filter: str | None) -> str:
    return f" WHERE ({filter})" if filter else ""
