"""Rows that one transaction inserted and has not committed, and two faults of DuckLake with them.

DuckLake 1.5.5 numbers such rows provisionally. After several statements, of which some inserted
few rows and some many, or inserted after others had updated, two rows may have the same number;
and then an UPDATE or DELETE of the one changes or loses the other as well. So before a statement
that changes rows, and before the commit, the numbers are looked at; where two are alike all these
rows are taken out and inserted together, which numbers them anew. Committed rows are sound.

And where a MERGE inserted only nulls into a column, other rows of the transaction lose their
smallest and largest value with it. The next commit then takes its own values for those of all
rows, and conditions no longer find these. So after a MERGE rows are inserted together, too.
"""

from __future__ import annotations

from typing import Any, Protocol

from flight_server.model import TableRef

# Rows of an open transaction have numbers from here on.
LOCAL_ROW_ID_MIN = 10**18
_STAGE = "_pixelflight_local"


class _Runs(Protocol):
    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs one statement."""


class LocalRows:
    """Which tables have such rows, and by how many statements."""

    def __init__(self) -> None:
        self._statements: dict[tuple[str, str], tuple[TableRef, int]] = {}
        self._merged: set[tuple[str, str]] = set()

    def inserted(self, table: TableRef, rows: int) -> None:
        """Some rows were inserted by one statement."""
        if rows:
            _, before = self._statements.get(_key(table), (table, 0))
            self._statements[_key(table)] = table, before + 1

    def merged(self, table: TableRef, rows: int) -> None:
        """Some rows were inserted by one MERGE."""
        self.inserted(table, rows)
        if rows:
            self._merged.add(_key(table))

    def updated(self, table: TableRef, rows: int) -> None:
        """Some rows were updated by one statement."""
        if _key(table) in self._statements:
            self.inserted(table, rows)

    def renamed(self, table: TableRef, to: TableRef) -> None:
        """A table has another name from now on."""
        if _key(table) in self._statements:
            _, statements = self._statements.pop(_key(table))
            self._statements[_key(to)] = to, statements
        if _key(table) in self._merged:
            self._merged.remove(_key(table))
            self._merged.add(_key(to))

    def dropped(self, table: TableRef) -> None:
        """A table is gone, or has no rows any more."""
        self._statements.pop(_key(table), None)
        self._merged.discard(_key(table))

    def unite(self, transaction: _Runs, table: TableRef) -> None:
        """Makes it safe to change rows of the table in this transaction."""
        _, statements = self._statements.get(_key(table), (table, 0))
        mine = f"{table.sql} WHERE rowid >= {LOCAL_ROW_ID_MIN}"
        if statements < 2:
            return
        [(are_alike,)] = transaction.run(f"SELECT count(*) <> count(DISTINCT rowid) FROM {mine}")
        if are_alike or _key(table) in self._merged:
            transaction.run(f"CREATE OR REPLACE TEMP TABLE {_STAGE} AS SELECT * FROM {mine}")
            transaction.run(f"DELETE FROM {mine}")
            transaction.run(f"INSERT INTO {table.sql} SELECT * FROM temp.{_STAGE}")
            transaction.run(f"DROP TABLE temp.{_STAGE}")
            self._statements[_key(table)] = table, 1
            self._merged.discard(_key(table))

    def unite_all(self, transaction: _Runs) -> None:
        """As `unite`, for the commit."""
        for table, _ in list(self._statements.values()):
            self.unite(transaction, table)


def _key(table: TableRef) -> tuple[str, str]:
    return table.namespace.lower(), table.name.lower()
