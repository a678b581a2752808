"""How often models may be called."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

# So often whoever waits looks whether the request has been taken back.
LOOK_SECONDS = 0.2
Line = tuple[str, str, str]


class Rates:
    """Requests a minute, by `provider` or `provider/model`, for each workspace by itself.

    They are spread evenly: none comes sooner after the last than its share of a minute. Who waits
    holds no place that would be kept free if it left. For any thread.
    """

    def __init__(self, rates: Mapping[str, int], clock: Callable[[], float] = time.monotonic):
        self._seconds = {name: 60 / rate for name, rate in rates.items()}
        self._clock = clock
        self._lock = threading.Lock()
        self._next: dict[tuple[str, str], float] = {}
        # Of the calls of one event loop the first asks, and the others wait for it.
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Line, asyncio.Lock]]
        self._lines = WeakKeyDictionary()

    def take(self, workspace: str, provider: str, model: str) -> float:
        """0 where a request may go now, which counts it; else in how many seconds one may."""
        names = self._names(provider, model)
        with self._lock:
            now = self._clock()
            at = max([now, *(self._next.get((workspace, name), now) for name in names)])
            if at == now:
                for name in names:
                    self._next[workspace, name] = now + self._seconds[name]
        return at - now

    async def turn(self, line: Line, check: Callable[[], object]) -> None:
        """Waits until a request may go; `check` raises where it is to be no more."""
        if self._names(*line[1:]):
            with self._lock:
                lines = self._lines.setdefault(asyncio.get_running_loop(), {})
                first = lines.setdefault(line, asyncio.Lock())
            async with first:
                while seconds := self.take(*line):
                    check()
                    await asyncio.sleep(min(seconds, LOOK_SECONDS))
        check()

    def turn_of_thread(self, line: Line, check: Callable[[], object]) -> None:
        """The same for what is no coroutine."""
        while seconds := self.take(*line):
            check()
            time.sleep(min(seconds, LOOK_SECONDS))
        check()

    def _names(self, provider: str, model: str) -> list[str]:
        return [name for name in (provider, f"{provider}/{model}") if name in self._seconds]
