"""The calls that are running: counted for a graceful stop, found again to be cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flight_server.engines.cancellation import Cancellation
from flight_server.errors import Cancelled, PixelflightError, Unavailable

# How many cancelled flights are remembered; each until its tickets would expire anyway.
CANCELLED_FLIGHTS_MAX = 10_000


class RunningCall:
    """One call from its headers to its end.

    pyarrow's context dies with the call, whereas whoever works for the call may look at the
    cancellation a moment longer: so the context is asked behind a lock, and not once it is gone.
    """

    def __init__(self, deadline: float) -> None:
        self.cancellation = Cancellation(deadline, self._is_gone)
        self.flight: str | None = None
        self._client_left: Callable[[], bool] | None = None
        self._ended = False
        self._lock = threading.Lock()

    def attach(self, client_left: Callable[[], bool]) -> None:
        """Learns how to ask whether the client has left."""
        self._client_left = client_left

    def end(self) -> None:
        """The call is over: whatever still works for it has nobody to work for."""
        with self._lock:
            self._ended = True
            self._client_left = None

    def _is_gone(self) -> bool:
        with self._lock:
            return self._ended or (self._client_left is not None and self._client_left())


class RunningCalls:
    """All running calls of one server."""

    def __init__(self) -> None:
        self._running: set[RunningCall] = set()
        self._refusal: PixelflightError | None = None
        self._cancelled_flights: dict[str, float] = {}
        self._changed = threading.Condition()

    def begin(self, deadline: float) -> RunningCall:
        """A new call; Unavailable once the server is stopping."""
        call = RunningCall(deadline)
        with self._changed:
            if self._refusal is not None:
                raise self._refusal
            self._running.add(call)
        return call

    def end(self, call: RunningCall) -> None:
        """The call is over; a second time changes nothing."""
        call.end()
        with self._changed:
            self._running.discard(call)
            self._changed.notify_all()

    def refuse(self) -> None:
        """From now on no call begins."""
        with self._changed:
            self._refusal = Unavailable("The server is stopping: try again in a moment.")

    @property
    def refusing(self) -> bool:
        """Whether the server is stopping."""
        return self._refusal is not None

    def wait(self, seconds: float) -> bool:
        """Waits until no call runs; False where some still do after so long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)

    def cancel(self, reason: PixelflightError) -> None:
        """Ends the work of every running call."""
        with self._changed:
            running = list(self._running)
        for call in running:
            call.cancellation.cancel(reason)

    def join_flight(self, call: RunningCall, flight: str) -> None:
        """The call reads a part of this flight. Cancelled where the flight has been cancelled."""
        with self._changed:
            self.check_flight(flight)
            call.flight = flight

    def check_flight(self, flight: str) -> None:
        """Cancelled where the flight has been cancelled."""
        with self._changed:
            if self._cancelled_flights.get(flight, 0) > time.time():
                raise Cancelled("This flight was cancelled: ask for the flight info again.")

    def cancel_flight(self, flight: str, seconds: float) -> None:
        """Ends all streams of a flight and refuses its tickets, which live so long from now."""
        with self._changed:
            if len(self._cancelled_flights) >= CANCELLED_FLIGHTS_MAX:
                self._cancelled_flights.pop(next(iter(self._cancelled_flights)))
            self._cancelled_flights[flight] = time.time() + seconds
            reading = [call for call in self._running if call.flight == flight]
        for call in reading:
            call.cancellation.cancel(Cancelled("The flight was cancelled by its owner."))
