"""What JSON Schema says of a column, as conditions in SQL.

Each is over the column's natural value, see `sql_types`; it is false where the value must not be,
and null where the value is. Bounds are brought to the column's own numbers here, once, so that no
value is rounded as it is compared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.constraints import KEYWORDS, Kind, exact, kind_of, plain_type
from flight_server.engines.lake.instance import literal
from flight_server.engines.lake.patterns import translated_pattern

# The largest number that DuckDB's integers hold.
_HUGE = 2**127 - 1
_ITEM = re.compile(r"\bchecked_(\d+)\b")
_DATE = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[zZ]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H = "[0-9a-fA-F]{1,4}"
_LAST = rf"(?:{_H}:{_H}|{_IPV4})"
_IPV6 = "|".join(
    (
        rf"(?:{_H}:){{6}}{_LAST}",
        rf"::(?:{_H}:){{5}}{_LAST}",
        rf"(?:{_H})?::(?:{_H}:){{4}}{_LAST}",
        rf"(?:(?:{_H}:){{0,1}}{_H})?::(?:{_H}:){{3}}{_LAST}",
        rf"(?:(?:{_H}:){{0,2}}{_H})?::(?:{_H}:){{2}}{_LAST}",
        rf"(?:(?:{_H}:){{0,3}}{_H})?::{_H}:{_LAST}",
        rf"(?:(?:{_H}:){{0,4}}{_H})?::{_LAST}",
        rf"(?:(?:{_H}:){{0,5}}{_H})?::{_H}",
        rf"(?:(?:{_H}:){{0,6}}{_H})?::",
    )
)
_FORMATS = {
    "date": _DATE,
    "date-time": f"{_DATE}[tT]{_TIME}",
    "email": r"[^\s@]+@[^\s@]+",
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9a-fA-F]{2})*",
    "uuid": "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
}


def conditions(
    data_type: pa.DataType, constraint: Mapping[str, Any], sql: str
) -> list[tuple[str, str]]:
    """Each enforced keyword of a checked constraint, and the condition that it means."""
    plain, kind = plain_type(data_type), kind_of(data_type)
    return [
        (name, _MAKERS[name](plain, kind, value, sql))
        for name, value in constraint.items()
        if KEYWORDS[name].is_enforced and name in _MAKERS and kind is not Kind.MOMENT
    ]


def _bounded(
    operator: str, rounded: Callable[[Fraction], int]
) -> Callable[[pa.DataType, Kind, Any, str], str]:
    """The condition of a bound: by exact numbers where the column has them."""

    def condition(plain: pa.DataType, kind: Kind, value: Any, sql: str) -> str:
        if kinds.is_floating(plain):
            return f"(NOT isnan({sql}) AND CAST({sql} AS DOUBLE) {operator} {_double(value)})"
        scale = _scale(plain)
        units = rounded(Fraction(exact(value)) * 10**scale)
        if abs(units) > 10**37:
            # Beyond what the column can hold, either all values meet it or none does.
            return f"({sql} IS NULL OR {'true' if (units < 0) == ('>' in operator) else 'false'})"
        return f"{sql} {operator} {_number(units, scale)}"

    return condition


def _multiple(plain: pa.DataType, kind: Kind, value: Any, sql: str) -> str:
    if kinds.is_floating(plain):
        number = f"CAST({sql} AS DOUBLE)"
        if isinstance(value, int) or value.is_integer():
            return f"(isfinite({sql}) AND fmod({number}, {_double(value)}) = 0)"
        quotient = f"({number} / {_double(value)})"
        return f"(isfinite({sql}) AND {quotient} = trunc({quotient}))"
    scale = _scale(plain)
    step = (Fraction(exact(value)) * 10**scale).numerator
    if step > _HUGE:
        return f"{sql} = 0"
    units = sql if not scale else f"replace(CAST({sql} AS VARCHAR), '.', '')"
    return f"CAST({units} AS HUGEINT) % {step} = 0"


def _one_of(plain: pa.DataType, kind: Kind, values: Any, sql: str) -> str:
    if kinds.is_floating(plain):
        texts = [_double(value) for value in values if value is not None]
        sql = f"CAST({sql} AS DOUBLE)"
    elif kind is Kind.TEXT:
        texts = [literal(value) for value in values if value is not None]
    elif kind is Kind.BOOLEAN:
        texts = [str(value).lower() for value in values if value is not None]
    else:
        scale = _scale(plain)
        scaled = [Fraction(exact(value)) * 10**scale for value in values if value is not None]
        held = [int(one) for one in scaled if one.denominator == 1 and abs(one) <= 10**37]
        texts = [_number(units, scale) for units in held]
    # Of nothing that the column can hold nothing is one.
    return f"{sql} IN ({', '.join(texts)})" if texts else f"({sql} IS NULL)"


def _format(plain: pa.DataType, kind: Kind, value: Any, sql: str) -> str:
    matches = f"regexp_full_match({sql}, {literal(_FORMATS[value])})"
    if not value.startswith("date"):
        return matches
    # Whether the month has so many days is nothing for a regular expression.
    is_day = f"TRY_CAST(left({sql}, 10) AS DATE) IS NOT NULL"
    return f"CASE WHEN {matches} THEN {is_day} ELSE {matches} END"


def _unique(plain: pa.DataType, kind: Kind, value: Any, sql: str) -> str:
    if not value:
        return "true"
    nulls = f"len({sql}) - list_count({sql})"
    return f"(list_unique({sql}) = list_count({sql}) AND {nulls} <= 1)"


def _items(plain: pa.DataType, kind: Kind, value: Any, sql: str) -> str:
    # Lambdas within lambdas have names of their own.
    item = f"checked_{1 + max(map(int, _ITEM.findall(sql)), default=0)}"
    inside = [condition for _, condition in conditions(plain.value_type, value, item)]
    if not inside:
        return "true"
    wrong = " OR ".join(f"({condition}) IS FALSE" for condition in inside)
    return f"len(list_filter({sql}, lambda {item}: {wrong})) = 0"


def _scale(plain: pa.DataType) -> int:
    return max(0, plain.scale) if kinds.is_decimal(plain) else 0


def _number(units: int, scale: int) -> str:
    """The number of so many units of the scale, exactly."""
    if not scale:
        return f"CAST('{units}' AS HUGEINT)"
    return f"CAST('{units}E-{scale}' AS DECIMAL(38, {scale}))"


def _double(value: int | float) -> str:
    number = float(value) if abs(value) < 2**1023 else math.copysign(math.inf, value)
    return f"CAST('{number!r}' AS DOUBLE)"


_MAKERS: dict[str, Callable[[pa.DataType, Kind, Any, str], str]] = {
    "enum": _one_of,
    "const": lambda plain, kind, value, sql: _one_of(plain, kind, [value], sql),
    "minimum": _bounded(">=", math.ceil),
    "maximum": _bounded("<=", math.floor),
    "exclusiveMinimum": _bounded(">", math.floor),
    "exclusiveMaximum": _bounded("<", math.ceil),
    "multipleOf": _multiple,
    "minLength": lambda plain, kind, value, sql: f"length({sql}) >= {int(value)}",
    "maxLength": lambda plain, kind, value, sql: f"length({sql}) <= {int(value)}",
    "pattern": lambda plain, kind, value, sql: (
        f"regexp_matches({sql}, {literal(translated_pattern(value))})"
    ),
    "format": _format,
    "minItems": lambda plain, kind, value, sql: f"len({sql}) >= {int(value)}",
    "maxItems": lambda plain, kind, value, sql: f"len({sql}) <= {int(value)}",
    "uniqueItems": _unique,
    "items": _items,
}
# A keyword that nothing here enforces would be ignored without a word.
assert {name for name, one in KEYWORDS.items() if one.is_enforced} - {"type"} == set(_MAKERS)
