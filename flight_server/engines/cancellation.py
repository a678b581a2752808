"""How long a piece of work may go on: a deadline, a client that may leave, an interrupt.

A door makes one `Cancellation` a request. The watchdog looks at all running ones a few times a
second; whoever does work that blocks lends it a way to interrupt that work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flight_server.errors import Cancelled, PixelflightError, TimedOut

POLL_SECONDS = 0.05
# Asking for the client takes a fifth of the time of a small query: not at every step of it.
ASK_SECONDS = 0.02
IDLE_SECONDS_MAX = 5.0

_log = logging.getLogger(__name__)


class Cancellation:
    """The end that may come to one request's work before the work is done.

    `deadline` is a moment of `time.monotonic`. `is_gone` is asked now and then whether the
    client has left.
    """

    def __init__(
        self, deadline: float | None = None, is_gone: Callable[[], bool] | None = None
    ) -> None:
        self._deadline = deadline
        self._is_gone = is_gone
        self._reason: PixelflightError | None = None
        self._interrupts: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._asked_at = time.monotonic()

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the deadline, never negative; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def end_within(self, seconds: float) -> None:
        """Brings the deadline nearer; one that is nearer already stays."""
        left = self.seconds_left
        if left is None or seconds < left:
            self._deadline = time.monotonic() + seconds

    def cancel(self, reason: PixelflightError | None = None) -> None:
        """Ends the work: interrupts what runs now and lets every later `check` raise."""
        with self._lock:
            self._reason = self._reason or reason or Cancelled("The request was cancelled.")
            for interrupt in self._interrupts:
                interrupt()

    def check(self, surely: bool = False) -> None:
        """Raises why the work must end, if it must.

        `surely` asks for the client however lately it was asked for: where a client that has left
        looks like one that has finished.
        """
        self.poll(surely)
        if self._reason is not None:
            raise self._reason

    def poll(self, surely: bool = False) -> None:
        """Looks at the clock and at the client. An interrupt that came too early is repeated."""
        now = time.monotonic()
        if self._reason is not None:
            self.cancel()
        elif self._deadline is not None and now >= self._deadline:
            self.cancel(TimedOut("The deadline passed before the work was done."))
        elif self._is_gone is not None and (surely or now - self._asked_at >= ASK_SECONDS):
            self._asked_at = now
            if self._is_gone():
                self.cancel(Cancelled("The client went away."))

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """While the block runs, the end of the request calls `interrupt`, from another thread.

        An error that leaves the block after the end came is replaced by the reason of the end.
        """
        self.check()
        with self._lock:
            self._interrupts.append(interrupt)
        try:
            with _watchdog.watching(self):
                yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)


class _Watchdog:
    """One thread that polls every cancellation whose work is running; none when none is."""

    def __init__(self) -> None:
        self._watched: dict[Cancellation, int] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, cancellation: Cancellation) -> Iterator[None]:
        with self._lock:
            self._watched[cancellation] = self._watched.get(cancellation, 0) + 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._watched[cancellation] -= 1
                if not self._watched[cancellation]:
                    del self._watched[cancellation]

    def _run(self) -> None:
        idle = 0
        while True:
            time.sleep(POLL_SECONDS)
            with self._lock:
                watched = list(self._watched)
                idle = 0 if watched else idle + 1
                if idle * POLL_SECONDS > IDLE_SECONDS_MAX:
                    self._thread = None
                    return
            for cancellation in watched:
                try:
                    cancellation.poll()
                except Exception:
                    # One request's question or interrupt must not end the watch over the others.
                    _log.exception("A running request could not be looked at.")


_watchdog = _Watchdog()
NEVER = Cancellation()
