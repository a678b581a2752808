"""Named snapshots of tables and namespaces, kept in `_pixelflight.snapshots`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from flight_server.engines.lake import catalog, tables, views
from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.history import History
from flight_server.engines.lake.instance import METADATA
from flight_server.engines.lake.registry import SCHEMA, Registry, own_rows
from flight_server.engines.lake.specs import with_catalog
from flight_server.engines.lake.tags import Tags
from flight_server.engines.lake.tokens import Tokens
from flight_server.errors import AlreadyExists, Conflict, ErrorCode, InvalidRequest, NotFound
from flight_server.model import (
    DEFAULT_CATALOG,
    Author,
    Commit,
    Kind,
    Member,
    NamedSnapshot,
    TableRef,
    TableVersion,
)

Key = tuple[str, str]
# The tables, and the views without a number, that a namespace held at a snapshot.
_HELD = " UNION ALL ".join(
    f"SELECT {number}, s.schema_name, m.{kind}_name FROM {METADATA}.ducklake_{kind} m "
    f"JOIN {METADATA}.ducklake_schema s USING (schema_id) WHERE lower(s.schema_name) = lower($1) "
    "AND m.begin_snapshot <= $2 AND (m.end_snapshot IS NULL OR m.end_snapshot > $2) "
    "AND s.begin_snapshot <= $2 AND (s.end_snapshot IS NULL OR s.end_snapshot > $2)"
    for kind, number in (("table", "m.table_id"), ("view", "NULL"))
)


class Snapshots:
    """Named snapshots, indexed in memory; what they name is spared by expiry."""

    def __init__(self, log: CommitLog) -> None:
        self._lock = threading.Lock()
        self._snapshots: dict[Key, NamedSnapshot] = {}
        for namespace, name, table, snapshot, created_at, author, maker in own_rows(
            log.instance,
            "snapshots",
            "namespace, name, table_name, snapshot, created_at, author, maker",
        ):
            ref = TableRef(DEFAULT_CATALOG, namespace, name)
            of = replace(ref, name=table) if table is not None else None
            self._put(NamedSnapshot(ref, of, snapshot, created_at, author, maker))
        log.pins.spare(self.snapshots)

    def all(self) -> list[NamedSnapshot]:
        """All of them, by name."""
        with self._lock:
            return sorted(self._snapshots.values(), key=lambda one: one.name)

    def find(self, name: TableRef) -> NamedSnapshot:
        """NotFound (snapshot_not_found)."""
        with self._lock:
            found = self._snapshots.get(_key(name))
        if found is None:
            raise NotFound(f"There is no snapshot '{name}'.", code=ErrorCode.SNAPSHOT_NOT_FOUND)
        return found

    def snapshots(self) -> set[int]:
        """The numbers of what they name."""
        with self._lock:
            return {one.snapshot for one in self._snapshots.values()}

    def create(self, transaction: WriteTransaction, snapshot: NamedSnapshot) -> None:
        """AlreadyExists."""
        if _key(snapshot.name) in self._snapshots:
            raise AlreadyExists(f"The snapshot '{snapshot.name}' exists already.")
        transaction.run(
            f"INSERT INTO {SCHEMA}.snapshots VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                snapshot.name.namespace,
                snapshot.name.name,
                snapshot.table.name if snapshot.table is not None else None,
                snapshot.snapshot,
                snapshot.created_at,
                snapshot.author,
                snapshot.maker,
            ],
        )
        transaction.after_commit.append(lambda _: self._put(snapshot))

    def drop(self, transaction: WriteTransaction, name: TableRef) -> None:
        """NotFound (snapshot_not_found)."""
        found = self.find(name)
        transaction.run(
            f"DELETE FROM {SCHEMA}.snapshots WHERE namespace = ? AND name = ?",
            [found.name.namespace, found.name.name],
        )
        transaction.after_commit.append(lambda _: self._remove(found))

    def _put(self, snapshot: NamedSnapshot) -> None:
        with self._lock:
            self._snapshots[_key(snapshot.name)] = snapshot

    def _remove(self, snapshot: NamedSnapshot) -> None:
        with self._lock:
            self._snapshots.pop(_key(snapshot.name), None)


class LakeSnapshots:
    """The part of the engine that keeps named snapshots: `SupportsSnapshots`."""

    _log: CommitLog
    _registry: Registry
    _history: History
    _tokens: Tokens
    _tags: Tags
    _snapshots: Snapshots

    def named_snapshots(self) -> list[NamedSnapshot]:
        """See `SupportsSnapshots.named_snapshots`."""
        return self._snapshots.all()

    def named_snapshot(self, name: TableRef) -> NamedSnapshot:
        """See `SupportsSnapshots.named_snapshot`."""
        return self._snapshots.find(name)

    def create_snapshot(self, snapshot: NamedSnapshot, author: Author) -> None:
        """See `SupportsSnapshots.create_snapshot`."""
        # Under the lock nothing expires between the look and the commit.
        with self._log.transaction(author) as transaction:
            self._registry.check_version(snapshot.snapshot)
            if snapshot.table is not None:
                self._registry.resolve(snapshot.table, snapshot.snapshot)
            self._snapshots.create(transaction, snapshot)

    def drop_snapshot(self, name: TableRef, author: Author) -> None:
        """See `SupportsSnapshots.drop_snapshot`."""
        with self._log.transaction(author) as transaction:
            self._snapshots.drop(transaction, name)

    def members(self, snapshot: NamedSnapshot) -> list[Member]:
        """See `SupportsSnapshots.members`."""
        rows = self._log.instance.rows(_HELD, [snapshot.name.namespace, snapshot.snapshot])
        found = []
        for number, namespace, name in rows:
            table = TableRef(DEFAULT_CATALOG, namespace, name)
            if snapshot.table is None or _key(table) == _key(snapshot.table):
                then = self._registry.resolve(table, snapshot.snapshot)
                found.append(Member(then, self._now(table, number)))
        return sorted(found, key=lambda one: one.then.table)

    def restore_members(
        self, snapshot: NamedSnapshot, members: Sequence[Member], author: Author
    ) -> Commit:
        """See `SupportsSnapshots.restore_members`."""
        with self._log.transaction(author) as transaction:
            known = tables.namespaces(self._log.instance, transaction)
            if snapshot.name.namespace.lower() not in map(str.lower, known):
                tables.create_namespace(transaction, snapshot.namespace)
            # Views last: they are of the tables.
            for member in sorted(members, key=lambda one: one.then.spec.kind is Kind.VIEW):
                self._restore(transaction, member)
            return Commit(transaction.commit())

    def _restore(self, transaction: WriteTransaction, member: Member) -> None:
        then, now = member.then, member.now
        kinds = (then.spec.kind, now.spec.kind if now is not None else None)
        match kinds:
            case (Kind.VIEW, None | Kind.VIEW):
                self._restore_view(transaction, then)
            case (Kind.TABLE | Kind.MATERIALIZED_VIEW, None):
                self._history.bring_back(transaction, then)
                self._tokens.recall(transaction, then.table, then.snapshot)
                self._tags.recall(transaction, then.table, then.snapshot)
            case (Kind.TABLE, Kind.TABLE):
                assert now is not None, "it has a kind"
                self._history.restore(transaction, now.table, then.snapshot)
            case (Kind.MATERIALIZED_VIEW, Kind.MATERIALIZED_VIEW):
                pass
            case _:
                assert now is not None, "it has a kind"
                raise Conflict(
                    f"{tables.named(now)} has the name of what the snapshot holds as a "
                    f"{then.spec.kind.value.replace('_', ' ')}. Rename or drop it first."
                )

    def _restore_view(self, transaction: WriteTransaction, then: TableVersion) -> None:
        try:
            views.create_view(
                transaction, self._registry, then.table, then.spec, self._sql(then), True
            )
        except InvalidRequest as error:
            if error.code is not ErrorCode.INVALID_SQL:
                raise
            # What DuckDB says names tables that the reader of it may not know of.
            raise Conflict(
                f"The view '{then.table}' cannot be brought back: what it reads is missing, or is "
                "not as it was.",
                code=ErrorCode.VIEW_UNREADABLE,
            ) from None

    def _now(self, table: TableRef, number: int | None) -> TableVersion | None:
        """What a member is by now: itself, whatever it is called, or what has its name."""
        newest = self._log.snapshot
        name = None if number is None else catalog.name_of(self._log.instance, number, newest)
        try:
            return self._registry.resolve(name or table)
        except NotFound:
            return None

    def _sql(self, then: TableVersion) -> str:
        """What DuckLake kept of a view."""
        rows = self._log.instance.rows(
            f"SELECT v.sql FROM {METADATA}.ducklake_view v "
            f"JOIN {METADATA}.ducklake_schema s USING (schema_id) "
            "WHERE lower(v.view_name) = lower($1) AND lower(s.schema_name) = lower($2) "
            "AND v.begin_snapshot <= $3 AND (v.end_snapshot IS NULL OR v.end_snapshot > $3)",
            [then.table.name, then.table.namespace, then.snapshot],
        )
        return with_catalog(rows[0][0])


def _key(name: TableRef) -> Key:
    return name.namespace.lower(), name.name.lower()
