"""Changes of what is said of a table beside its columns: rules and comments."""

from __future__ import annotations

from dataclasses import replace

from flight_server.constraints import check_constraint
from flight_server.engines.lake.checks import checks_naming
from flight_server.engines.lake.tables import true_name
from flight_server.errors import InvalidRequest, NotFound, did_you_mean
from flight_server.model import (
    COLUMN_COMMENT,
    DropCheck,
    SetCheck,
    SetColumnComment,
    SetConstraint,
    TableRef,
    TableSpec,
)


def with_rule(
    spec: TableSpec, change: SetConstraint | SetCheck | DropCheck | SetColumnComment
) -> TableSpec:
    """The spec after one such change. NotFound for a check that there is not."""
    match change:
        case SetConstraint(name, constraint):
            field = spec.schema.field(true_name(spec.schema, name))
            others = {other: one for other, one in spec.constraints.items() if other != field.name}
            checked = check_constraint(field, constraint or {})
            kept = others | ({field.name: checked} if checked else {})
            return replace(spec, constraints=kept)
        case SetCheck(name, predicate):
            return replace(spec, checks={**spec.checks, name: predicate})
        case DropCheck(name):
            return replace(spec, checks=_without_check(spec, name))
        case SetColumnComment(name, comment):
            return _with_comment(spec, true_name(spec.schema, name), comment)


def refuse_checked(table: TableRef, spec: TableSpec, column: str) -> None:
    """InvalidRequest where a check needs the column, whose name is a part of its text."""
    for check in checks_naming(spec, column):
        raise InvalidRequest(
            f"The check '{check}' of '{table}' needs the column '{column}': drop the check first."
        )


def _without_check(spec: TableSpec, name: str) -> dict[str, str]:
    if name not in spec.checks:
        raise NotFound(f"There is no check '{name}'.{did_you_mean(name, spec.checks)}")
    return {other: predicate for other, predicate in spec.checks.items() if other != name}


def _with_comment(spec: TableSpec, name: str, comment: str) -> TableSpec:
    at = spec.schema.get_field_index(name)
    field = spec.schema.field(at)
    noted = {key: value for key, value in (field.metadata or {}).items() if key != COLUMN_COMMENT}
    if comment:
        noted[COLUMN_COMMENT] = comment.encode()
    field = field.with_metadata(noted) if noted else field.remove_metadata()
    return replace(spec, schema=spec.schema.set(at, field))
