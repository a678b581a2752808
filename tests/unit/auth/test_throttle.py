"""The brake on guessing: what is counted, what is given back, and when it lets go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from flight_server.auth import throttle as throttle_module
from flight_server.auth.throttle import WINDOW_SECONDS, Throttle
from flight_server.errors import LimitExceeded
from tests.fix_metastore import Clock


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def is_let(throttle: Throttle, **limits: int) -> bool:
    try:
        throttle.attempt(limits)
    except LimitExceeded:
        return False
    return True


def test_so_many_attempts_a_window(throttle: Throttle, clock: Clock) -> None:
    assert [is_let(throttle, ann=3) for _ in range(5)] == [True] * 3 + [False] * 2
    assert is_let(throttle, bob=3)
    clock.seconds += WINDOW_SECONDS - 1
    with pytest.raises(LimitExceeded) as caught:
        throttle.attempt({"ann": 3})
    assert caught.value.details == {"retry_after_seconds": 1}
    clock.seconds += 1
    assert is_let(throttle, ann=3)


def test_what_was_right_does_not_count(throttle: Throttle) -> None:
    for _ in range(10):
        throttle.attempt({"ann": 2, "peer": 2})
        throttle.was_right({"ann": 2, "peer": 2})
    assert [is_let(throttle, ann=2) for _ in range(3)] == [True, True, False]


def test_one_right_attempt_forgives_no_others(throttle: Throttle) -> None:
    """Somebody with an account of their own could otherwise guess at others without an end."""
    for name in "abc":
        throttle.attempt({name: 9, "peer": 3})
    with pytest.raises(LimitExceeded):
        throttle.attempt({"mine": 9, "peer": 3})
    throttle.was_right({"peer": 3})
    assert [is_let(throttle, d=9, peer=3) for _ in range(2)] == [True, False]


def test_a_refused_attempt_counts_nowhere(throttle: Throttle) -> None:
    throttle.attempt({"peer": 1})
    for _ in range(5):
        assert not is_let(throttle, ann=1, peer=1)
    assert is_let(throttle, ann=1)


def test_memory_is_bounded(throttle: Throttle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle_module, "COUNTED_MAX", 10)
    for number in range(100):
        throttle.attempt({f"name {number}": 1})
    assert len(throttle._counted) == 10


def test_many_at_once_do_not_slip_through(throttle: Throttle) -> None:
    with ThreadPoolExecutor(8) as pool:
        let = list(pool.map(lambda _: is_let(throttle, ann=10), range(200)))
    assert sum(let) == 10
