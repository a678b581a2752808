"""Rows that one transaction inserted and has not committed, and a fault of DuckLake with them.

DuckLake 1.5.5 keeps small inserts of an open transaction in memory and large ones in files. Where
a table has both, an UPDATE or DELETE gives rows of the one the ids of the other, and changes or
loses rows that it was not asked to. So they are brought together, into one insert, before any
statement that changes rows. Rows of one kind alone, and rows that are committed, are sound.
"""

from __future__ import annotations

from typing import Protocol

from flight_server.model import TableRef

# Up to so many rows of one insert are inlined, unless the lake's options say otherwise.
INLINED_ROWS_MAX = 10
# Rows of an open transaction have ids from here on.
LOCAL_ROW_ID_MIN = 10**18
_STAGE = "_pixelflight_local"


INLINED, FILED = "inlined", "filed"


class _Runs(Protocol):
    def run(self, sql: str) -> object:
        """Runs one statement."""

    def count(self, sql: str) -> int:
        """Runs one statement; how many rows it wrote."""


class LocalRows:
    """Which tables have rows of which kinds."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], set[str]] = {}

    def inserted(self, table: TableRef, rows: int) -> None:
        """Some rows were inserted by one statement."""
        if rows:
            kind = INLINED if rows <= INLINED_ROWS_MAX else FILED
            self._kinds.setdefault(_key(table), set()).add(kind)

    def updated(self, table: TableRef, rows: int) -> None:
        """Some rows were updated by one statement: many go into a file, wherever they were."""
        if rows > INLINED_ROWS_MAX and INLINED in self._kinds.get(_key(table), ()):
            self._kinds[_key(table)].add(FILED)

    def renamed(self, table: TableRef, to: TableRef) -> None:
        """A table has another name from now on."""
        self._kinds[_key(to)] = self._kinds.pop(_key(table), set())

    def dropped(self, table: TableRef) -> None:
        """A table is gone, or has no rows any more."""
        self._kinds.pop(_key(table), None)

    def unite(self, transaction: _Runs, table: TableRef) -> None:
        """Makes it safe to change rows of the table in this transaction."""
        if len(self._kinds.get(_key(table), ())) < 2:
            return
        mine = f"{table.sql} WHERE rowid >= {LOCAL_ROW_ID_MIN}"
        transaction.run(f"CREATE OR REPLACE TEMP TABLE {_STAGE} AS SELECT * FROM {mine}")
        transaction.run(f"DELETE FROM {mine}")
        rows = transaction.count(f"INSERT INTO {table.sql} SELECT * FROM temp.{_STAGE}")
        transaction.run(f"DROP TABLE temp.{_STAGE}")
        self.dropped(table)
        self.inserted(table, rows)


def _key(table: TableRef) -> tuple[str, str]:
    return table.namespace.lower(), table.name.lower()
