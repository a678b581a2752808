"""The log of snapshots, and drafts of the next one.

One lock orders all commits. A draft is a private state that becomes a snapshot whole, or is
forgotten; a draft whose base is no longer the newest is carried over if nobody else touched its
tables.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import replace

from flight_server.errors import Conflict, ErrorCode, NotFound
from flight_server.model import Author, Commit, TableRef
from flight_server.testing.memory.checks import check_table
from flight_server.testing.memory.state import (
    Claim,
    ClaimKey,
    Snapshot,
    State,
    TableState,
    table_key,
)


class Draft:
    """What the next snapshot is to be, and what a transaction sees of itself."""

    def __init__(self, base: Snapshot, new_ids: Callable[[int], range]) -> None:
        self.base = base
        self.state = base.state
        self.new_ids = new_ids
        self.kinds: dict[int, tuple[str, ...]] = {}
        self.claims: dict[ClaimKey, Claim] = {}
        # An older state that what is changed must not have changed since.
        self.since = base

    def put(self, table: TableState, *kinds: str) -> None:
        """The table as it is from now on; `kinds` say what happened to it. CHECK_VIOLATION."""
        check_table(table)
        tables = {k: t for k, t in self.state.tables.items() if t.id != table.id}
        self.state = replace(self.state, tables=tables | {table_key(table.ref): table})
        self._record(table, *kinds)

    def remove(self, table: TableState) -> None:
        """The table is gone."""
        tables = {k: t for k, t in self.state.tables.items() if t.id != table.id}
        self.state = replace(self.state, tables=tables)
        self._record(table, "dropped")

    def claim(self, key: ClaimKey) -> Claim | None:
        """What was written under the token, in this draft or before it."""
        return self.claims.get(key) or self.state.claims.get(key)

    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return self.state is not self.base.state or bool(self.claims)

    def _record(self, table: TableState, *kinds: str) -> None:
        known = self.kinds.get(table.id, ())
        self.kinds[table.id] = (*known, *(kind for kind in kinds if kind not in known))


class CommitLog:
    """Every snapshot there has been, oldest first; number n is the n-th."""

    def __init__(self) -> None:
        nobody, now = Author(principal=""), dt.datetime.now(dt.UTC)
        self._snapshots = [Snapshot(0, State(), now, nobody, {})]
        self._lock = threading.RLock()
        self._next_id = 0

    @property
    def newest(self) -> Snapshot:
        """The last snapshot."""
        return self._snapshots[-1]

    @property
    def snapshots(self) -> list[Snapshot]:
        """All of them, oldest first."""
        return list(self._snapshots)

    def at(self, version: int | None) -> Snapshot:
        """The snapshot of this number, None the newest. VERSION_NOT_FOUND."""
        if version is None:
            return self.newest
        snapshots = self._snapshots
        if not 0 <= version < len(snapshots):
            raise NotFound(
                f"There is no version {version}; the newest is {len(snapshots) - 1}.",
                code=ErrorCode.VERSION_NOT_FOUND,
            )
        return snapshots[version]

    def table_at(self, table: TableRef, version: int | None) -> TableState:
        """The table that had this name then, else the one that has it now, as it was then."""
        state, newest = self.at(version).state, self.newest.state
        found = state.find(table)
        if found is not None:
            return found
        known = newest.table(table)
        then = state.find_id(known.id)
        if then is None:
            raise NotFound(
                f"The table '{table}' did not exist at version {version}.",
                code=ErrorCode.VERSION_NOT_FOUND,
            )
        return then

    def new_ids(self, count: int) -> range:
        """Numbers never given before: for tables, columns, rows and stamps alike."""
        with self._lock:
            first, self._next_id = self._next_id, self._next_id + count
            return range(first, first + count)

    def draft(self) -> Draft:
        """A draft on top of the newest snapshot."""
        return Draft(self.newest, self.new_ids)

    def write(self, author: Author, change: Callable[[Draft], Commit]) -> Commit:
        """Drafts, applies `change` and commits, with nobody between."""
        with self._lock:
            draft = self.draft()
            return self.commit(draft, author, change(draft))

    def commit(self, draft: Draft, author: Author, commit: Commit) -> Commit:
        """Makes the draft the newest snapshot. Conflict where its tables have changed since."""
        if commit.duplicate:
            return commit
        with self._lock:
            if draft.changed():
                _check_since(draft)
                self._append(draft, author)
            return replace(commit, snapshot=self.newest.id)

    def _append(self, draft: Draft, author: Author) -> None:
        number = self.newest.id + 1
        state = draft.state if draft.base is self.newest else self._carried_over(draft)
        claims = {
            key: replace(claim, commit=replace(claim.commit, snapshot=number))
            for key, claim in draft.claims.items()
        }
        state = replace(state, claims={**self.newest.state.claims, **claims})
        # Two snapshots never share a moment, so that a time names one of them.
        moment = self.newest.committed_at + dt.timedelta(microseconds=1)
        moment = max(moment, dt.datetime.now(dt.UTC))
        self._snapshots.append(Snapshot(number, state, moment, author, draft.kinds))

    def _carried_over(self, draft: Draft) -> State:
        """The newest state with what was drafted. Conflict where both changed the same."""
        base, newest = draft.base.state, self.newest.state
        namespaces = _carried_namespaces(base, draft.state, newest)
        tables = {k: t for k, t in newest.tables.items() if t.id not in draft.kinds}
        for table_id in draft.kinds:
            drafted = draft.state.find_id(table_id)
            known = base.find_id(table_id) or drafted
            if known is None:
                # It was made and dropped.
                continue
            key = table_key((drafted or known).ref)
            if base.find_id(table_id) is not newest.find_id(table_id) or (
                drafted is not None and key in tables
            ):
                raise Conflict(f"The table '{known.ref}' was changed by another commit: try again.")
            if drafted is not None:
                tables[key] = drafted
        for space, _ in tables:
            if space not in namespaces:
                raise Conflict(f"The namespace '{space}' was changed by another commit: try again.")
        return replace(newest, tables=tables, namespaces=namespaces)


def _check_since(draft: Draft) -> None:
    """Conflict where rows are changed that others had changed before the draft was begun."""
    for table_id, kinds in draft.kinds.items():
        then, known = draft.since.state.find_id(table_id), draft.base.state.find_id(table_id)
        if then is not known and then is not None and set(kinds) - {"inserted"}:
            raise Conflict(f"The table '{then.ref}' was changed by another commit: try again.")


def _carried_namespaces(base: State, drafted: State, newest: State) -> dict[str, str]:
    made = drafted.namespaces.keys() - base.namespaces.keys()
    gone = base.namespaces.keys() - drafted.namespaces.keys()
    for folded in (made & newest.namespaces.keys()) | (gone - newest.namespaces.keys()):
        raise Conflict(f"The namespace '{folded}' was changed by another commit: try again.")
    kept = {k: name for k, name in newest.namespaces.items() if k not in gone}
    return kept | {folded: drafted.namespaces[folded] for folded in made}
