"""A brake on guessing: whoever was wrong too often in a minute waits for the next one.

Attempts are counted before they are judged, so that many at once do not slip through, and given
back where they were right. Kept in memory: a restart forgives.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flight_server.errors import LimitExceeded

WINDOW_SECONDS = 60.0
# More names than this are not counted at once; the oldest are forgotten.
COUNTED_MAX = 20_000


class Throttle:
    """Counts attempts by name. Every method may be called from any thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counted: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def attempt(self, limits: dict[str, int]) -> None:
        """One more attempt under each name, of which that many a minute may be wrong.

        LimitExceeded, with the seconds to wait, where one of them has had its share; then none
        is counted.
        """
        with self._lock:
            now = self._now()
            for name, limit in limits.items():
                began, attempts = self._current(name, now)
                if attempts >= limit:
                    raise _too_many(began + WINDOW_SECONDS - now)
            for name in limits:
                began, attempts = self._current(name, now)
                self._counted.pop(name, None)
                self._counted[name] = (began, attempts + 1)
            while len(self._counted) > COUNTED_MAX:
                self._counted.pop(next(iter(self._counted)))

    def was_right(self, limits: dict[str, int]) -> None:
        """The attempt was none at guessing: it does not count."""
        with self._lock:
            for name in limits:
                began, attempts = self._current(name, self._now())
                if attempts > 1:
                    self._counted[name] = (began, attempts - 1)
                else:
                    self._counted.pop(name, None)

    def _current(self, name: str, now: float) -> tuple[float, int]:
        began, attempts = self._counted.get(name, (now, 0))
        return (began, attempts) if now - began < WINDOW_SECONDS else (now, 0)


def _too_many(seconds: float) -> LimitExceeded:
    return LimitExceeded(
        f"Too many wrong passwords: try again in {max(1, round(seconds))} s.",
        details={"retry_after_seconds": max(1, round(seconds))},
    )
