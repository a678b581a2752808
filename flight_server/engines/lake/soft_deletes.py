"""Rows deleted for now.

A soft delete is a delete, and a row in `_pixelflight.soft_deletes` within the same transaction:
which rows of which table went, in which commit. The snapshot before it is spared by expiry for as
long as the rows can be brought back, and they come from there.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import replace

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake import catalog, rows
from flight_server.engines.lake.checks import check_rows, rules_of
from flight_server.engines.lake.columns import check_required
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.inserts import absent_defaults
from flight_server.engines.lake.registry import SCHEMA, Registry, own_rows
from flight_server.errors import Conflict, ErrorCode, NotFound, Unsupported
from flight_server.model import HIDDEN_PREFIX, Author, Commit, Deletion, TableRef, quoted

_GONE = f"temp.{HIDDEN_PREFIX}_gone"
_COLUMNS = "table_id, snapshot, deleted_at, author, row_count"


class SoftDeletes:
    """What can be brought back, indexed in memory."""

    def __init__(self, log: CommitLog, registry: Registry) -> None:
        self._log = log
        self._registry = registry
        self._lock = threading.Lock()
        self._deletions: dict[int, list[Deletion]] = {}
        for number, *values in own_rows(
            log.instance, "soft_deletes", _COLUMNS, "ORDER BY snapshot"
        ):
            self._deletions.setdefault(number, []).append(Deletion(*values))
        log.pins.spare(self.snapshots)

    def snapshots(self) -> set[int]:
        """The snapshots before the deletions that can still be undone."""
        with self._lock:
            every = [one for deletions in self._deletions.values() for one in deletions]
        return {one.snapshot - 1 for one in every if self._is_kept(one)}

    def of(self, table: TableRef) -> list[Deletion]:
        """What can be brought back of a table, newest first. NotFound."""
        number = self._number(table)
        with self._lock:
            found = self._deletions.get(number, [])
            return [one for one in reversed(found) if self._is_kept(one)]

    def delete(
        self,
        transaction: WriteTransaction,
        table: TableRef,
        filter: str | None,
        cancellation: Cancellation,
    ) -> Commit:
        """Deletes rows and remembers them, once the transaction commits."""
        if transaction.writes:
            raise Unsupported("A soft delete does not come after other writes of a transaction.")
        found = self._registry.resolve(table, transaction=transaction)
        number = self._number(found.table)
        where = f" WHERE {filter}" if filter else ""
        transaction.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {HIDDEN_PREFIX}_gone AS "
            f"SELECT rowid AS row_id FROM {found.table.sql}{where}"
        )
        done = rows.delete(
            transaction,
            self._registry,
            found.table,
            f"rowid IN (SELECT row_id FROM {_GONE})",
            cancellation,
        )
        if done.rows:
            self._remember(transaction, number, done.rows)
        return done

    def _remember(self, transaction: WriteTransaction, number: int, count: int) -> None:
        now, author = dt.datetime.now(dt.UTC), transaction.author.principal

        def write(snapshot: int) -> None:
            transaction.run(
                f"INSERT INTO {SCHEMA}.soft_deletes "
                f"SELECT ?, ?, ?, ?, ?, list(row_id) FROM {_GONE}",
                [number, snapshot, now, author, count],
            )

        def add(snapshot: int) -> None:
            with self._lock:
                deletion = Deletion(snapshot, now, author, count)
                self._deletions.setdefault(number, []).append(deletion)

        transaction.before_commit.append(write)
        transaction.after_commit.append(add)

    def undelete(
        self,
        transaction: WriteTransaction,
        table: TableRef,
        deletion: int,
        skip_known: bool,
        cancellation: Cancellation,
    ) -> Commit:
        """Writes the rows of a deletion anew. NotFound; Conflict."""
        found = self._registry.resolve(table, transaction=transaction)
        number = self._number(found.table)
        if deletion not in {one.snapshot for one in self.of(found.table)}:
            raise deletion_not_found(found.table, deletion)
        names = self._shared(number, deletion - 1)
        was = catalog.name_of(self._log.instance, number, deletion - 1)
        assert was is not None, "rows of it were deleted then"
        defaults = absent_defaults(found, list(names))
        old = f"{was.sql} AT (VERSION => {deletion - 1})"
        transaction.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {HIDDEN_PREFIX}_gone AS SELECT "
            + ", ".join(f"{quoted(before)} AS {quoted(now)}" for now, before in names.items())
            + f" FROM {old} WHERE rowid IN (SELECT unnest(row_ids) FROM {SCHEMA}.soft_deletes "
            f"WHERE table_id = {number} AND snapshot = {deletion})"
        )
        known = _known(found.table, found.spec.key, names)
        if known and not skip_known and transaction.count(f"SELECT count(*) {known}"):
            raise _known_again(found.table)
        columns = ", ".join(quoted(name) for name in (*names, *defaults))
        values = ", ".join((*(f"gone.{quoted(name)}" for name in names), *defaults.values()))
        new = known.replace(" EXISTS ", " NOT EXISTS ", 1) or f"FROM {_GONE} AS gone"
        count = transaction.count(
            f"INSERT INTO {found.table.sql} ({columns}) SELECT {values} {new}", (), cancellation
        )
        transaction.local_rows.inserted(found.table, count)
        check_required(transaction, found.table, found.schema, found.schema.names)
        check_rows(transaction, found, rules_of(found.spec))
        self._forget(transaction, number, deletion)
        transaction.count_rows(count)
        return Commit(-1, rows=count, rows_inserted=count)

    def _shared(self, number: int, version: int) -> dict[str, str]:
        """The columns that the table has now and had then: what each was called."""
        now = catalog.column_ids(self._log.instance, number, self._log.snapshot)
        then = catalog.column_ids(self._log.instance, number, version)
        was = {column: name for name, column in then.items()}
        return {name: was[column] for name, column in now.items() if column in was}

    def _forget(self, transaction: WriteTransaction, number: int, deletion: int) -> None:
        transaction.run(
            f"DELETE FROM {SCHEMA}.soft_deletes WHERE table_id = ? AND snapshot = ?",
            [number, deletion],
        )

        def remove(_: int) -> None:
            with self._lock:
                left = [one for one in self._deletions[number] if one.snapshot != deletion]
                self._deletions[number] = left

        transaction.after_commit.append(remove)

    def _number(self, table: TableRef) -> int:
        found = self._registry.resolve(table)
        return catalog.table_id(self._log.instance, found.table, found.snapshot)

    def _is_kept(self, deletion: Deletion) -> bool:
        seconds = self._log.instance.settings.undelete_seconds_max
        return deletion.deleted_at > dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)


class SoftDeleting:
    """What makes the lake a `SupportsSoftDelete`."""

    _log: CommitLog
    _soft_deletes: SoftDeletes

    def soft_delete(
        self,
        table: TableRef,
        filter: str | None,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSoftDelete.soft_delete`."""
        with self._log.transaction(author, cancellation=cancellation) as transaction:
            done = self._soft_deletes.delete(transaction, table, filter, cancellation)
            return replace(done, snapshot=transaction.commit())

    def deletions(self, table: TableRef) -> list[Deletion]:
        """See `SupportsSoftDelete.deletions`."""
        return self._soft_deletes.of(table)

    def undelete(
        self,
        table: TableRef,
        deletion: int,
        skip_known: bool,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsSoftDelete.undelete`."""
        with self._log.transaction(author, cancellation=cancellation) as transaction:
            done = self._soft_deletes.undelete(
                transaction, table, deletion, skip_known, cancellation
            )
            return replace(done, snapshot=transaction.commit())


def deletion_not_found(table: TableRef, deletion: int) -> NotFound:
    """There is no such deletion, or it can no longer be undone."""
    return NotFound(
        f"No rows of '{table}' were deleted softly in commit {deletion}, or it is too long ago.",
        code=ErrorCode.VERSION_NOT_FOUND,
    )


def _known_again(table: TableRef) -> Conflict:
    return Conflict(
        f"Rows of '{table}' have keys of those that are to come back. Delete or change them first, "
        "or leave those out that are there again: on_conflict=skip."
    )


def _known(table: TableRef, key: tuple[str, ...], names: dict[str, str]) -> str:
    """Of the rows that are to come back those whose key is there; nothing where there is no key."""
    if not key or not set(key) <= set(names):
        return ""
    same = " AND ".join(f"kept.{quoted(name)} = gone.{quoted(name)}" for name in key)
    return f"FROM {_GONE} AS gone WHERE EXISTS (SELECT 1 FROM {table.sql} AS kept WHERE {same})"
