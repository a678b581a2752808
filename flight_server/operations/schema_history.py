"""How a table became what it is: each change of its columns and properties, by whom and when.

Told in the changes that `alter_table` takes, so that whoever follows a table can make them after
it. What of a table may not be read is left out of every version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import (
    require,
)
from flight_server.engines.history import SupportsSchemaVersions
from flight_server.model import (
    COLUMN_COMMENT,
    AddColumn,
    DropCheck,
    DropColumn,
    RenameColumn,
    RetypeColumn,
    SchemaChange,
    SchemaVersion,
    SetCheck,
    SetColumnComment,
    SetComment,
    SetConstraint,
    SetDefault,
    SetKey,
    SetNullable,
    SetPartitioning,
    TableRef,
    TableSpec,
    Version,
)
from flight_server.operations.authorise import Permitted, permitted, without_hidden
from flight_server.operations.services import Call, Services


@dataclass(frozen=True)
class SchemaStep:
    """What one version made of a table.

    `made` is what the table was to begin with: where it was made, or at the oldest version left.
    `renamed` is the name that it got. `dropped` says that it went.
    """

    version: Version
    made: TableSpec | None = None
    changes: tuple[SchemaChange, ...] = ()
    renamed: TableRef | None = None
    dropped: bool = False


def schema_history(
    services: Services, call: Call, table: TableRef, limit: int | None = None
) -> list[SchemaStep]:
    """The steps that show, newest first. NotFound; Forbidden; Unsupported."""
    allowed = permitted(services, call, table, Action.READ)
    engine = require(allowed.engine, SupportsSchemaVersions)
    known = [_readable(allowed, one) for one in engine.schema_versions(allowed.table)]
    steps = [_step(one, known[at + 1 : at + 2]) for at, one in enumerate(known)]
    return [step for step in steps if step is not None][:limit]


def _readable(allowed: Permitted, one: SchemaVersion) -> SchemaVersion:
    """What of a version may be told: of tables of which not all may be read, columns of now."""
    if one.spec is None or allowed.whole:
        return one
    return replace(one, spec=without_hidden(one.spec, allowed.columns))


def _step(one: SchemaVersion, before: Sequence[SchemaVersion]) -> SchemaStep | None:
    version = one.version
    if one.spec is None:
        return SchemaStep(version, dropped=True)
    if not before or before[0].spec is None or before[0].identity != one.identity:
        told = version if "created" in version.changes else replace(version, author="", reason="")
        return SchemaStep(told, made=one.spec)
    old = before[0]
    assert old.spec is not None, "there was a table to change"
    changes = tuple(differences(old.spec, one.spec, _renamed(old.columns, one.columns)))
    renamed = one.table if one.table != old.table else None
    if not changes and renamed is None:
        return None
    return SchemaStep(version, changes=changes, renamed=renamed)


def _renamed(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, str]:
    """The columns that were called otherwise, by what they are called."""
    was = {number: name for name, number in before.items()}
    return {
        name: was[number]
        for name, number in after.items()
        if was.get(number, name) != name and name not in before
    }


def differences(
    before: TableSpec, after: TableSpec, renamed: Mapping[str, str]
) -> Iterator[SchemaChange]:
    """The changes that make one of the other; `renamed` says what columns were called."""
    old, new = before.schema, after.schema
    kept = {name: renamed.get(name, name) for name in new.names}
    kept = {name: was for name, was in kept.items() if was in old.names}
    for name in before.checks:
        if name not in after.checks:
            yield DropCheck(name)
    for name in old.names:
        if name not in kept.values():
            yield DropColumn(name)
    for name, was in kept.items():
        if was != name:
            yield RenameColumn(was, name)
    for name, was in kept.items():
        yield from _of_column(old.field(was), new.field(name))
    for field in new:
        if field.name not in kept:
            yield AddColumn(field, after.defaults.get(field.name))
    yield from _of_values(before, after, kept)
    yield from _of_table(before, after, renamed)


def _of_column(old: pa.Field, new: pa.Field) -> Iterator[SchemaChange]:
    if old.type != new.type:
        yield RetypeColumn(new.name, new.type)
    if old.nullable != new.nullable:
        yield SetNullable(new.name, new.nullable)
    if _comment(old) != _comment(new):
        yield SetColumnComment(new.name, _comment(new))


def _of_values(
    before: TableSpec, after: TableSpec, kept: Mapping[str, str]
) -> Iterator[SchemaChange]:
    """What is said of the values of columns: defaults, constraints, checks."""
    for name, was in kept.items():
        if before.defaults.get(was) != after.defaults.get(name):
            yield SetDefault(name, after.defaults.get(name))
    for name in after.schema.names:
        old = before.constraints.get(kept.get(name, ""), {})
        if old != after.constraints.get(name, {}):
            yield SetConstraint(name, after.constraints.get(name))
    for name, predicate in after.checks.items():
        if before.checks.get(name) != predicate:
            yield SetCheck(name, predicate)


def _of_table(
    before: TableSpec, after: TableSpec, renamed: Mapping[str, str]
) -> Iterator[SchemaChange]:
    now = {was: name for name, was in renamed.items()}
    if tuple(now.get(name, name) for name in before.key) != after.key:
        yield SetKey(after.key)
    # That of renamed columns follows them.
    if not renamed and before.partition_by != after.partition_by:
        yield SetPartitioning(after.partition_by)
    if before.comment != after.comment:
        yield SetComment(after.comment)


def _comment(field: pa.Field) -> str:
    text: bytes = (field.metadata or {}).get(COLUMN_COMMENT, b"")
    return text.decode(errors="replace")
