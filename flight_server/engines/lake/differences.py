"""The net difference between two versions of a table, as SQL over both."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from flight_server.engines.lake.types import select_expression, storage_type
from flight_server.model import CHANGE_COLUMNS, TableVersion, quoted


def difference(
    before: TableVersion, after: TableVersion, names: Mapping[str, str], same: bool
) -> tuple[pa.Schema, str]:
    """The schema of the answer and the SELECT that gives it.

    `names` maps columns of the newer version to what the older one calls them. `same` says that
    row ids of both mean the same rows; otherwise every row was deleted and others inserted.
    """
    if not same:
        names = {field.name: field.name for field in before.schema}
    shared = _comparable(before, after, names)
    fields = [
        field if field.name in shared else field.with_nullable(True) for field in after.schema
    ]
    schema = pa.schema([CHANGE_COLUMNS[2], CHANGE_COLUMNS[1], *fields])
    return schema, f"{' UNION ALL '.join(_parts(before, after, shared, same))} ORDER BY 2, 1 DESC"


def _comparable(
    before: TableVersion, after: TableVersion, names: Mapping[str, str]
) -> dict[str, str]:
    """The columns of `names` that both versions keep in the same type."""
    kinds = {field.name: storage_type(field) for field in before.schema}
    return {
        field.name: names[field.name]
        for field in after.schema
        if field.name in names and kinds.get(names[field.name]) == storage_type(field)
    }


def _parts(
    before: TableVersion, after: TableVersion, shared: Mapping[str, str], same: bool
) -> list[str]:
    old = f"{before.table.sql} AT (VERSION => {before.snapshot})"
    new = f"{after.table.sql} AT (VERSION => {after.snapshot})"
    now = ", ".join(_expression(field, field.name) for field in after.schema)
    then = ", ".join(_expression(field, shared.get(field.name)) for field in after.schema)
    known = f"rowid IN (SELECT rowid FROM {old})" if same else "false"
    still = f"rowid IN (SELECT rowid FROM {new})" if same else "false"
    parts = [
        f"SELECT 'insert', rowid, {now} FROM {new} WHERE NOT ({known})",
        f"SELECT 'delete', rowid, {then} FROM {old} WHERE NOT ({still})",
    ]
    if same and shared:
        changed = _changed(old, new, shared)
        for image, columns, version in (("pre", then, old), ("post", now, new)):
            parts.append(
                f"SELECT 'update_{image}image', rowid, {columns} FROM {version} "
                f"WHERE rowid IN ({changed})"
            )
    return parts


def _changed(old: str, new: str, shared: Mapping[str, str]) -> str:
    """The ids of rows that both versions have with other values."""
    left = ", ".join(f"o.{quoted(name)}" for name in shared.values())
    right = ", ".join(f"n.{quoted(name)}" for name in shared)
    return (
        f"SELECT n.rowid FROM (SELECT rowid, * FROM {new}) n "
        f"JOIN (SELECT rowid, * FROM {old}) o ON n.rowid = o.rowid "
        f"WHERE row({left}) IS DISTINCT FROM row({right})"
    )


def _expression(field: pa.Field, name: str | None) -> str:
    """The column under its new name; null where the version does not have it."""
    if name is None:
        return f"CAST(NULL AS {storage_type(field)}) AS {quoted(field.name)}"
    return f"{select_expression(field, quoted(name))} AS {quoted(field.name)}"
