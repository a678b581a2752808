"""What random operations are made of: names, kinds of columns, rows, conditions, assignments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from flight_server.testing.oracle import KEY, Assignment, Condition, OracleTable, Row, Test

NAMES = ("flights", "Two words", 'the "third"')
COLUMNS = ("a", "B", "c d", "é")
KINDS = {
    "whole": pa.int64(),
    "small": pa.int32(),
    "real": pa.float64(),
    "text": pa.string(),
    "flag": pa.bool_(),
}
COUNTING = ("whole", "small", "real")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.integers(-(2**40), 2**40),
    "small": st.integers(-5, 5),
    # Quarters are exact in binary and in SQL.
    "real": st.integers(-20, 20).map(lambda quarters: quarters / 4),
    "text": st.text("aZ '\"%é空", max_size=4),
    "flag": st.booleans(),
}
KEYS = st.integers(-3, 12)

column_names = st.sampled_from(COLUMNS)


@dataclass(frozen=True)
class GivenRows:
    """Rows that come in: some of a table's columns, keys that differ."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def values(kind: str) -> st.SearchStrategy[Any]:
    """Values of a kind, nulls among them."""
    return st.none() | VALUES[kind]


@st.composite
def columns(draw: st.DrawFn) -> dict[str, str]:
    """The columns of a table: the key, and up to three others."""
    names = draw(st.lists(column_names, max_size=3, unique=True))
    return {KEY: "whole"} | {name: draw(st.sampled_from(sorted(KINDS))) for name in names}


@st.composite
def given_rows(draw: st.DrawFn, table: OracleTable) -> GivenRows:
    """Rows for a table, in columns that stand in any order; the key is always among them."""
    others = [name for name in table.columns if name != KEY]
    chosen = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    names = draw(st.permutations([KEY, *chosen]))
    keys = draw(st.lists(KEYS, max_size=6, unique=True))
    rows = [
        {name: key if name == KEY else draw(values(table.columns[name])) for name in names}
        for key in keys
    ]
    return GivenRows(tuple(names), tuple(rows))


@st.composite
def comparisons(draw: st.DrawFn, table: OracleTable) -> Test:
    """One test of a column."""
    column = draw(st.sampled_from(list(table.columns)))
    operator = draw(st.sampled_from(["=", "<", ">=", "IS NULL", "IS NOT NULL"]))
    value = draw(KEYS if column == KEY else VALUES[table.columns[column]])
    return Test(column, operator, None if "NULL" in operator else value)


@st.composite
def conditions(draw: st.DrawFn, table: OracleTable) -> Condition | None:
    """Up to two tests, or none."""
    tests = draw(st.lists(comparisons(table), max_size=2))
    return Condition(tuple(tests), draw(st.booleans())) if tests else None


@st.composite
def assignments(draw: st.DrawFn, table: OracleTable) -> list[Assignment]:
    """New values for some of the columns that are not the key."""
    others = [name for name in table.columns if name != KEY]
    chosen = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    return [
        Assignment(name, draw(values(kind)), kind in COUNTING and draw(st.booleans()))
        for name in chosen
        for kind in [table.columns[name]]
    ]
