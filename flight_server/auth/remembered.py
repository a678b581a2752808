"""What was read of the metastore, remembered for a moment: every call of every method asks for it.

A change in this process counts at once, one in another within `REMEMBERED_SECONDS`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

REMEMBERED_SECONDS = 2.0
# Names that do not exist are remembered, too, and somebody may be guessing them.
REMEMBERED_MAX = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by their keys. Every method may be called from any thread."""

    def __init__(self, read: Callable[[K], V]) -> None:
        self._read = read
        self._values: dict[K, tuple[float, V]] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def get(self, key: K, seconds: float | None = None) -> V:
        """The value as it was a moment ago, or `seconds` ago at most, or as it is now."""
        kept = REMEMBERED_SECONDS if seconds is None else seconds
        with self._lock:
            known = self._values.get(key)
            changes = self._changes
        read_at = time.monotonic()
        if known is not None and read_at - known[0] < kept:
            return known[1]
        value = self._read(key)
        with self._lock:
            # A change may have come between reading and here: then this is old news.
            if changes == self._changes:
                self._values.pop(key, None)
                self._values[key] = (read_at, value)
                if len(self._values) > REMEMBERED_MAX:
                    self._values.pop(next(iter(self._values)))
        return value

    def forget(self, key: K) -> None:
        """The value has changed, or is about to be read anew."""
        with self._lock:
            self._changes += 1
            self._values.pop(key, None)

    def forget_all(self) -> None:
        """Any value may have changed."""
        with self._lock:
            self._changes += 1
            self._values.clear()
