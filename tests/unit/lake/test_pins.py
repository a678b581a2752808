"""What must not vanish, and for how long."""

from __future__ import annotations

import threading

import pytest

from flight_server.engines.lake.pins import Pins

PATIENCE_SECONDS = 20


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pins(clock: Clock) -> Pins:
    return Pins(quiet_seconds=60, clock=clock)


def test_streams_hold_while_they_are_open(pins: Pins, clock: Clock) -> None:
    assert pins.oldest_stream() == (None, 1000.0)
    with pins.stream(7):
        clock.now += 5
        with pins.stream(3), pins.stream(3):
            clock.now += 5
            assert pins.oldest_stream() == (3, 1000.0)
        assert pins.oldest_stream() == (7, 1000.0)
    assert pins.oldest_stream() == (None, 1010.0)


def test_a_stream_that_fails_lets_go(pins: Pins) -> None:
    with pytest.raises(ValueError, match="broken"), pins.stream(3):
        raise ValueError("broken")
    assert pins.oldest_stream()[0] is None


def test_tickets_hold_until_the_last_expires(pins: Pins, clock: Clock) -> None:
    pins.hold(5, 10)
    pins.hold(5, 30)
    pins.hold(5, 1)
    pins.hold(6, 20)
    assert pins.held_snapshots() == {5, 6}
    clock.now += 25
    assert pins.held_snapshots() == {5}
    clock.now += 6
    assert pins.held_snapshots() == set()


def test_tickets_hold_files(pins: Pins, clock: Clock) -> None:
    pins.hold_files(9, 10)
    assert pins.held_tables() == {9}
    clock.now += 11
    assert pins.held_tables() == set()


def test_quiet_at_first(pins: Pins, clock: Clock) -> None:
    assert pins.is_quiet
    clock.now += 61
    assert not pins.is_quiet


def test_alone_only_without_streams(pins: Pins) -> None:
    with pins.stream(1), pins.alone() as alone:
        assert not alone
        with pins.stream(2):
            assert pins.oldest_stream()[0] == 1
    with pins.alone() as alone, pins.alone() as twice:
        assert (alone, twice) == (True, False)


def test_streams_wait_for_whoever_is_alone(pins: Pins) -> None:
    opened = threading.Event()

    def open_stream() -> None:
        with pins.stream(1):
            opened.set()

    thread = threading.Thread(target=open_stream)
    with pins.alone() as alone:
        assert alone
        thread.start()
        assert not opened.wait(0.1)
    assert opened.wait(PATIENCE_SECONDS)
    thread.join(PATIENCE_SECONDS)
    assert pins.oldest_stream()[0] is None
