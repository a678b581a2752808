"""What must not vanish: snapshots and files that a stream, a ticket or a tag still needs.

Holds for tickets are kept in memory. A ticket outlives a restart, but no expiry runs until every
ticket of the life before has itself expired, so nothing has to be written down.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Pins:
    """Counts of open streams by snapshot, and times until which snapshots and tables are held."""

    def __init__(self, quiet_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._opened = threading.Condition(self._lock)
        self._is_alone = False
        self._streams: Counter[int] = Counter()
        self._began: dict[object, float] = {}
        self._held: dict[int, float] = {}
        self._whole: dict[int, float] = {}
        self._quiet_until = clock() + quiet_seconds
        self._others: list[Callable[[], set[int]]] = []

    def spare(self, snapshots: Callable[[], set[int]]) -> None:
        """Lets somebody else say which snapshots must stay."""
        self._others.append(snapshots)

    @contextmanager
    def stream(self, snapshot: int) -> Iterator[None]:
        """Holds the snapshot, and every later one, while the block runs."""
        token = object()
        with self._opened:
            self._opened.wait_for(lambda: not self._is_alone)
            self._streams[snapshot] += 1
            self._began[token] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._streams[snapshot] -= 1
                self._streams += Counter()  # drops the zeros
                del self._began[token]

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no stream is open; if so, whoever opens one waits until the block has ended."""
        with self._lock:
            free = not self._began and not self._is_alone
            self._is_alone = self._is_alone or free
        try:
            yield free
        finally:
            if free:
                with self._opened:
                    self._is_alone = False
                    self._opened.notify_all()

    def hold(self, snapshot: int, seconds: float) -> None:
        """Holds a snapshot for a ticket."""
        with self._lock:
            until = self._clock() + seconds
            self._held[snapshot] = max(until, self._held.get(snapshot, 0.0))

    def hold_files(self, table: int, seconds: float) -> None:
        """Holds a table's files as they are, for a ticket that names some of them."""
        with self._lock:
            until = self._clock() + seconds
            self._whole[table] = max(until, self._whole.get(table, 0.0))

    @property
    def is_quiet(self) -> bool:
        """Whether tickets from before the last restart may still be out."""
        return self._clock() < self._quiet_until

    def oldest_stream(self) -> tuple[int | None, float]:
        """The oldest snapshot under an open stream, and when the longest open one began."""
        with self._lock:
            began = min(self._began.values(), default=self._clock())
            return min(self._streams, default=None), began

    def held_snapshots(self) -> set[int]:
        """The snapshots that tickets, and whoever else, hold now."""
        with self._lock:
            now = self._clock()
            self._held = {key: until for key, until in self._held.items() if until > now}
            held = set(self._held)
        return held.union(*(snapshots() for snapshots in self._others))

    def held_tables(self) -> set[int]:
        """The tables whose files tickets hold now."""
        with self._lock:
            now = self._clock()
            self._whole = {key: until for key, until in self._whole.items() if until > now}
            return set(self._whole)
