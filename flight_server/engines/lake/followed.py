"""The commit log as followers read it: who did what to which table, entry by entry.

A follower is told of each commit as it happens and reads on from the last snapshot it has dealt
with; what it has not read yet does not expire.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from flight_server.engines.lake.catalog import kinds
from flight_server.engines.lake.commits import HOUSEKEEPING, SETTING_UP, CommitLog
from flight_server.engines.lake.instance import METADATA, Instance
from flight_server.model import (
    DEFAULT_CATALOG,
    HIDDEN_PREFIX,
    Author,
    LogEntry,
    NamespaceRef,
    TableRef,
    resource_name,
)

_LOG = (
    "SELECT snapshot_id, snapshot_time, changes_made, coalesce(author, ''), "
    "coalesce(commit_message, ''), commit_extra_info "
    f"FROM {METADATA}.ducklake_snapshot JOIN {METADATA}.ducklake_snapshot_changes "
    "USING (snapshot_id) WHERE snapshot_id > $1 ORDER BY snapshot_id LIMIT $2"
)
# A table bears at a snapshot the name that it got last; one that is dropped keeps its rows here.
_TABLES = (
    "SELECT t.table_id, arg_max(s.schema_name, t.begin_snapshot), "
    "arg_max(t.table_name, t.begin_snapshot), min(t.begin_snapshot) = $1, "
    "max(t.begin_snapshot) = $1 "
    f"FROM {METADATA}.ducklake_table t JOIN {METADATA}.ducklake_schema s USING (schema_id) "
    "WHERE t.begin_snapshot <= $1 AND (list_contains($2::BIGINT[], t.table_id) OR t.table_id IN "
    f"(SELECT table_id FROM {METADATA}.ducklake_table WHERE begin_snapshot = $1)) "
    "GROUP BY t.table_id ORDER BY t.table_id"
)
_OWN = (
    f"SELECT DISTINCT t.table_id FROM {METADATA}.ducklake_table t "
    f"JOIN {METADATA}.ducklake_schema s USING (schema_id) WHERE s.schema_name LIKE $1"
)
_NAMESPACES = (
    f"SELECT schema_name, begin_snapshot = $1 FROM {METADATA}.ducklake_schema "
    "WHERE begin_snapshot = $1 OR end_snapshot = $1 ORDER BY schema_id"
)


class _Logged(NamedTuple):
    """One row of DuckLake's log."""

    snapshot: int
    committed_at: dt.datetime
    changes: str
    author: str
    reason: str
    notes: str | None


class FollowedLog:
    """The part of the engine that lets itself be followed: `SupportsCommitLog`."""

    _instance: Instance
    _log: CommitLog
    # They are all there as soon as the lake is open.
    _own_tables: frozenset[str] = frozenset()

    def entries(self, after: int, limit: int) -> tuple[list[LogEntry], int]:
        """See `SupportsCommitLog.entries`.

        The server's own upkeep is left out: it changes files and no table.
        """
        rows = [_Logged(*row) for row in self._instance.rows(_LOG, [after, limit])]
        doings = [row for row in rows if not _is_upkeep(row)]
        if doings and not self._own_tables:
            numbers = self._instance.rows(_OWN, [f"{HIDDEN_PREFIX}%"])
            self._own_tables = frozenset(str(number) for (number,) in numbers)
        own = self._own_tables
        found = [entry for row in doings for entry in _entries(self._instance, row, own)]
        return found, rows[-1].snapshot if rows else after

    def follow(self, wake: Callable[[], object], position: Callable[[], int]) -> Callable[[], None]:
        """See `SupportsCommitLog.follow`."""
        log = self._log
        log.on_commit.append(wake)
        log.positions.append(position)

        def end() -> None:
            # A second time does nothing.
            with suppress(ValueError):
                log.on_commit.remove(wake)
                log.positions.remove(position)

        return end


def _is_upkeep(row: _Logged) -> bool:
    return not row.author or row.reason in (HOUSEKEEPING, SETTING_UP)


def _entries(instance: Instance, row: _Logged, own: frozenset[str]) -> Iterator[LogEntry]:
    """The entries of a commit; `own` are the numbers of the server's own tables."""
    notes = json.loads(row.notes) if row.notes else {}
    for part in notes.get("parts", ()):
        author = _author(part["author"], part["reason"], part)
        yield _entry(row, author, author.resource, ("inserted",), part["rows"])
    if "parts" in notes:
        return
    author = _author(row.author, row.reason, notes)
    if author.resource:
        # Its one table needs no looking up, and there may be many such commits a second.
        yield _entry(row, author, author.resource, _changes(row, own), notes.get("rows"))
        return
    # Views and the like are kept in tables of the server's own, where only who made them is seen.
    touched = dict(_touched(instance, row, notes)) or {"": ()}
    rows = notes.get("rows") if len(touched) == 1 else None
    for resource, changes in touched.items():
        yield _entry(row, author, resource, changes, rows)


def _entry(
    row: _Logged, author: Author, resource: str, changes: tuple[str, ...], rows: int | None
) -> LogEntry:
    return LogEntry(row.snapshot, row.committed_at, author, resource, changes, rows)


def _author(principal: str, reason: str, notes: Mapping[str, Any]) -> Author:
    return Author(
        principal,
        notes.get("request_id", ""),
        reason,
        notes.get("principal_id", ""),
        notes.get("workspace", ""),
        notes.get("door", ""),
        notes.get("peer", ""),
        notes.get("resource", ""),
        notes.get("details", {}),
    )


def _changes(row: _Logged, own: frozenset[str]) -> tuple[str, ...]:
    """What happened to the one table of a commit."""
    numbers = {what for _, _, what in (one.partition(":") for one in row.changes.split(","))}
    made = "created_table:" in row.changes and not row.reason.startswith("rename")
    return kinds(row.changes, numbers - own, made, row.notes)


def _touched(
    instance: Instance, row: _Logged, notes: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The tables and namespaces that a commit changed, and how."""
    for name, is_made in instance.rows(_NAMESPACES, [row.snapshot]):
        if not name.startswith(HIDDEN_PREFIX):
            namespace = NamespaceRef(DEFAULT_CATALOG, name)
            yield resource_name(namespace), ("created" if is_made else "dropped",)
    numbers = {what for _, _, what in (one.partition(":") for one in row.changes.split(","))}
    numbers |= set(notes.get("tables", ()))
    asked = sorted(int(number) for number in numbers if number.isdecimal())
    for number, namespace, name, made, named in instance.rows(_TABLES, [row.snapshot, asked]):
        if not namespace.startswith(HIDDEN_PREFIX):
            table = TableRef(DEFAULT_CATALOG, namespace, name)
            changes = kinds(row.changes, {str(number)}, made, row.notes)
            if named and not made and "altered" not in changes:
                changes = (*changes, "altered")  # It has another name since.
            yield resource_name(table), changes
