"""What DuckLake does not keep of a table, kept in the lake itself.

The hidden schema `_pixelflight` holds `tables` (the exact Arrow schema, keys, partitioning,
defaults, comment, and as JSON whatever else there is), `tags`, and `ingest` (which token was
committed where). Views are in `tables` too. Its rows are written in
the transaction of the change they describe, so they can be as little lost, and travel in time as
well as the tables themselves. Rows of the newest snapshot are also held in memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from flight_server.engines.lake.catalog import written_tables
from flight_server.engines.lake.commits import SETTING_UP, Base, CommitLog, WriteTransaction
from flight_server.engines.lake.instance import CATALOG, METADATA, Instance
from flight_server.engines.lake.specs import decoded, derived, encoded, there_is
from flight_server.errors import Conflict, ErrorCode, NotFound
from flight_server.model import (
    HIDDEN_PREFIX,
    Author,
    Kind,
    TableRef,
    TableSpec,
    TableVersion,
    table_not_found,
)

SCHEMA = f"{CATALOG}.{HIDDEN_PREFIX}"
VERSIONS_CACHED_MAX = 1024
SETTLE_ATTEMPTS = 4
_FIRST_COLUMNS = "namespace, name, arrow_schema, key, partition_by, defaults, comment"
_COLUMNS = f"{_FIRST_COLUMNS}, properties"
_TABLES = {
    "tables": "namespace VARCHAR, name VARCHAR, arrow_schema BLOB, key VARCHAR, "
    "partition_by VARCHAR, defaults VARCHAR, comment VARCHAR, properties VARCHAR",
    "tags": "namespace VARCHAR, name VARCHAR, tag VARCHAR, snapshot BIGINT, "
    "created_at TIMESTAMPTZ, author VARCHAR",
    "soft_deletes": "table_id BIGINT, snapshot BIGINT, deleted_at TIMESTAMPTZ, author VARCHAR, "
    "row_count BIGINT, row_ids BIGINT[]",
    "refreshes": "namespace VARCHAR, name VARCHAR, snapshot BIGINT, refreshed_at TIMESTAMPTZ, "
    "mode VARCHAR, digest VARCHAR",
    "snapshots": "namespace VARCHAR, name VARCHAR, table_name VARCHAR, snapshot BIGINT, "
    "created_at TIMESTAMPTZ, author VARCHAR, maker VARCHAR",
    "ingest": "principal VARCHAR, namespace VARCHAR, name VARCHAR, token VARCHAR, "
    "snapshot BIGINT, row_count BIGINT, rows_inserted BIGINT, rows_updated BIGINT, "
    "stream_offset BIGINT, digest VARCHAR, committed_at TIMESTAMPTZ",
}
# So many rows that others came after are left in our table until the lake is next opened.
OUTDATED_MAX = 1_000


def last_rows(table: str, column: str) -> str:
    """The condition on rows of one of our tables in which the last row of a name counts.

    Rows are only added, since additions of several transactions never conflict. A last row
    without a value in `column` is the end of the name.
    """
    last = f"SELECT max(rowid) FROM {SCHEMA}.{table} GROUP BY lower(namespace), lower(name)"
    return f"{column} IS NOT NULL AND rowid IN ({last})"


_LAST = last_rows("tables", "arrow_schema")
_KEPT = {"tables": _LAST, "refreshes": last_rows("refreshes", "snapshot")}

Key = tuple[str, str]


class Registry:
    """The specs of all tables, at the newest snapshot and at older ones."""

    def __init__(self, log: CommitLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._older: OrderedDict[tuple[Key, int], tuple[TableRef, TableSpec]] = OrderedDict()
        self._create_missing()
        self.since = self._first_snapshot()
        self._properties_since = self._first_snapshot_of("properties")
        self._newest = self._load()
        log.on_expiry.append(self._forget_older)

    def resolve(
        self,
        table: TableRef,
        version: int | None = None,
        transaction: WriteTransaction | None = None,
    ) -> TableVersion:
        """The table at a version, or as a transaction has made it.

        NotFound; with version_not_found where there is such a table by now.
        """
        now = self._base(transaction)
        if transaction is not None and version is None and _key(table) in transaction.pending:
            found = transaction.pending[_key(table)]
        elif version is None or version == now.snapshot:
            found = now.tables.get(_key(table))
        else:
            found = self._at(table, version)
        if found is None and version is not None and _key(table) in now.tables:
            raise NotFound(
                f"The table '{table}' did not exist at version {version}. "
                "List its versions to see those it has.",
                code=ErrorCode.VERSION_NOT_FOUND,
            )
        if found is None:
            raise table_not_found(table)
        return TableVersion(*found, snapshot=now.snapshot if version is None else version)

    def settle(self, transaction: WriteTransaction) -> None:
        """Lets a transaction see one state of the lake from its beginning to its end."""
        for attempt in range(SETTLE_ATTEMPTS):
            # Only under the lock is it certain that nobody commits between the two looks.
            with self._log.lock if attempt == SETTLE_ATTEMPTS - 1 else nullcontext():
                snapshot = transaction.count(f"FROM {CATALOG}.current_snapshot()")
                base = self._base()
            if base.snapshot == snapshot:
                transaction.base = base
                return
            transaction.restart()
        raise AssertionError("somebody else wrote to the lake")

    def guard(self, transaction: WriteTransaction, found: TableVersion) -> None:
        """Makes the commit a Conflict where another one changes what the table is."""
        if not transaction.made(found.table):
            transaction.before_commit.append(lambda _: self.check_unchanged(found))

    def check_unchanged(self, found: TableVersion) -> None:
        """Conflict where another commit gave the table's name or columns another meaning.

        DuckLake itself would write into a table that was renamed meanwhile.
        """
        newest = self._newest.get(_key(found.table))
        if newest is None or newest[1] is not found.spec:
            raise Conflict(f"The table '{found.table}' was changed in the meantime; try again.")

    def tables(self, namespace: str, transaction: WriteTransaction | None = None) -> list[TableRef]:
        """The tables of a namespace, as a transaction has made them, sorted."""
        folded = namespace.lower()
        known = self._base(transaction).tables
        tables = known if transaction is None else _merged(known, transaction.pending)
        return sorted(ref for (space, _), (ref, _) in tables.items() if space == folded)

    def put(self, transaction: WriteTransaction, table: TableRef, spec: TableSpec) -> None:
        """Gives a table a spec in the transaction; it is the newest once that commits."""
        self._publish(transaction, table, (table, spec))

    def remove(self, transaction: WriteTransaction, table: TableRef) -> None:
        """Takes a table's spec away in the transaction."""
        self._publish(transaction, table, None)

    def oldest(self) -> int:
        """The oldest snapshot that can still be read."""
        rows = self._log.instance.rows(f"SELECT min(snapshot_id) FROM {METADATA}.ducklake_snapshot")
        return int(rows[0][0])

    def _publish(
        self,
        transaction: WriteTransaction,
        table: TableRef,
        found: tuple[TableRef, TableSpec] | None,
    ) -> None:
        """Shows the change to the transaction now and to everybody once it has committed."""
        if not transaction.pending:
            transaction.before_commit.append(lambda _: self._write(transaction))
            transaction.after_commit.append(lambda _: self._merge(transaction.pending))
        transaction.pending[_key(table)] = found

    def _write(self, transaction: WriteTransaction) -> None:
        """One more row for each table: the last one counts, and one without a schema is the end.

        Rows are only added, since additions of several transactions never conflict.
        """
        for (namespace, name), found in transaction.pending.items():
            row = [namespace, name, *[None] * 6]
            if found is not None:
                table, spec = found
                row = [table.namespace, table.name, *encoded(spec)]
            marks = ", ".join("?" * len(row))
            transaction.run(f"INSERT INTO {SCHEMA}.tables ({_COLUMNS}) VALUES ({marks})", row)

    def _merge(self, pending: dict[Key, tuple[TableRef, TableSpec] | None]) -> None:
        # A new dictionary, so that whoever reads the old one sees it whole.
        self._newest = _merged(self._newest, pending)

    def _base(self, transaction: WriteTransaction | None = None) -> Base:
        """The state of the lake that a transaction began on, else the newest."""
        if transaction is not None and transaction.base is not None:
            return transaction.base
        with self._log.publishing:
            return Base(self._log.snapshot, self._newest)

    def _at(self, table: TableRef, version: int) -> tuple[TableRef, TableSpec] | None:
        cached = ((_key(table)), version)
        with self._lock:
            if cached in self._older:
                self._older.move_to_end(cached)
                return self._older[cached]
        found = self._read_at(table, version)
        if found is not None:
            with self._lock:
                self._older[cached] = found
                while len(self._older) > VERSIONS_CACHED_MAX:
                    self._older.popitem(last=False)
        return found

    def _forget_older(self) -> None:
        with self._lock:
            self._older.clear()

    def _read_at(self, table: TableRef, version: int) -> tuple[TableRef, TableSpec] | None:
        self.check_version(version)
        if version < self.since:
            return None
        columns = _COLUMNS if version >= self._properties_since else f"{_FIRST_COLUMNS}, NULL"
        rows = self._log.instance.rows(
            f"SELECT {columns} FROM {SCHEMA}.tables AT (VERSION => {int(version)}) "
            "WHERE lower(namespace) = ? AND lower(name) = ? ORDER BY rowid DESC LIMIT 1",
            _key(table),
        )
        return decoded(rows[0]) if rows and rows[0][2] is not None else None

    def check_version(self, version: int) -> None:
        """NotFound (version_not_found) where the snapshot was never made or has expired."""
        newest = self._log.snapshot
        if version > newest or version < 0:
            raise NotFound(
                f"There is no version {version}; the newest is {newest}.",
                code=ErrorCode.VERSION_NOT_FOUND,
            )
        if not self._log.instance.rows(
            f"SELECT 1 FROM {METADATA}.ducklake_snapshot WHERE snapshot_id = ?", [version]
        ):
            oldest = self.oldest()
            raise NotFound(
                f"Version {version} has expired; the oldest one left is {oldest}.",
                code=ErrorCode.VERSION_NOT_FOUND,
                details={"oldest": oldest},
            )

    def _create_missing(self) -> None:
        with self._log.transaction(Author("pixelflight", reason=SETTING_UP)) as transaction:
            transaction.run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            for name, columns in _TABLES.items():
                transaction.run(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{name} ({columns})")
            # Lakes of the first version have no such column.
            transaction.run(
                f"ALTER TABLE {SCHEMA}.tables ADD COLUMN IF NOT EXISTS properties VARCHAR"
            )
            written = written_tables(self._log.instance, HIDDEN_PREFIX)
            for name, last in _KEPT.items():
                if name not in written:
                    continue
                rows = f"SELECT count(*) FROM {SCHEMA}.{name}"
                kept = f"{rows} WHERE {last}"
                if transaction.count(rows) - transaction.count(kept) > OUTDATED_MAX:
                    transaction.run(f"DELETE FROM {SCHEMA}.{name} WHERE NOT ({last})")

    def _first_snapshot(self) -> int:
        """The snapshot that made our own tables: before it there is nothing to find."""
        rows = self._log.instance.rows(
            f"SELECT min(begin_snapshot) FROM {METADATA}.ducklake_schema WHERE schema_name = ?",
            [HIDDEN_PREFIX],
        )
        return int(rows[0][0])

    def _first_snapshot_of(self, column: str) -> int:
        """The snapshot since which our table of specs has a column."""
        rows = self._log.instance.rows(
            f"SELECT min(c.begin_snapshot) FROM {METADATA}.ducklake_column c "
            f"JOIN {METADATA}.ducklake_table t USING (table_id) "
            f"JOIN {METADATA}.ducklake_schema s USING (schema_id) "
            "WHERE s.schema_name = ? AND t.table_name = 'tables' AND c.column_name = ?",
            [HIDDEN_PREFIX, column],
        )
        return int(rows[0][0])

    def _load(self) -> dict[Key, tuple[TableRef, TableSpec]]:
        """The specs of all tables and views; what was made without us gets one from DuckLake's."""
        rows = own_rows(self._log.instance, "tables", _COLUMNS, f"WHERE {_LAST}")
        known = {_key(ref): (ref, spec) for ref, spec in map(decoded, rows)}
        reader = self._log.instance.connection()
        try:
            found = {}
            for ref, definition in there_is(reader):
                mine = known.get(_key(ref))
                if mine is None or (mine[1].kind is Kind.VIEW) != (definition is not None):
                    mine = ref, derived(reader, ref, definition)
                found[_key(ref)] = mine
            return found
        finally:
            reader.close()


def own_rows(instance: Instance, table: str, columns: str, rest: str = "") -> list[tuple[Any, ...]]:
    """Columns of one of our own tables as the lake is opened: most lakes have nothing in some."""
    if table not in written_tables(instance, HIDDEN_PREFIX):
        return []
    return instance.rows(f"SELECT {columns} FROM {SCHEMA}.{table} {rest}")


def _merged(
    known: Mapping[Key, tuple[TableRef, TableSpec]],
    pending: Mapping[Key, tuple[TableRef, TableSpec] | None],
) -> dict[Key, tuple[TableRef, TableSpec]]:
    both = {**known, **pending}
    return {key: found for key, found in both.items() if found is not None}


def _key(table: TableRef) -> Key:
    return table.namespace.lower(), table.name.lower()
