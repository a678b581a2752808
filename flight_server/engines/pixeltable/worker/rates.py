"""How often models may be called."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping


class Rates:
    """Requests a minute, by `provider` or `provider/model`, for each workspace by itself.

    They are spread evenly: none comes sooner after the last than its share of a minute.
    """

    def __init__(self, rates: Mapping[str, int], clock: Callable[[], float] = time.monotonic):
        self._seconds = {name: 60 / rate for name, rate in rates.items()}
        self._clock = clock
        self._lock = threading.Lock()
        self._next: dict[tuple[str, str], float] = {}

    def wait(self, workspace: str, provider: str, model: str) -> float:
        """How many seconds the next request has to wait; it takes its place in the line."""
        names = [name for name in (provider, f"{provider}/{model}") if name in self._seconds]
        if not names:
            return 0
        with self._lock:
            now = self._clock()
            at = max(now, *(self._next.get((workspace, name), now) for name in names))
            for name in names:
                self._next[workspace, name] = at + self._seconds[name]
        return at - now
