"""Rules that rows must meet to be taken: judged column by column, told row by row.

A rule looks at a column as a whole first; only where a value breaks it are rows looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from flight_server.errors import ErrorCode, InvalidRequest, did_you_mean
from flight_server.formats.json_values import array_of, taken
from flight_server.formats.text_values import MisfitError, shown
from flight_server.transfer.readers.casting import fitted, from_values


@dataclass(frozen=True)
class ColumnRules:
    """What every value of a column must be; what is None is not asked for."""

    type: pa.DataType | None = None
    is_nullable: bool = True
    minimum: Any = None
    maximum: Any = None
    length_min: int | None = None
    length_max: int | None = None
    pattern: str | None = None
    allowed: Sequence[Any] | None = None
    is_unique: bool = False


# Which rows of a batch break a rule, by their places: the column, and why.
Broken = dict[int, tuple[str | None, str]]
# The places of a column at which a rule is broken, and the reason for a value.
_Rule = tuple[Callable[[pa.Array], pa.Array], Callable[[Any], str]]


@dataclass
class Checker:
    """The rules of all columns, against the schema that rows have once they are read."""

    schema: pa.Schema
    rules: Mapping[str, ColumnRules]
    _compiled: list[tuple[int, str, _Rule]] = field(default_factory=list)

    def __post_init__(self) -> None:
        places = {name.lower(): at for at, name in enumerate(self.schema.names)}
        for name in self.rules:
            if name.lower() not in places:
                raise InvalidRequest(
                    f"'validation_rules' names the column '{name[:200]}', which no row has."
                    f"{did_you_mean(name, self.schema.names)}",
                    code=ErrorCode.SCHEMA_MISMATCH,
                )
        given = {name.lower(): rules for name, rules in self.rules.items()}
        for name, at in places.items():
            one = self.schema.field(at)
            rules = given.get(name, ColumnRules())
            for rule in _compiled(one, rules):
                self._compiled.append((at, one.name, rule))

    def broken(self, batch: pa.RecordBatch) -> Broken:
        """Which rows break a rule; of several reasons the first counts."""
        found: Broken = {}
        for at, name, (is_broken, reason) in self._compiled:
            column = batch.column(at)
            mask = is_broken(column)
            if not pc.any(mask).as_py():
                continue
            for place in pc.indices_nonzero(mask.fill_null(False)).to_pylist():
                found.setdefault(place, (name, reason(column[place].as_py())))
        return found


def _compiled(one: pa.Field, rules: ColumnRules) -> list[_Rule]:
    found: list[_Rule] = []
    if not (one.nullable and rules.is_nullable):
        found.append((pc.is_null, lambda value: "it must not be null"))
    if rules.type is not None and rules.type != one.type:
        found.append(_of_type(rules.type))
    if rules.minimum is not None:
        least = _bound(one, rules.minimum, "min")
        found.append(
            (
                lambda column: pc.invert(pc.greater_equal(column, least)),
                lambda value: f"{shown(value)} is below {rules.minimum}, the least that is allowed",
            )
        )
    if rules.maximum is not None:
        most = _bound(one, rules.maximum, "max")
        found.append(
            (
                lambda column: pc.invert(pc.less_equal(column, most)),
                lambda value: f"{shown(value)} is above {rules.maximum}, the most that is allowed",
            )
        )
    found += _of_length(one, rules)
    if rules.pattern is not None:
        found.append(_of_pattern(one, rules.pattern))
    if rules.allowed is not None:
        found.append(_of_allowed(one, rules.allowed))
    return found


def _of_type(kind: pa.DataType) -> _Rule:
    def is_broken(column: pa.Array) -> pa.Array:
        schema = pa.schema([pa.field("value", taken(kind))])
        _, wrong = fitted([column], schema, from_values)
        return pa.array([at in wrong for at in range(len(column))], pa.bool_())

    return is_broken, lambda value: f"{shown(value)} is no {kind}"


def _of_length(one: pa.Field, rules: ColumnRules) -> list[_Rule]:
    if rules.length_min is None and rules.length_max is None:
        return []
    measured = _length(one)
    least, most = rules.length_min, rules.length_max
    found: list[_Rule] = []
    if least is not None:
        found.append(
            (
                lambda column: pc.less(measured(column), least),
                lambda value: f"{shown(value)} is shorter than {least}",
            )
        )
    if most is not None:
        found.append(
            (
                lambda column: pc.greater(measured(column), most),
                lambda value: f"{shown(value)} is longer than {most}",
            )
        )
    return found


def _length(one: pa.Field) -> Callable[[pa.Array], pa.Array]:
    kind = one.type
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return lambda column: pc.utf8_length(column)
    if kinds.is_binary(kind) or kinds.is_large_binary(kind):
        return lambda column: pc.binary_length(column)
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return lambda column: pc.list_value_length(column)
    raise _unfit(one, "a length", "values of this type have none")


def _of_pattern(one: pa.Field, pattern: str) -> _Rule:
    is_text = kinds.is_string(one.type) or kinds.is_large_string(one.type)
    if not is_text:
        raise _unfit(one, "a pattern", "only text has one")
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        raise _unfit(one, "a pattern", str(error).splitlines()[0][:200]) from None
    return (
        lambda column: pc.invert(pc.match_substring_regex(column, pattern)),
        lambda value: f"{shown(value)} does not match {pattern[:80]}",
    )


def _of_allowed(one: pa.Field, allowed: Sequence[Any]) -> _Rule:
    values = _values(one, allowed, "allowed")
    told = ", ".join(shown(value) for value in allowed[:5]) + ", …" * (len(allowed) > 5)

    def is_broken(column: pa.Array) -> pa.Array:
        return pc.and_(pc.invert(pc.is_in(column, values)), pc.is_valid(column))

    return is_broken, lambda value: f"{shown(value)} is none of {told}"


def _bound(one: pa.Field, value: Any, what: str) -> pa.Scalar:
    if kinds.is_nested(one.type) or kinds.is_boolean(one.type):
        raise _unfit(one, f"'{what}'", f"values of the type {one.type} have no order")
    return _values(one, [value], what)[0]


def _values(one: pa.Field, values: Sequence[Any], what: str) -> pa.Array:
    try:
        return array_of(list(values), one.type)
    except MisfitError as error:
        raise _unfit(one, f"'{what}'", str(error)) from None


def _unfit(one: pa.Field, what: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"'validation_rules' gives the column '{one.name}', which is {one.type}, {what} that does "
        f"not work: {reason}."
    )
