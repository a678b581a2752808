"""Named versions of tables."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace

from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.engines.lake.instance import METADATA
from flight_server.engines.lake.registry import SCHEMA, own_rows
from flight_server.errors import AlreadyExists, ErrorCode, NotFound, did_you_mean
from flight_server.model import DEFAULT_CATALOG, TableRef, Tag

Key = tuple[str, str]


class Tags:
    """Named versions, indexed in memory and kept in `_pixelflight.tags`."""

    def __init__(self, log: CommitLog) -> None:
        self._lock = threading.Lock()
        self._tags: dict[Key, dict[str, Tag]] = defaultdict(dict)
        for namespace, name, tag, snapshot, created_at, author in own_rows(
            log.instance, "tags", "namespace, name, tag, snapshot, created_at, author"
        ):
            table = TableRef(DEFAULT_CATALOG, namespace, name)
            self._tags[_key(table)][tag] = Tag(tag, table, snapshot, created_at, author)

    def of(self, table: TableRef) -> list[Tag]:
        """The table's tags by name."""
        with self._lock:
            return [tag for _, tag in sorted(self._tags.get(_key(table), {}).items())]

    def find(self, table: TableRef, name: str) -> Tag:
        """NotFound (tag_not_found)."""
        known = {tag.name: tag for tag in self.of(table)}
        if name not in known:
            raise NotFound(
                f"The table '{table}' has no tag '{name}'.{did_you_mean(name, known)}",
                code=ErrorCode.TAG_NOT_FOUND,
            )
        return known[name]

    def snapshots(self) -> set[int]:
        """The snapshots that any tag names."""
        with self._lock:
            return {tag.snapshot for tags in self._tags.values() for tag in tags.values()}

    def create(self, transaction: WriteTransaction, tag: Tag) -> None:
        """AlreadyExists."""
        if tag.name in {other.name for other in self.of(tag.table)}:
            raise AlreadyExists(f"The table '{tag.table}' has a tag '{tag.name}' already.")
        transaction.run(
            f"INSERT INTO {SCHEMA}.tags VALUES (?, ?, ?, ?, ?, ?)",
            [*_key(tag.table), tag.name, tag.snapshot, tag.created_at, tag.author],
        )
        transaction.after_commit.append(lambda _: self._put(tag))

    def drop(self, transaction: WriteTransaction, table: TableRef, name: str) -> None:
        """NotFound (tag_not_found)."""
        self.find(table, name)
        transaction.run(
            f"DELETE FROM {SCHEMA}.tags WHERE namespace = ? AND name = ? AND tag = ?",
            [*_key(table), name],
        )
        transaction.after_commit.append(lambda _: self._remove(table, name))

    def rename(self, transaction: WriteTransaction, table: TableRef, to: TableRef) -> None:
        """Lets the tags of a table follow it to its new name."""
        if not self.of(table):
            return
        transaction.run(
            f"UPDATE {SCHEMA}.tags SET name = ? WHERE namespace = ? AND name = ?",
            [to.name.lower(), *_key(table)],
        )
        transaction.after_commit.append(lambda _: self._move(table, to))

    def forget(self, transaction: WriteTransaction, table: TableRef) -> None:
        """Drops the tags of a table that is dropped: a new one of its name has none."""
        if not self.of(table):
            return
        transaction.run(
            f"DELETE FROM {SCHEMA}.tags WHERE namespace = ? AND name = ?", list(_key(table))
        )
        transaction.after_commit.append(lambda _: self._forget(table))

    def recall(self, transaction: WriteTransaction, table: TableRef, version: int) -> None:
        """Brings back the tags that a table had at a version, where their snapshots live."""
        past = (
            f"FROM {SCHEMA}.tags AT (VERSION => {version}) WHERE namespace = ? AND name = ? "
            f"AND snapshot IN (SELECT snapshot_id FROM {METADATA}.ducklake_snapshot)"
        )
        rows = transaction.run(f"SELECT * {past}", list(_key(table)))
        transaction.run(f"INSERT INTO {SCHEMA}.tags {past}", list(_key(table)))
        tags = [Tag(name, table, *others) for _, _, name, *others in rows]
        transaction.after_commit.append(lambda _: self._put(*tags))

    def _put(self, *tags: Tag) -> None:
        with self._lock:
            for tag in tags:
                self._tags[_key(tag.table)][tag.name] = tag

    def _remove(self, table: TableRef, name: str) -> None:
        with self._lock:
            self._tags[_key(table)].pop(name, None)

    def _forget(self, table: TableRef) -> None:
        with self._lock:
            self._tags.pop(_key(table), None)

    def _move(self, table: TableRef, to: TableRef) -> None:
        with self._lock:
            tags = self._tags.pop(_key(table), {})
            self._tags[_key(to)] = {name: replace(tag, table=to) for name, tag in tags.items()}


def _key(table: TableRef) -> Key:
    return table.namespace.lower(), table.name.lower()
