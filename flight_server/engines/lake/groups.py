"""Small appends that come at the same time share one commit.

A commit costs about as much for one row as for a thousand, and commits follow each other one by
one. One of those who wait therefore leads: it writes for all of them, and the next of those who
came meanwhile leads after it. Writers that were just served usually come again at once, so a
leader gives them a moment, and more of it while they keep coming: eight writers of one row each
share nearly every commit.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, POLL_SECONDS, Cancellation
from flight_server.engines.lake.commits import CommitLog, WriteTransaction, noted
from flight_server.engines.lake.inserts import insert_table
from flight_server.engines.lake.registry import Registry
from flight_server.engines.lake.tokens import Claim
from flight_server.model import Author, Commit, TableRef, TableVersion

# A leader waits for company as long as the last commit took, and so much of that for one more.
GAP = 0.5
PATIENCE_SECONDS_MAX = 0.02


@dataclass(eq=False)
class SmallAppend:
    """The rows of one small put, in storage types, on their way into a commit."""

    found: TableVersion
    schema: pa.Schema
    batches: list[pa.RecordBatch]
    author: Author
    commit: Commit
    claim: Claim | None = None
    digest: str = ""
    error: Exception | None = field(default=None)
    is_done: bool = False


class GroupCommits:
    """Takes appends one by one and commits them together."""

    def __init__(self, log: CommitLog, registry: Registry) -> None:
        self._log = log
        self._registry = registry
        self._mutex = threading.Lock()
        # Followers wait for their turn to lead or for having been served; a leader for company.
        self._turn = threading.Condition(self._mutex)
        self._came = threading.Condition(self._mutex)
        self._waiting: list[SmallAppend] = []
        self._is_led = False
        self._expected = 1
        self._patience_seconds = 0.0

    @property
    def waiting(self) -> int:
        """How many appends no leader has taken yet."""
        return len(self._waiting)

    def append(self, small: SmallAppend, cancellation: Cancellation = NEVER) -> Commit:
        """The append's commit, once it is durable. Conflict; InvalidRequest; TimedOut; Cancelled.

        Whoever calls this must not hold the commit lock, for which a leader may be waiting.
        """
        with self._mutex:
            self._waiting.append(small)
            self._came.notify()
        if self._await_turn(small, cancellation):
            self._lead(small, cancellation)
        assert small.is_done, "whoever led the group saw to everybody in it"
        if small.error is not None:
            raise small.error
        return small.commit

    def _await_turn(self, small: SmallAppend, cancellation: Cancellation) -> bool:
        """Waits until the append is done, or until it is its sender's turn to lead."""
        with self._mutex:
            while self._is_led and not small.is_done:
                self._turn.wait(POLL_SECONDS)
                # One that a leader has taken is about to be committed: too late to end it.
                if small in self._waiting:
                    self._check(small, cancellation)
            leads = not small.is_done
            self._is_led = self._is_led or leads
            return leads

    def _check(self, small: SmallAppend, cancellation: Cancellation) -> None:
        """Takes the append back where its request has ended; under the mutex."""
        try:
            cancellation.check()
        except BaseException:
            self._waiting.remove(small)
            raise

    def _lead(self, small: SmallAppend, cancellation: Cancellation) -> None:
        group: list[SmallAppend] = []
        began = time.monotonic()
        try:
            self._await_company()
            with self._log.turn(cancellation):
                with self._mutex:
                    group, self._waiting = self._waiting, []
                began = time.monotonic()
                self._lead_group(group)
        finally:
            with self._mutex:
                if small in self._waiting:
                    # It gave up waiting for the lock; the next leader must not commit it.
                    self._waiting.remove(small)
                self._expected = len(group) + len(self._waiting)
                took = time.monotonic() - began
                self._patience_seconds = min(took, PATIENCE_SECONDS_MAX)
                self._is_led = False
                self._turn.notify_all()

    def _await_company(self) -> None:
        """Waits for those who wrote lately, for as long as one after the other comes."""
        until = time.monotonic() + self._patience_seconds
        with self._mutex:
            while len(self._waiting) < self._expected and time.monotonic() < until:
                if not self._came.wait(self._patience_seconds * GAP):
                    return

    def _lead_group(self, group: list[SmallAppend]) -> None:
        before = self._log.snapshot
        try:
            self._commit(group)
        except Exception as error:
            left = [small for small in group if not small.is_done]
            if len(group) > 1 and not self._may_be_committed(before):
                # One of them cannot be written. Alone, each meets its own fate.
                for small in left:
                    self._lead_group([small])
                return
            # Told to those who sent them, in their own threads.
            for small in left:
                small.error, small.is_done = error, True

    def _may_be_committed(self, before: int) -> bool:
        """Whether the lake has a commit since; so long as it cannot tell, it may have one."""
        try:
            self._log.refresh()
        except Exception:
            return True
        return self._log.snapshot != before

    def _commit(self, group: list[SmallAppend]) -> None:
        with self._log.transaction(_author(group)) as transaction:
            for same in _by_shape(group):
                self._insert(transaction, same)
            for small in group:
                if small.claim is not None:
                    small.claim.record(transaction, small.commit, small.digest)
            if len(group) > 1:
                transaction.notes["authors"] = sorted({s.author.principal for s in group})
                transaction.notes["parts"] = [_part(small) for small in group]
            transaction.notes["rows"] = sum(small.commit.rows for small in group)
            # Once it is committed nothing may let a part of it be committed again.
            transaction.after_commit.append(lambda snapshot: _finish(group, snapshot))
            transaction.commit()

    def _insert(self, transaction: WriteTransaction, same: list[SmallAppend]) -> None:
        found = same[0].found
        self._registry.check_unchanged(found)
        batches = [batch for small in same for batch in small.batches]
        data = pa.Table.from_batches(batches, same[0].schema)
        if not data.num_rows:
            return
        insert_table(transaction, found, data)


def _finish(group: list[SmallAppend], snapshot: int) -> None:
    for small in group:
        small.commit = replace(small.commit, snapshot=snapshot)
        small.is_done = True


def _part(small: SmallAppend) -> dict[str, Any]:
    """What the commit's extra info says of one of the puts in it."""
    author = small.author
    told = {"author": author.principal, "reason": author.reason, "rows": small.commit.rows}
    return told | noted(author)


def _by_shape(group: list[SmallAppend]) -> list[list[SmallAppend]]:
    """The appends by table and columns."""
    shapes: dict[tuple[TableRef, int, tuple[str, ...]], list[SmallAppend]] = defaultdict(list)
    for small in group:
        shape = (small.found.table, id(small.found.spec), tuple(small.schema.names))
        shapes[shape].append(small)
    return list(shapes.values())


def _author(group: list[SmallAppend]) -> Author:
    if len(group) == 1:
        return group[0].author
    principals = {small.author.principal for small in group}
    return Author(
        principals.pop() if len(principals) == 1 else "several",
        reason=f"{group[0].author.reason}, {len(group)} puts together",
    )
