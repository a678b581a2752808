"""How many queries may run at once, and how large one may be.

DuckDB's memory limit is one for all queries, so a query too many makes others fail. Who comes
while all places are taken waits for a turn, first come, first served.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from flight_server.engines.cancellation import NEVER, POLL_SECONDS, Cancellation
from flight_server.errors import ErrorCode, LimitExceeded


class Admission:
    """The places for queries. `query_bytes_max` None lets queries of any size in."""

    def __init__(
        self, queries_max: int, wait_seconds: float, query_bytes_max: int | None = None
    ) -> None:
        self._queries_max = queries_max
        self._wait_seconds = wait_seconds
        self._query_bytes_max = query_bytes_max
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[threading.Event] = deque()

    @property
    def running(self) -> int:
        """How many queries have a place."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many queries wait for one."""
        return len(self._waiting)

    @contextmanager
    def admitted(self, bytes_estimate: int, cancellation: Cancellation = NEVER) -> Iterator[None]:
        """A place while the block runs.

        LimitExceeded (too_large) for a query that would read too much, LimitExceeded where no
        place became free in time, and whatever ends the request while it waits.
        """
        self._check_size(bytes_estimate)
        self._enter(cancellation)
        try:
            yield
        finally:
            self._leave()

    def _check_size(self, bytes_estimate: int) -> None:
        most = self._query_bytes_max
        if most is not None and bytes_estimate > most:
            raise LimitExceeded(
                f"The query would read about {bytes_estimate} bytes and {most} are allowed. "
                "Name fewer columns or filter by more.",
                code=ErrorCode.TOO_LARGE,
                details={"bytes": bytes_estimate, "bytes_max": most},
            )

    def _enter(self, cancellation: Cancellation) -> None:
        with self._lock:
            if self._running < self._queries_max and not self._waiting:
                self._running += 1
                return
            turn = threading.Event()
            self._waiting.append(turn)
        try:
            self._wait(turn, cancellation)
        except BaseException:
            self._give_up(turn)
            raise

    def _wait(self, turn: threading.Event, cancellation: Cancellation) -> None:
        end = time.monotonic() + self._wait_seconds
        while not turn.wait(min(POLL_SECONDS, max(0.0, end - time.monotonic()))):
            cancellation.check()
            if time.monotonic() >= end:
                raise LimitExceeded(
                    f"{self._queries_max} queries are running and none ended within "
                    f"{self._wait_seconds:g} seconds: try again later."
                )

    def _give_up(self, turn: threading.Event) -> None:
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return
        # The turn came in the very moment of giving up: it goes to the next.
        self._leave()

    def _leave(self) -> None:
        """Hands the place to who has waited longest, else frees it."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._running -= 1
