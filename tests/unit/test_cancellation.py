"""The end that comes to a request: by its deadline, by its client, by an order."""

from __future__ import annotations

import threading
import time

import pytest

from flight_server.engines import cancellation as room
from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.errors import Cancelled, TimedOut, Unavailable

# Far longer than any of these waits takes: it only bounds a test that fails.
PATIENCE_SECONDS = 20


def interrupted(cancellation: Cancellation) -> None:
    """Work that only an interrupt ends, and that then fails in words of its own."""
    stop = threading.Event()
    with cancellation.interrupting(stop.set):
        assert stop.wait(PATIENCE_SECONDS), "nobody interrupted the work"
        raise RuntimeError("INTERRUPT Error: Interrupted!")


def test_without_a_reason_work_goes_on() -> None:
    cancellation = Cancellation(deadline=time.monotonic() + 3600, is_gone=lambda: False)
    cancellation.check()
    with cancellation.interrupting(lambda: pytest.fail("interrupted without a reason")):
        pass
    cancellation.check()


def test_never_ends_nothing() -> None:
    NEVER.check()
    assert NEVER.seconds_left is None


def test_the_seconds_left_are_never_negative() -> None:
    assert Cancellation(deadline=time.monotonic() - 5).seconds_left == 0
    left = Cancellation(deadline=time.monotonic() + 100).seconds_left
    assert left is not None
    assert 90 < left <= 100


def test_a_deadline_that_has_passed_is_said_before_work_starts() -> None:
    with (
        pytest.raises(TimedOut),
        Cancellation(deadline=time.monotonic()).interrupting(lambda: None),
    ):
        pytest.fail("the work was started")


def test_the_client_is_asked_for_now_and_then_and_wherever_it_matters() -> None:
    answers = iter([False, True])
    cancellation = Cancellation(is_gone=lambda: next(answers))
    cancellation.check()  # just begun: not asked yet
    cancellation.check(surely=True)
    cancellation.check()
    with pytest.raises(Cancelled, match="went away"):
        cancellation.check(surely=True)


def test_a_deadline_interrupts_running_work() -> None:
    with pytest.raises(TimedOut):
        interrupted(Cancellation(deadline=time.monotonic() + 0.05))


def test_a_client_that_leaves_interrupts_running_work() -> None:
    asked = threading.Event()

    def is_gone() -> bool:
        # Here at the first question, gone at the second.
        was_asked = asked.is_set()
        asked.set()
        return was_asked

    with pytest.raises(Cancelled, match="went away"):
        interrupted(Cancellation(is_gone=is_gone))


def test_the_first_reason_stays() -> None:
    cancellation = Cancellation()
    cancellation.cancel(Unavailable("The server is stopping."))
    cancellation.cancel(Cancelled("The client went away."))
    with pytest.raises(Unavailable):
        cancellation.check()


def test_an_order_without_a_reason_is_a_cancellation() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        cancellation.check()


def test_an_error_of_its_own_leaves_the_work_as_it_is() -> None:
    with pytest.raises(OSError, match="disk"), Cancellation().interrupting(lambda: None):
        raise OSError("the disk is full")


def test_an_interrupt_that_came_too_early_is_repeated() -> None:
    calls: list[int] = []
    often = threading.Event()

    def interrupt() -> None:
        calls.append(1)
        if len(calls) >= 3:
            often.set()

    cancellation = Cancellation()
    with cancellation.interrupting(interrupt):
        cancellation.cancel()
        assert often.wait(PATIENCE_SECONDS)


def test_work_that_is_over_is_not_interrupted() -> None:
    calls: list[int] = []
    cancellation = Cancellation()
    with cancellation.interrupting(lambda: calls.append(1)):
        pass
    cancellation.cancel()
    assert not calls


def test_every_piece_of_one_requests_work_is_interrupted() -> None:
    cancellation = Cancellation()
    first, second = threading.Event(), threading.Event()
    with cancellation.interrupting(first.set), cancellation.interrupting(second.set):
        cancellation.cancel()
    assert first.is_set()
    assert second.is_set()


def test_a_question_that_fails_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> bool:
        raise OSError("the call is over")

    watched = threading.Event()
    cancellation = Cancellation()
    with cancellation.interrupting(watched.wait):
        broken_one = Cancellation()
        with broken_one.interrupting(lambda: None):
            broken_one._is_gone = broken
            with pytest.raises(TimedOut):
                interrupted(Cancellation(deadline=time.monotonic() + 0.2))
            broken_one._is_gone = None
    assert "the call is over" in caplog.text


def test_the_watchdog_ends_when_there_is_nothing_to_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(room, "IDLE_SECONDS_MAX", 0.02)
    watchdog = room._Watchdog()
    with watchdog.watching(Cancellation()):
        thread = watchdog._thread
        assert thread is not None
        assert thread.is_alive()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert watchdog._thread is None


def test_the_watchdog_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(room, "IDLE_SECONDS_MAX", 0.02)
    watchdog = room._Watchdog()
    seen: list[threading.Thread] = []
    for _ in range(2):
        with watchdog.watching(Cancellation()):
            assert watchdog._thread is not None
            seen.append(watchdog._thread)
        seen[-1].join(PATIENCE_SECONDS)
    assert seen[0] is not seen[1]
