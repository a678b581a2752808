"""Random filters as JSON has them, what they mean, and rows to try them on."""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

SCHEMA = pa.schema(
    [
        pa.field("n", pa.int64()),
        pa.field("f", pa.float32()),
        pa.field("d", pa.decimal128(10, 2)),
        pa.field('t "x"', pa.string()),
        pa.field("b", pa.bool_()),
        pa.field("z", pa.timestamp("us", "UTC")),
        pa.field("day", pa.date32()),
        pa.field("raw", pa.binary()),
        pa.field("or", pa.int64()),
    ]
)
ZONE = dt.UTC
EPOCH = dt.datetime(2020, 1, 1, tzinfo=ZONE)
TEXTS = st.text("aA%_'\";-\\\0é ", max_size=3)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "n": st.integers(-3, 3),
    "f": st.sampled_from([0.1, -1.5, 2.0, math.inf, -math.inf]),
    "d": st.integers(-300, 300).map(lambda cents: Decimal(cents) / 100),
    't "x"': TEXTS,
    "b": st.booleans(),
    "z": st.integers(-5, 5).map(lambda hours: EPOCH + dt.timedelta(hours=hours)),
    "day": st.integers(-3, 3).map(lambda days: EPOCH.date() + dt.timedelta(days=days)),
    "raw": st.binary(max_size=2),
    "or": st.integers(-1, 1),
}


def sent(value: Any) -> Any:
    """The value as JSON has it."""
    match value:
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case dt.datetime():
            # In another zone than the column's: the moment is what counts.
            return value.astimezone(dt.timezone(dt.timedelta(hours=2))).isoformat()
        case dt.date():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal():
            return str(value)
    return value


Holds = Callable[[dict[str, Any]], bool | None]


def order(name: str, value: Any) -> Any:
    return pa.scalar(value, pa.float32()).as_py() if name == "f" else value


COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}
IN_TEXT: dict[str, Callable[[str, str], bool]] = {
    "starts_with": lambda a, b: a.startswith(b),
    "ends_with": lambda a, b: a.endswith(b),
    "contains": lambda a, b: b in a,
}


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[dict[str, Any], Holds]:
    """A condition on one column, and what it means: None is SQL's unknown."""
    name = draw(st.sampled_from(sorted(VALUES)))
    value = draw(VALUES[name])
    verb = draw(st.sampled_from([*COMPARED, "plain", "in", "not_in", "between", "is_null"]))
    low = order(name, value)
    if name == 't "x"' and draw(st.booleans()):
        verb = draw(st.sampled_from(sorted(IN_TEXT)))
        return {name: {verb: value}}, known(name, lambda mine: IN_TEXT[verb](mine, value))
    if verb == "plain":
        return {name: sent(value)}, known(name, lambda mine: mine == low)
    if verb == "is_null":
        flag = draw(st.booleans())
        return {name: {"is_null": flag}}, lambda row: (row[name] is None) == flag
    other = draw(VALUES[name])
    high = order(name, other)
    if verb == "between":
        limits = [sent(value), sent(other)]
        return {name: {verb: limits}}, known(name, lambda mine: low <= mine <= high)
    if verb in ("in", "not_in"):
        has_null = draw(st.booleans())
        given = [sent(value), sent(other)] + [None] * has_null
        return {name: {verb: given}}, one_of(name, (low, high), has_null, verb == "in")
    return {name: {verb: sent(value)}}, known(name, lambda mine: COMPARED[verb](mine, low))


def known(name: str, holds: Callable[[Any], bool]) -> Holds:
    return lambda row: None if row[name] is None else holds(row[name])


def one_of(name: str, values: tuple[Any, ...], has_null: bool, is_in: bool) -> Holds:
    def holds(row: dict[str, Any]) -> bool | None:
        mine = row[name]
        if mine is None:
            return is_in if has_null else None
        return (mine in values) == is_in

    return holds


def both(found: list[Holds]) -> Holds:
    def holds(row: dict[str, Any]) -> bool | None:
        values = [one(row) for one in found]
        return False if False in values else None if None in values else True

    return holds


def either(found: list[Holds]) -> Holds:
    def holds(row: dict[str, Any]) -> bool | None:
        values = [one(row) for one in found]
        return True if True in values else None if None in values else False

    return holds


def neither(found: Holds) -> Holds:
    def holds(row: dict[str, Any]) -> bool | None:
        value = found(row)
        return None if value is None else not value

    return holds


Case = tuple[dict[str, Any], Holds]


def joined(cases: list[Case]) -> st.SearchStrategy[Case]:
    objects, meanings = [one for one, _ in cases], [holds for _, holds in cases]
    return st.sampled_from(
        [({"and": objects}, both(meanings)), ({"or": objects}, either(meanings))]
        + [({"not": one}, neither(holds)) for one, holds in cases]
    )


conditions: st.SearchStrategy[Case] = st.recursive(
    comparisons(), lambda inner: st.lists(inner, max_size=3).flatmap(joined), max_leaves=6
)
rows = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}),
    max_size=6,
)
