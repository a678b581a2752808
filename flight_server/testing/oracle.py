"""What the tables of an engine must hold, kept in dicts and lists.

The state machine does every operation twice, on an engine and here, and compares. This file knows
no engine, no Arrow and no SQL beyond writing its own conditions as text: what it shares with an
engine it could not find wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

KEY = "k"
Row = dict[str, Any]


def literal(value: Any) -> str:
    """The value in SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


def identifier(name: str) -> str:
    """The name in SQL."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Test:
    """One comparison of a column with a value: `=`, `<`, `>=`, `IS NULL` or `IS NOT NULL`."""

    column: str
    operator: str
    value: Any = None

    def holds(self, row: Row) -> bool:
        """Whether it is true of the row; where SQL says null, it is not."""
        mine = row[self.column]
        if self.operator in ("IS NULL", "IS NOT NULL"):
            return (mine is None) == (self.operator == "IS NULL")
        if mine is None or self.value is None:
            return False
        return bool(
            {"=": mine == self.value, "<": mine < self.value, ">=": mine >= self.value}[
                self.operator
            ]
        )

    def sql(self) -> str:
        """The comparison as text."""
        text = f"{identifier(self.column)} {self.operator}"
        return text if "NULL" in self.operator else f"{text} {literal(self.value)}"


@dataclass(frozen=True)
class Condition:
    """Several tests, all of which or one of which must hold."""

    tests: tuple[Test, ...]
    needs_all: bool

    def holds(self, row: Row) -> bool:
        """Whether it is true of the row."""
        return (all if self.needs_all else any)(test.holds(row) for test in self.tests)

    def sql(self) -> str:
        """The condition as text."""
        return (" AND " if self.needs_all else " OR ").join(test.sql() for test in self.tests)


@dataclass(frozen=True)
class Assignment:
    """What an update sets a column to: a value, or for numbers the old value and one more."""

    column: str
    value: Any
    adds: bool = False

    def of(self, row: Row) -> Any:
        """The new value of the row's column."""
        if not self.adds:
            return self.value
        return None if row[self.column] is None else row[self.column] + 1

    def sql(self) -> str:
        """The new value as text."""
        return f"{identifier(self.column)} + 1" if self.adds else literal(self.value)


@dataclass
class OracleTable:
    """A table: its columns with their kinds, its rows by their key.

    `id` stays through renames; `epoch` is new whenever columns change or the table comes back.
    """

    id: int
    columns: dict[str, str]
    defaults: dict[str, Any] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    epoch: int = 0

    def filled(self, given: Row) -> Row:
        """The row with every column: what was given, else the default, else null."""
        return {name: given.get(name, self.defaults.get(name)) for name in self.columns}

    def append(self, rows: Iterable[Row]) -> None:
        """Adds rows of keys that are new."""
        for row in rows:
            assert row[KEY] not in self.rows
            self.rows[row[KEY]] = self.filled(row)

    def overwrite(self, rows: Iterable[Row]) -> None:
        """Only these rows are left."""
        self.rows = {}
        self.append(rows)

    def put_by_key(self, rows: list[Row], merges: bool) -> tuple[int, int]:
        """Replaces or merges rows of known keys and adds the others; how many of each.

        Where there is nothing to set but the key, no row is updated.
        """
        updated = [row for row in rows if row[KEY] in self.rows]
        for row in updated:
            old = self.rows[row[KEY]]
            self.rows[row[KEY]] = {**old, **row} if merges else self.filled(row)
        others = [row for row in rows if row not in updated]
        self.append(others)
        sets = rows[:1] and (set(rows[0]) if merges else set(self.columns)) - {KEY}
        return len(updated) if sets else 0, len(others)

    def update(self, assignments: list[Assignment], condition: Condition | None) -> int:
        """Sets columns where the condition holds; how many rows that were."""
        found = self.matching(condition)
        for row in found:
            new = {assignment.column: assignment.of(row) for assignment in assignments}
            self.rows[row[KEY]] = {**row, **new}
        return len(found)

    def delete(self, condition: Condition | None) -> int:
        """Deletes rows where the condition holds; how many that were."""
        found = self.matching(condition)
        for row in found:
            del self.rows[row[KEY]]
        return len(found)

    def matching(self, condition: Condition | None) -> list[Row]:
        """The rows where the condition holds, all without one."""
        return [row for row in self.rows.values() if condition is None or condition.holds(row)]

    def add_column(self, name: str, kind: str, default: Any) -> None:
        """Adds a column; the rows that are there get the default."""
        self.columns[name] = kind
        if default is not None:
            self.defaults[name] = default
        self._each(lambda row: {**row, name: default})

    def drop_column(self, name: str) -> None:
        """Takes a column away."""
        del self.columns[name]
        self.defaults.pop(name, None)
        self._each(lambda row: {n: value for n, value in row.items() if n != name})

    def rename_column(self, name: str, new: str) -> None:
        """Gives a column another name, in its place."""

        def renamed(values: dict[str, Any]) -> dict[str, Any]:
            return {new if n == name else n: value for n, value in values.items()}

        self.columns, self.defaults = renamed(self.columns), renamed(self.defaults)
        self._each(renamed)

    def become(self, other: OracleTable) -> None:
        """Takes over what another state of the table had, but for the epoch."""
        if (self.columns, list(self.columns)) != (other.columns, list(other.columns)):
            self.epoch += 1
        self.columns, self.defaults = dict(other.columns), dict(other.defaults)
        self.rows = copy.deepcopy(other.rows)

    def _each(self, change: Callable[[Row], Row]) -> None:
        self.rows = {key: change(row) for key, row in self.rows.items()}


class Oracle:
    """All tables now, all tables at every snapshot that was seen, and those that were dropped."""

    def __init__(self) -> None:
        self.tables: dict[str, OracleTable] = {}
        self.dropped: dict[str, OracleTable] = {}
        self.history: dict[int, dict[str, OracleTable]] = {}
        self._next_id = 0

    def create(self, name: str, columns: dict[str, str]) -> OracleTable:
        """A new, empty table; a dropped one of this name stays dropped."""
        self._next_id += 1
        self.tables[name] = OracleTable(self._next_id, columns)
        return self.tables[name]

    def drop(self, name: str) -> None:
        """The table is gone, and can come back."""
        self.dropped[name] = self.tables.pop(name)

    def undrop(self, name: str) -> OracleTable:
        """The table that was dropped last is back."""
        table = self.tables[name] = self.dropped.pop(name)
        table.epoch += 1
        return table

    def rename(self, name: str, new: str) -> None:
        """The table has another name."""
        self.tables[new] = self.tables.pop(name)

    def record(self, snapshot: int) -> None:
        """This is how all tables are at the snapshot."""
        tables = copy.deepcopy(self.tables)
        assert self.history.setdefault(snapshot, tables) == tables, "a snapshot changed its rows"

    def moments(self, name: str, same_epoch: bool) -> list[tuple[int, OracleTable]]:
        """The snapshots at which the table of today was there, and as what.

        With `same_epoch` only those that its change feed reaches back to: under the name of today,
        with the columns of today, without a drop between.
        """
        now = self.tables[name]
        return [
            (snapshot, table)
            for snapshot, tables in self.history.items()
            for known, table in tables.items()
            if table.id == now.id
            and (not same_epoch or (known == name and table.epoch == now.epoch))
        ]
