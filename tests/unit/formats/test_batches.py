"""How batches are brought to a size."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flight_server.formats.batches import holds_dictionary, resized

SIZES = st.lists(st.integers(0, 3000), max_size=30)


def batches(sizes: list[int]) -> list[pa.RecordBatch]:
    rows, start = [], 0
    for size in sizes:
        rows.append(pa.record_batch({"n": range(start, start + size), "t": ["x" * 10] * size}))
        start += size
    return rows


@given(SIZES, st.integers(64, 100_000))
def test_rows_stay_in_their_order(sizes: list[int], bytes_each: int) -> None:
    found = list(resized(batches(sizes), bytes_each))
    assert [n for batch in found for n in batch["n"].to_pylist()] == list(range(sum(sizes)))
    assert all(batch.num_rows for batch in found)


@given(SIZES, st.integers(4096, 100_000))
@example([1, 2229, 1], 98_121)
def test_sizes_are_near_what_is_wanted(sizes: list[int], bytes_each: int) -> None:
    found = list(resized(batches(sizes), bytes_each))
    assert all(batch.nbytes <= 2 * bytes_each for batch in found)
    assert all(batch.nbytes >= bytes_each / 2 for batch in found[:-1])


def test_a_row_larger_than_a_batch_stays_whole() -> None:
    large = pa.record_batch({"t": ["x" * 10_000] * 3})
    assert [batch.num_rows for batch in resized([large], 100)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.int64(), False),
        (pa.list_(pa.struct([("a", pa.string())])), False),
        (pa.dictionary(pa.int8(), pa.string()), True),
        (pa.list_(pa.dictionary(pa.int8(), pa.string())), True),
        (pa.struct([("a", pa.map_(pa.string(), pa.dictionary(pa.int8(), pa.string())))]), True),
        (pa.list_(pa.dictionary(pa.int8(), pa.string()), 2), True),
        (pa.uuid(), False),
    ],
    ids=str,
)
def test_dictionaries_are_found_at_any_depth(kind: pa.DataType, expected: bool) -> None:
    assert holds_dictionary(kind) is expected
