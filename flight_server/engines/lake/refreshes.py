"""Of which snapshot the rows of materialised views are, kept in `_pixelflight.refreshes`.

Written in the transaction that writes the rows, so that the two cannot disagree, and checked under
the commit lock: of two refreshes that began alike only one commits.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from flight_server.engines.lake import catalog
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.instance import CATALOG, METADATA, Instance, literal
from flight_server.engines.lake.registry import SCHEMA, last_rows, own_rows
from flight_server.errors import Conflict, NotFound
from flight_server.model import (
    HIDDEN_PREFIX,
    Refreshed,
    RefreshMode,
    TableRef,
    quoted,
)

Key = tuple[str, str]
QUIET_MAX = 10_000
_ADDS = frozenset({"inserted_into_table", "inlined_insert"})
_CHANGES = _ADDS | {"deleted_from_table", "inlined_delete", "altered_table", "dropped_table"}


class Refreshes:
    """What is known of each view that holds its rows."""

    def __init__(self, log: CommitLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._refreshed: dict[Key, Refreshed] = {}
        for namespace, name, snapshot, moment, mode, digest in own_rows(
            log.instance,
            "refreshes",
            "namespace, name, snapshot, refreshed_at, mode, digest",
            f"WHERE {last_rows('refreshes', 'snapshot')}",
        ):
            found = Refreshed(snapshot, moment, RefreshMode(mode), digest)
            self._refreshed[namespace, name] = found

    def of(self, view: TableRef) -> Refreshed | None:
        """What the view's rows are; None where nobody knows."""
        with self._lock:
            return self._refreshed.get(_key(view))

    def record(
        self,
        transaction: WriteTransaction,
        view: TableRef,
        refreshed: Refreshed,
        before: Refreshed | None,
    ) -> None:
        """Says what the rows are that the transaction writes; `before` what they were.

        The commit is a Conflict where they are something else by then.
        """

        def check(_: int) -> None:
            if self.of(view) != before:
                raise Conflict(
                    f"Another refresh of '{view}' came first. Nothing was written; see whether "
                    "it is still needed."
                )

        transaction.before_commit.append(check)
        self._put(transaction, view, refreshed)

    def rename(self, transaction: WriteTransaction, view: TableRef, to: TableRef) -> None:
        """Lets what is known follow a view to its new name."""
        known = self.of(view)
        if known is not None:
            self._put(transaction, view, None)
            self._put(transaction, to, known)

    def forget(self, transaction: WriteTransaction, view: TableRef) -> None:
        """Of a view that is dropped, and may come back, nothing is known."""
        if self.of(view) is not None:
            self._put(transaction, view, None)

    def _put(
        self, transaction: WriteTransaction, view: TableRef, refreshed: Refreshed | None
    ) -> None:
        key = _key(view)
        values: Sequence[object] = [None] * 4
        if refreshed is not None:
            moment = refreshed.refreshed_at
            values = [refreshed.snapshot, moment, refreshed.mode.value, refreshed.digest]

        def write(_: int) -> None:
            transaction.run(
                f"INSERT INTO {SCHEMA}.refreshes VALUES (?, ?, ?, ?, ?, ?)", [*key, *values]
            )

        def publish(_: int) -> None:
            with self._lock:
                if refreshed is None:
                    self._refreshed.pop(key, None)
                else:
                    self._refreshed[key] = refreshed

        transaction.before_commit.append(write)
        transaction.after_commit.append(publish)


class Changes:
    """What happened to tables between two snapshots, so far as anybody asked.

    That nothing did for long is remembered: views are looked at after each commit, and the log of
    commits since their last refresh may be long, or have expired in parts.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._quiet: dict[tuple[TableRef, int], int] = {}

    def between(self, table: TableRef, after: int, until: int) -> frozenset[str] | None:
        """The kinds of changes, as DuckLake names them.

        None where that is not known: snapshots have expired, or the name was another table's.
        """
        number = self._number(table, after, until)
        if number is None:
            return None
        since = min(self._quiet.get((table, after), after), until)
        ((count, made),) = self._instance.rows(
            "SELECT count(*), list(changes_made) FILTER (contains(changes_made, ':' || $3)) FROM "
            f"{METADATA}.ducklake_snapshot JOIN {METADATA}.ducklake_snapshot_changes "
            "USING (snapshot_id) WHERE snapshot_id > $1 AND snapshot_id <= $2",
            [since, until, number],
        )
        if count != until - since:
            return None
        changes = (change.partition(":") for one in made or () for change in one.split(","))
        kinds = frozenset(verb for verb, _, what in changes if what == str(number)) & _CHANGES
        if not kinds:
            self._remember(table, after, until)
        return kinds

    def added_rows(self, table: TableRef, after: int, until: int) -> str | None:
        """A SELECT of the rows that were added; None where more happened than that."""
        kinds = self.between(table, after, until)
        if kinds is None or not kinds <= _ADDS:
            return None
        number = self._number(table, after, until)
        assert number is not None, "it was found a moment ago"
        names = list(catalog.column_ids(self._instance, number, until))
        # Under names of ours: a table may have a column that is called as DuckLake calls its own.
        ours = [quoted(f"{HIDDEN_PREFIX}_{place}") for place in range(len(names))]
        shown = ", ".join(f"{our} AS {quoted(name)}" for our, name in zip(ours, names, strict=True))
        upkeep = " OR ".join(
            f"starts_with(changes_made, '{verb}:')" for verb in catalog.MAINTENANCE
        )
        return (
            f"SELECT {shown} FROM ducklake_table_insertions('{CATALOG}', "
            f"{literal(table.namespace)}, {literal(table.name)}, {after + 1}, {until}) "
            f"AS fed({', '.join(ours)}) WHERE snapshot_id NOT IN (SELECT snapshot_id "
            f"FROM {METADATA}.ducklake_snapshot_changes WHERE {upkeep})"
        )

    def _number(self, table: TableRef, after: int, until: int) -> int | None:
        try:
            number = catalog.table_id(self._instance, table, until)
            same = catalog.table_id(self._instance, table, after) == number
        except NotFound:
            return None
        return number if same else None

    def _remember(self, table: TableRef, after: int, until: int) -> None:
        if len(self._quiet) >= QUIET_MAX:
            self._quiet.clear()
        self._quiet[table, after] = until


def _key(view: TableRef) -> Key:
    return view.namespace.lower(), view.name.lower()
