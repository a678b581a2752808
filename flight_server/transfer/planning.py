"""Which columns of a file become which of a table, and of which types they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean
from flight_server.formats.json_values import taken
from flight_server.transfer.readers import Plan, Probe


@dataclass(frozen=True)
class Target:
    """What is known of the table before the file is read.

    `schema` is the table's own, None where it is still to be made. `defaulted` are the columns
    that have a default. `types` are those that the client gives, `mapping` says by which name a
    column of the file comes in; None leaves it out.
    """

    schema: pa.Schema | None = None
    defaulted: frozenset[str] = frozenset()
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    mapping: Mapping[str, str | None] = field(default_factory=dict)


def plan_for(probe: Probe, target: Target) -> Plan:
    """The plan. InvalidRequest (schema_mismatch) names the column that does not work out."""
    names = dict(_renamed(probe.schema.names, target.mapping))
    _check_twice(names.values())
    if probe.is_open:
        names = _wanted(names, target)
    if target.schema is None:
        fields = [_new(probe, source, name, target) for source, name in names.items()]
        _check_given(target.types, [one.name for one in fields])
    else:
        known = {one.name.lower(): one for one in target.schema}
        fields = [_known(known, source, name) for source, name in names.items()]
    if not fields:
        raise InvalidRequest("No column of the file is left: 'mapping' leaves all of them out.")
    return Plan(tuple(names), pa.schema(fields), None in target.mapping.values())


def _renamed(
    sources: Iterable[str], mapping: Mapping[str, str | None]
) -> Iterable[tuple[str, str]]:
    """Each column of the file that is wanted, with the name that it gets."""
    sources = list(sources)
    found = {name.lower(): name for name in sources}
    wanted: dict[str, str | None] = {}
    for name, becomes in mapping.items():
        source = name if name in sources else found.get(name.lower())
        if source is None:
            raise InvalidRequest(
                f"'mapping' names the column '{name[:200]}', which the file does not have."
                f"{did_you_mean(name, sources)} It has {', '.join(sources)[:500]}.",
                code=ErrorCode.SCHEMA_MISMATCH,
                details={"column": name[:200]},
            )
        wanted[source] = becomes
    for source in sources:
        becomes = wanted.get(source, source)
        if becomes is not None:
            yield source, becomes


def _check_twice(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise InvalidRequest(
                f"Two columns of the file become '{name[:200]}': give one another name, or null, "
                "in 'mapping'.",
                code=ErrorCode.SCHEMA_MISMATCH,
                details={"column": name[:200]},
            )
        seen.add(name.lower())


def _new(probe: Probe, source: str, name: str, target: Target) -> pa.Field:
    """A column of a table that is to be made."""
    given = {key.lower(): kind for key, kind in target.types.items()}
    found = probe.schema.field(source).type if source in probe.schema.names else pa.null()
    kind = given.get(name.lower(), found)
    if pa.types.is_null(kind):
        kind = pa.string()
    return pa.field(name, kind if probe.is_typed and kind == found else taken(kind))


def _known(known: Mapping[str, pa.Field], source: str, name: str) -> pa.Field:
    found = known.get(name.lower())
    if found is None:
        names = [one.name for one in known.values()]
        told = f"column '{source[:200]}'" if source == name else f"column '{name[:200]}'"
        raise InvalidRequest(
            f"The table has no {told}.{did_you_mean(name, names)} Say in 'mapping' which column "
            f'it is, or leave it out with {{"{source[:80]}": null}}.',
            code=ErrorCode.SCHEMA_MISMATCH,
            details={"column": name[:200]},
        )
    return pa.field(found.name, taken(found.type), found.nullable)


def _wanted(names: dict[str, str], target: Target) -> dict[str, str]:
    """The columns that are known of rows which may each have others.

    What a row has beyond them is that row's mistake; what none of the first rows has may still
    come, unless a default stands in for it.
    """
    expected = list(target.types)
    if target.schema is not None:
        expected = [one for one in target.schema.names if one not in target.defaulted]
    if not expected:
        return names
    known = {one.lower() for one in (target.schema.names if target.schema else expected)}
    found = {
        source: name
        for source, name in names.items()
        if name.lower() in known or source in target.mapping
    }
    there = {name.lower() for name in found.values()}
    renamed = {name.lower() for name in target.mapping}
    for name in expected:
        if name.lower() not in there | renamed:
            found[name] = name
    return found


def _check_given(types: Mapping[str, pa.DataType], names: list[str]) -> None:
    known = {name.lower() for name in names}
    for name in types:
        if name.lower() not in known:
            raise InvalidRequest(
                f"'schema' names the column '{name[:200]}', which the file does not have."
                f"{did_you_mean(name, names)}",
                code=ErrorCode.SCHEMA_MISMATCH,
                details={"column": name[:200]},
            )
