"""Running calls: counted, cancelled, and never asked about a client after their end."""

from __future__ import annotations

import threading
import time

import pytest

from flight_server.engines import cancellation
from flight_server.errors import Cancelled, Unavailable
from flight_server.wire.calls import RunningCalls


def later() -> float:
    return time.monotonic() + 60


def test_waiting_for_the_last_one() -> None:
    calls = RunningCalls()
    first, second = calls.begin(later()), calls.begin(later())
    assert not calls.wait(0)
    calls.end(first)
    threading.Timer(0.05, calls.end, [second]).start()
    assert calls.wait(5)
    calls.end(second)
    assert calls.wait(0)


def test_none_begins_once_they_are_refused() -> None:
    calls = RunningCalls()
    calls.refuse()
    with pytest.raises(Unavailable):
        calls.begin(later())


def test_cancelling_all() -> None:
    calls = RunningCalls()
    running = calls.begin(later())
    calls.cancel(Unavailable("stopping"))
    with pytest.raises(Unavailable):
        running.cancellation.check()


def test_a_client_that_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "ASK_SECONDS", 0)
    running = RunningCalls().begin(later())
    gone = threading.Event()
    running.attach(gone.is_set)
    running.cancellation.check()
    gone.set()
    with pytest.raises(Cancelled):
        running.cancellation.check()


def test_nobody_is_asked_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "ASK_SECONDS", 0)

    def ask() -> bool:
        raise AssertionError("the context is gone")

    calls = RunningCalls()
    running = calls.begin(later())
    running.attach(ask)
    calls.end(running)
    with pytest.raises(Cancelled):
        running.cancellation.check()


def test_cancelling_a_flight() -> None:
    calls = RunningCalls()
    reading, other = calls.begin(later()), calls.begin(later())
    calls.join_flight(reading, "f")
    calls.join_flight(other, "g")
    calls.cancel_flight("f", 60)
    other.cancellation.check()
    with pytest.raises(Cancelled):
        reading.cancellation.check()
    with pytest.raises(Cancelled):
        calls.join_flight(other, "f")
    calls.cancel_flight("h", -1)
    calls.join_flight(other, "h")
