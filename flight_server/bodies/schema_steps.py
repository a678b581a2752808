"""The history of a table's schema as JSON: its changes as `alter_table` takes them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from flight_server.arrow_types import columns_of, write_type
from flight_server.bodies.answers import spec_told
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
)
from flight_server.operations import SchemaStep


def step_listed(step: SchemaStep) -> dict[str, Any]:
    """One step; what a table was to begin with stands there as a change, too."""
    changes: list[dict[str, Any]] = []
    if step.made is not None:
        changes.append({"create_table": spec_told(step.made)})
    changes += [change_told(change) for change in step.changes]
    if step.renamed is not None:
        changes.append({"rename_table": {"to": str(step.renamed)}})
    if step.dropped:
        changes.append({"drop_table": {}})
    return {
        "version": step.version.snapshot,
        "committed_at": step.version.committed_at,
        "author": step.version.author,
        "reason": step.version.reason,
        "changes": changes,
    }


def change_told(change: SchemaChange) -> dict[str, Any]:
    """A change as `alter_table` takes it."""
    match change:
        case AddColumn(field, default):
            return {"add_column": {**_column(field), "default": default}}
        case DropColumn(name):
            return {"drop_column": {"name": name}}
        case RenameColumn(name, new_name):
            return {"rename_column": {"name": name, "new_name": new_name}}
        case RetypeColumn(name, kind):
            return {"retype_column": {"name": name, "type": write_type(kind)}}
        case SetDefault(name, default):
            return {"set_default": {"name": name, "default": default}}
        case SetNullable(name, nullable):
            return {"set_nullable": {"name": name, "nullable": nullable}}
        case SetConstraint(name, constraint):
            told = None if constraint is None else dict(constraint)
            return {"set_constraint": {"name": name, "constraints": told}}
        case SetCheck(name, predicate):
            return {"set_check": {"name": name, "expression": predicate}}
        case DropCheck(name):
            return {"drop_check": {"name": name}}
    return _of_table(change)


def _of_table(change: SchemaChange) -> dict[str, Any]:
    match change:
        case SetColumnComment(name, comment):
            return {"set_column_comment": {"name": name, "comment": comment}}
        case SetKey(key):
            return {"set_key": {"key": list(key)}}
        case SetComment(comment):
            return {"set_comment": {"comment": comment}}
        case SetPartitioning(partition_by):
            return {"set_partitioning": {"partition_by": list(partition_by)}}
    raise AssertionError(f"no such change: {change!r}")


def _column(field: pa.Field) -> dict[str, Any]:
    [column] = columns_of(pa.schema([field]))
    noted = dict(column["metadata"])
    comment = noted.pop(COLUMN_COMMENT.decode(), "")
    return {**column, "metadata": noted, "comment": comment}
