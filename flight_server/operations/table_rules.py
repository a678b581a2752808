"""Changes of tables on their way to an engine: what is SQL in them is checked, and who may set it.

A rule is judged by all rows, and says how many do not meet it: whoever may not read them all could
ask questions of them in this way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.rules import SupportsRules
from flight_server.errors import AlreadyExists, Forbidden
from flight_server.model import (
    AddColumn,
    DropColumn,
    IngestMode,
    RenameColumn,
    SchemaChange,
    SetCheck,
    SetConstraint,
    SetDefault,
    TableRef,
    Violation,
)
from flight_server.operations.authorise import Permitted, narrow, permitted
from flight_server.operations.services import Call, Services
from flight_server.query import check_literal, check_rule


def checked_changes(
    services: Services, call: Call, allowed: Permitted, changes: Sequence[SchemaChange]
) -> list[SchemaChange]:
    """The changes with their SQL checked. InvalidRequest; Forbidden."""
    columns = list(allowed.version.schema.names)
    if any(isinstance(change, SetCheck | SetConstraint) for change in changes):
        columns = list(_readable(services, call, allowed))
    checked: list[SchemaChange] = []
    for change in changes:
        match change:
            case AddColumn(field):
                columns.append(field.name)
            case RenameColumn(name, new_name):
                columns = [new_name if one.lower() == name.lower() else one for one in columns]
            case DropColumn(name):
                columns = [one for one in columns if one.lower() != name.lower()]
        checked.append(_checked(allowed, columns, change))
    return checked


def refuse_known_checks(
    services: Services, call: Call, table: TableRef, changes: Sequence[SchemaChange]
) -> None:
    """AlreadyExists where a check that is to be added is there."""
    names = [change.name for change in changes if isinstance(change, SetCheck)]
    allowed = permitted(services, call, table, Action.ALTER) if names else None
    for name in names:
        if allowed is not None and name in allowed.version.spec.checks:
            raise AlreadyExists(
                f"The table '{allowed.table}' has a check '{name}' already: drop it first."
            )


def judge_of(
    services: Services, call: Call, table: TableRef, mode: IngestMode
) -> Callable[[pa.RecordBatch], Mapping[int, Violation]] | None:
    """What finds the rows of a batch that the table's rules would refuse; None without rules."""
    allowed = permitted(services, call, table, Action.INSERT)
    spec, engine = allowed.version.spec, allowed.engine
    if not (spec.constraints or spec.checks) or not isinstance(engine, SupportsRules):
        return None
    return lambda batch: engine.violations(allowed.table, mode, batch)


def _checked(allowed: Permitted, columns: Sequence[str], change: SchemaChange) -> SchemaChange:
    match change:
        case AddColumn(default=str(text)) | SetDefault(default=str(text)):
            return replace(change, default=check_literal(text))
        case SetCheck(predicate=text):
            return replace(change, predicate=check_rule(text, columns))
        case SetConstraint(name=name):
            if name.lower() not in {one.lower() for one in columns}:
                narrow(replace(allowed, columns=tuple(columns)), (name,))
    return change


def _readable(services: Services, call: Call, allowed: Permitted) -> tuple[str, ...]:
    """The columns that rules may be about. Forbidden where not all rows are the principal's."""
    reading = permitted(services, call, allowed.table, Action.READ)
    if reading.row_filter is not None:
        raise Forbidden(
            f"You may read some rows of '{allowed.table}' only: its rules are set by those who may "
            "read all of them."
        )
    return reading.columns
