"""Cutting a stream into commits loses nothing and reorders nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_server.engines.segments import AHEAD_MAX, Segments, Source
from flight_server.model import CommitEvery
from tests.fix_lake import wait_until

PATIENCE_SECONDS = 20


def batches(sizes: list[int]) -> list[pa.RecordBatch]:
    """Batches of these many rows, numbered through."""
    start, made = 0, []
    for size in sizes:
        made.append(pa.record_batch({"n": list(range(start, start + size))}))
        start += size
    return made


def parts(source: Source, every: CommitEvery) -> list[list[int]]:
    """The numbers in each part."""
    return [
        [number for batch in part for number in batch.column(0).to_pylist()]
        for part in Segments(source, every)
    ]


LIMITS = st.one_of(
    st.builds(CommitEvery, rows=st.integers(1, 40)),
    st.builds(CommitEvery, bytes=st.integers(1, 400)),
    st.builds(CommitEvery, ms=st.integers(1, 3)),
    st.builds(CommitEvery, rows=st.integers(1, 40), bytes=st.integers(1, 400), ms=st.just(1)),
)


@given(sizes=st.lists(st.integers(0, 30), max_size=12), every=LIMITS)
def test_parts_make_the_whole(sizes: list[int], every: CommitEvery) -> None:
    cut = parts(Source(iter(batches(sizes))), every)
    assert [number for part in cut for number in part] == list(range(sum(sizes)))
    assert cut


@given(sizes=st.lists(st.integers(0, 30), max_size=12), rows=st.integers(1, 40))
def test_every_part_but_the_last_has_all_its_rows(sizes: list[int], rows: int) -> None:
    cut = parts(Source(iter(batches(sizes))), CommitEvery(rows=rows))
    assert all(len(part) == rows for part in cut[:-1])
    assert len(cut[-1]) <= rows


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12), size=st.integers(1, 400))
def test_a_part_ends_with_the_batch_that_fills_it(sizes: list[int], size: int) -> None:
    cut = parts(Source(iter(batches(sizes))), CommitEvery(bytes=size))
    assert all(len(part) * 8 >= size for part in cut[:-1])
    # Without its last batch no part was full.
    assert all((len(part) - max(sizes)) * 8 < size for part in cut)


def test_a_stream_without_batches_has_one_empty_part() -> None:
    assert parts(Source(iter([])), CommitEvery(rows=5)) == [[]]


def test_time_ends_a_part_while_the_client_waits() -> None:
    more = threading.Event()

    def slowly() -> Iterator[pa.RecordBatch]:
        first, second = batches([2, 3])
        yield first
        assert more.wait(PATIENCE_SECONDS)
        yield second

    segments = iter(Segments(Source(slowly()), CommitEvery(ms=20)))
    assert [batch.num_rows for batch in next(segments)] == [2]
    more.set()
    assert [batch.num_rows for batch in next(segments)] == [3]
    assert list(segments) == []


def test_an_error_comes_where_the_batch_would_have() -> None:
    def breaking() -> Iterator[pa.RecordBatch]:
        yield from batches([2, 2])
        raise ValueError("the line is cut")

    segments = iter(Segments(Source(breaking()), CommitEvery(rows=3)))
    assert [batch.num_rows for batch in next(segments)] == [2, 1]
    with pytest.raises(ValueError, match="the line is cut"):
        list(next(segments))
    assert list(segments) == []


def test_little_is_read_ahead() -> None:
    taken = []

    def counted() -> Iterator[pa.RecordBatch]:
        for batch in batches([1] * 50):
            taken.append(batch)
            yield batch

    source = Source(counted())
    wait_until(lambda: len(taken) > AHEAD_MAX, "the reader has read ahead")
    assert len(taken) <= AHEAD_MAX + 1
    source.close()


def test_a_closed_source_lets_its_thread_end() -> None:
    threads = set(threading.enumerate())
    source = Source(iter(batches([1] * 50)))
    (reader,) = set(threading.enumerate()) - threads
    source.close()
    reader.join(PATIENCE_SECONDS)
    assert not reader.is_alive()
