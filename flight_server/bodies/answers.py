"""What actions and acknowledgements answer with, as JSON."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from flight_server.arrow_types import columns_of, schema_to_ipc
from flight_server.formats.inference import Inferred
from flight_server.model import (
    COLUMN_COMMENT,
    Commit,
    Deletion,
    Derived,
    TableInfo,
    TableSpec,
    Tag,
    Version,
)


def encoded(answer: Any) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(answer, ensure_ascii=False, default=_plain).encode()


def acknowledged(commit: Commit) -> dict[str, Any]:
    """The acknowledgement of one commit of a DoPut."""
    answer = {
        "commit": commit.snapshot,
        "rows": commit.rows,
        "rows_inserted": commit.rows_inserted,
        "rows_updated": commit.rows_updated,
        "offset": commit.offset,
    }
    return answer | ({"duplicate": True} if commit.duplicate else {})


def committed(commit: Commit | None) -> dict[str, Any]:
    """The answer of an action that changes a schema or a name; None where it did nothing."""
    return {"commit": None if commit is None else commit.snapshot}


def rows_committed(commit: Commit) -> dict[str, Any]:
    """The answer of an action that changes rows."""
    return {
        "commit": commit.snapshot,
        "rows": commit.rows,
        "rows_inserted": commit.rows_inserted,
        "rows_updated": commit.rows_updated,
        "rows_deleted": commit.rows_deleted,
    }


def described(info: TableInfo) -> dict[str, Any]:
    """A table; numbers that are not known, or not the principal's to know, are null."""
    spec = info.spec
    return {
        "table": str(info.table),
        "kind": spec.kind.value,
        "columns": [_column(spec, column) for column in columns_of(spec.schema)],
        "schema_ipc": schema_to_ipc(spec.schema),
        "key": list(spec.key),
        "partition_by": list(spec.partition_by),
        "defaults": dict(spec.defaults),
        "constraints": dict(spec.constraints),
        "checks": dict(spec.checks),
        "comment": spec.comment,
        "definition": (spec.definition.sql or None) if spec.definition is not None else None,
        "derived": None if spec.derived is None else _derived(spec.derived),
        "snapshot": info.snapshot,
        "rows": _known(info.rows),
        "bytes": _known(info.bytes),
        "files": _known(info.files),
        "versions": info.versions,
        "created_at": info.created_at,
        "changed_at": info.changed_at,
    }


def _derived(derived: Derived) -> dict[str, Any]:
    """What a view or a snapshot is made of; nulls where that is not told, or there is none."""
    return {
        "base": None if derived.base is None else str(derived.base),
        "version": derived.version,
        "filter": derived.filter or None,
        "iterator": derived.iterator or None,
    }


def inferred_told(found: Inferred) -> dict[str, Any]:
    """What a sample showed of a new table's columns."""
    columns = [
        {"name": one["name"], "type": one["type"], "nulls": found.nulls[one["name"]]}
        for one in columns_of(found.schema)
    ]
    return {"rows": found.rows, "columns": columns}


def spec_told(spec: TableSpec) -> dict[str, Any]:
    """What a table is, as `create_table` takes it."""
    return {
        "columns": [_column(spec, column) for column in columns_of(spec.schema)],
        "key": list(spec.key),
        "partition_by": list(spec.partition_by),
        "checks": dict(spec.checks),
        "comment": spec.comment,
    }


def _column(spec: TableSpec, column: dict[str, Any]) -> dict[str, Any]:
    """A column with all that the table says of it; its comment stands apart."""
    name, noted = column["name"], dict(column["metadata"])
    comment = noted.pop(COLUMN_COMMENT.decode(), "")
    return column | {
        "metadata": noted,
        "default": spec.defaults.get(name),
        "comment": comment,
        "constraints": dict(spec.constraints.get(name, {})),
    }


def version_listed(version: Version) -> dict[str, Any]:
    """One line of a table's history."""
    return {
        "version": version.snapshot,
        "committed_at": version.committed_at,
        "changes": list(version.changes),
        "author": version.author,
        "reason": version.reason,
        "tags": list(version.tags),
        **({} if version.rows is None else {"rows": version.rows}),
    }


def tag_listed(tag: Tag) -> dict[str, Any]:
    """One tag of a table."""
    return {
        "name": tag.name,
        "table": str(tag.table),
        "version": tag.snapshot,
        "created_at": tag.created_at,
        "author": tag.author,
    }


def deletion_listed(deletion: Deletion) -> dict[str, Any]:
    """Rows that can be brought back."""
    return {
        "deletion": deletion.snapshot,
        "rows": deletion.rows,
        "deleted_at": deletion.deleted_at,
        "author": deletion.author,
    }


def _known(number: int) -> int | None:
    return None if number < 0 else number


def _plain(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    return str(value)
