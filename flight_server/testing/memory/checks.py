"""What the rows of a table must meet, asked of one value after the other.

Slow and plain, so that it shares nothing with an engine that asks whole columns. A null passes.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import polars as pl
import pyarrow as pa

from flight_server.constraints import check_constraint
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import TableSpec, check_name
from flight_server.testing.memory.casts import plain
from flight_server.testing.memory.columns import no_rows
from flight_server.testing.memory.expressions import check_condition, constant, matching
from flight_server.testing.memory.state import TableState, column_position


def checked_rules(spec: TableSpec) -> TableSpec:
    """The spec with its rules checked, and columns spelled as in the schema."""
    constraints = {}
    for name, constraint in spec.constraints.items():
        field = spec.schema.field(column_position(spec.schema, name))
        if checked := check_constraint(field, constraint):
            constraints[field.name] = checked
        for pattern in _patterns(checked):
            _check_pattern(pattern)
        if (default := spec.defaults.get(field.name)) is not None:
            _check_column("a default", field, checked, constant(default, field, 1))
    for name, predicate in spec.checks.items():
        check_name(name, "check")
        check_condition(no_rows(spec.schema), predicate)
    return replace(spec, constraints=constraints)


def check_table(table: TableState) -> None:
    """CHECK_VIOLATION where a row of the table violates one of its rules."""
    for name, constraint in table.spec.constraints.items():
        at = table.position(name)
        field = table.spec.schema.field(at)
        _check_column(str(table.ref), field, constraint, table.rows.column(at))
    for name, predicate in table.spec.checks.items():
        wrong = matching(table.rows, f"NOT ({predicate})")
        if wrong:
            raise InvalidRequest(
                f"{len(wrong)} rows of '{table.ref}' violate the check '{name}'.",
                code=ErrorCode.CHECK_VIOLATION,
                details={"table": str(table.ref), "check": name},
            )


def refuse_checked(table: TableState, column: str) -> None:
    """INVALID_REQUEST where a check names the column."""
    for name, predicate in table.spec.checks.items():
        names = [one.casefold() for one in pl.sql_expr(predicate).meta.root_names()]
        if column.casefold() in names:
            raise InvalidRequest(f"The check '{name}' needs the column '{column}': drop it first.")


def _check_column(
    where: str, field: pa.Field, constraint: Mapping[str, Any], column: pa.ChunkedArray
) -> None:
    for value in plain(column).to_pylist():
        keyword = violated(value, constraint)
        if keyword is not None:
            raise InvalidRequest(
                f"A value of {where} violates the constraint '{keyword}' of the column "
                f"'{field.name}'.",
                code=ErrorCode.CHECK_VIOLATION,
                details={"table": where, "column": field.name, "constraint": keyword},
            )


def violated(value: Any, constraint: Mapping[str, Any]) -> str | None:
    """The first keyword that the value does not meet, None where it meets all."""
    if value is None:
        return None
    for keyword, wanted in constraint.items():
        if keyword in _TESTS and not _TESTS[keyword](value, wanted):
            return keyword
    return None


def _patterns(constraint: Mapping[str, Any]) -> Iterable[str]:
    if "pattern" in constraint:
        yield constraint["pattern"]
    if "items" in constraint:
        yield from _patterns(constraint["items"])


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise InvalidRequest(f"'{pattern}' is no regular expression: {error}.") from None
    if re.search(r"\(\?(?!:)|\\[1-9]", pattern):
        raise InvalidRequest(f"The pattern '{pattern}' cannot be enforced.")


def _is_multiple(value: Any, step: Any) -> bool:
    if isinstance(value, float):
        if not math.isfinite(value):
            return False
        if float(step).is_integer():
            return math.fmod(value, step) == 0
        return bool((value / step).is_integer())
    return (Fraction(value) / Fraction(repr(step))).denominator == 1


def _exact(value: Any) -> Any:
    """Floats compare with floats, and everything else with what JSON's text says."""
    return Fraction(repr(value)) if isinstance(value, float) else value


def _bound(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(value: Any, bound: Any) -> bool:
        if isinstance(value, float):
            return not math.isnan(value) and test(value, float(bound))
        return test(Fraction(value), _exact(bound))

    return holds


def _is_one(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool) or isinstance(value, str):
        return type(value) is type(wanted) and bool(value == wanted)
    if wanted is None:
        return False
    return bool(value == (float(wanted) if isinstance(value, float) else _exact(wanted)))


def _is_unique(items: Sequence[Any]) -> bool:
    return all(item not in items[:at] for at, item in enumerate(items))


def _is_format(value: Any, name: str) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return bool(_FORMATS[name](value))
    except ValueError:
        return False


def _is_uuid(value: str) -> bool:
    return str(uuid.UUID(value)) == value.lower()


def _is_date(value: str) -> bool:
    return len(value) == 10 and value.isascii() and bool(dt.date.fromisoformat(value))


_HOUR, _SIXTY = r"(?:[01]\d|2[0-3])", r"[0-5]\d"
_CLOCK = re.compile(
    rf"{_HOUR}:{_SIXTY}:(?:{_SIXTY}|60)(?:\.\d+)?(?:[zZ]|[+-]{_HOUR}:{_SIXTY})", re.ASCII
)


def _is_moment(value: str) -> bool:
    clock = value[11:] if value[10:11] in ("T", "t") else ""
    return _is_date(value[:10]) and _CLOCK.fullmatch(clock) is not None


_FORMATS: dict[str, Callable[[str], Any]] = {
    "date": _is_date,
    "date-time": _is_moment,
    "email": re.compile(r"[^\s@]+@[^\s@]+", re.ASCII).fullmatch,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": lambda value: "%" not in value and ipaddress.IPv6Address(value),
    "uri": re.compile(
        r"[A-Za-z][A-Za-z0-9+.-]*:(?:[!#$&-;=?-\[\]_a-z~]|%[0-9A-Fa-f]{2})*"
    ).fullmatch,
    "uuid": _is_uuid,
}
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, wanted: any(_is_one(value, one) for one in wanted),
    "const": _is_one,
    "minimum": _bound(lambda value, bound: value >= bound),
    "maximum": _bound(lambda value, bound: value <= bound),
    "exclusiveMinimum": _bound(lambda value, bound: value > bound),
    "exclusiveMaximum": _bound(lambda value, bound: value < bound),
    "multipleOf": _is_multiple,
    "minLength": lambda value, count: len(value) >= count,
    "maxLength": lambda value, count: len(value) <= count,
    # Python's own `$` matches before the last line's end as well.
    "pattern": lambda value, pattern: bool(re.search(pattern.replace("$", r"\Z"), value)),
    "format": _is_format,
    "minItems": lambda value, count: len(value) >= count,
    "maxItems": lambda value, count: len(value) <= count,
    "uniqueItems": lambda value, wanted: not wanted or _is_unique(value),
    "items": lambda value, inner: all(violated(item, inner) is None for item in value),
}
