"""Counters of usage: added in memory, written down, read again."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from flight_server.errors import Unavailable
from flight_server.metastore import Metastore
from flight_server.metastore.usage import read_usage
from flight_server.model import Principal
from flight_server.operations.metering import AMOUNTS, Usage
from flight_server.operations.usage import UsageCounters

ADA = Principal("key:1", "ada", workspace="films")
BOB = Principal("key:2", "bob", workspace="films")


def written(metastore: Metastore) -> dict[tuple[str, str, str], Usage]:
    with metastore.read() as connection:
        return {
            (row["workspace"], row["principal_id"], row["day"]): Usage(*(row[n] for n in AMOUNTS))
            for row in read_usage(connection)
        }


@pytest.fixture
def counters(metastore: Metastore) -> UsageCounters:
    return UsageCounters(metastore, flush_seconds=3600)


used = st.builds(Usage, *(st.integers(0, 10**12) for _ in AMOUNTS))


@given(steps=st.lists(st.tuples(st.sampled_from([ADA, BOB]), used, st.booleans()), max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sums_are_those_of_the_parts(
    metastore: Metastore, steps: list[tuple[Principal, Usage, bool]]
) -> None:
    """However additions and writing down follow each other, nothing is lost or counted twice."""
    counters = UsageCounters(metastore, flush_seconds=3600)
    before = written(metastore)
    expected = {who.id: Usage() for who in (ADA, BOB)}
    for who, amounts, is_flushed in steps:
        counters.add(who, amounts)
        expected[who.id].add(amounts)
        if is_flushed:
            counters.flush()
    counters.close()
    after = written(metastore)
    for who in (ADA, BOB):
        key = ("films", who.id, counters.today())
        assert after.get(key, Usage()).since(before.get(key, Usage())) == expected[who.id]
    total = Usage()
    for amounts in after.values():
        total.add(amounts)
    assert counters.used("films", counters.today()) == total


def test_what_could_not_be_written_is_written_later(
    metastore: Metastore, counters: UsageCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Metastore) -> AbstractContextManager[Connection]:
        raise Unavailable("The metastore is busy or out of reach: try again.")

    counters.add(ADA, Usage(requests=1))
    with monkeypatch.context() as patched:
        patched.setattr(Metastore, "begin", refuse)
        with pytest.raises(Unavailable):
            counters.flush()
    counters.add(ADA, Usage(requests=2))
    counters.close()
    assert [amounts.requests for amounts in written(metastore).values()] == [3]


def test_a_day_ends_and_a_quota_s_sum_with_it(
    counters: UsageCounters, metastore: Metastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_800_000_000.0]
    monkeypatch.setattr("flight_server.operations.usage.time.time", lambda: clock[0])
    first = counters.today()
    counters.add(ADA, Usage(rows_in=5))
    clock[0] += 24 * 3600
    second = counters.today()
    counters.add(ADA, Usage(rows_in=7))
    assert (first, second) == ("2027-01-15", "2027-01-16")
    counters.flush()
    assert counters.used("films", second).rows_in == 7
    assert counters.used("films", second[:7]).rows_in == 12
    assert counters.used("films", first).rows_in == 0
    assert {day for _, _, day in written(metastore)} == {first, second}
    counters.close()


def test_many_threads_count_together(counters: UsageCounters, metastore: Metastore) -> None:
    def count() -> None:
        for _ in range(200):
            counters.add(ADA, Usage(requests=1, rows_out=3))

    threads = [threading.Thread(target=count) for _ in range(5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counters.flush()
    counters.close()
    (amounts,) = written(metastore).values()
    assert (amounts.requests, amounts.rows_out) == (1000, 3000)
