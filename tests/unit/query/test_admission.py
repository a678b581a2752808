"""Queries get a place in the order they came, in time, or an error that says why not."""

import threading
import time

import pytest

from flight_server.engines.cancellation import Cancellation
from flight_server.errors import Cancelled, ErrorCode, LimitExceeded, TimedOut
from flight_server.query import Admission


def waits_for(admission: Admission, waiting: int) -> None:
    end = time.monotonic() + 5
    while admission.waiting != waiting:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_no_more_than_allowed_run_at_once() -> None:
    admission = Admission(queries_max=2, wait_seconds=10)
    most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal most
        with admission.admitted(0):
            with lock:
                most = max(most, admission.running)
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
    assert (admission.running, admission.waiting) == (0, 0)


def test_places_are_given_in_the_order_of_coming() -> None:
    admission = Admission(queries_max=1, wait_seconds=10)
    served: list[int] = []

    def work(number: int) -> None:
        with admission.admitted(0):
            served.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    with admission.admitted(0):
        for number, thread in enumerate(threads):
            thread.start()
            waits_for(admission, number + 1)
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3, 4]


def test_waiting_ends_in_time() -> None:
    admission = Admission(queries_max=1, wait_seconds=0.05)
    with (
        admission.admitted(0),
        pytest.raises(LimitExceeded, match="try again later") as refused,
        admission.admitted(0),
    ):
        raise AssertionError("two had the one place")
    assert refused.value.code is ErrorCode.LIMIT_EXCEEDED
    assert admission.waiting == 0
    with admission.admitted(0):
        assert admission.running == 1


def test_without_patience_a_full_house_refuses_at_once() -> None:
    admission = Admission(queries_max=1, wait_seconds=0)
    with admission.admitted(0), pytest.raises(LimitExceeded), admission.admitted(0):
        raise AssertionError("two had the one place")


def test_a_deadline_or_a_cancel_ends_the_wait() -> None:
    admission = Admission(queries_max=1, wait_seconds=60)
    cancelled = Cancellation()
    with admission.admitted(0):
        late = Cancellation(deadline=time.monotonic() + 0.05)
        with pytest.raises(TimedOut), admission.admitted(0, late):
            raise AssertionError("two had the one place")
        threading.Timer(0.05, cancelled.cancel).start()
        with pytest.raises(Cancelled), admission.admitted(0, cancelled):
            raise AssertionError("two had the one place")
        assert admission.waiting == 0


def test_large_queries_are_refused_before_they_wait() -> None:
    admission = Admission(queries_max=1, wait_seconds=60, query_bytes_max=100)
    with (
        admission.admitted(100),
        pytest.raises(LimitExceeded, match="101 bytes and 100 are allowed") as refused,
        admission.admitted(101),
    ):
        raise AssertionError("it was let in")
    assert refused.value.code is ErrorCode.TOO_LARGE


def test_an_error_of_the_query_frees_its_place() -> None:
    admission = Admission(queries_max=1, wait_seconds=0)
    with pytest.raises(ValueError, match="mine"), admission.admitted(0):
        raise ValueError("mine")
    assert admission.running == 0
