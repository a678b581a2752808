"""A stream frees what it reads from, once, however it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from flight_server.engines.stream import BatchStream

SCHEMA = pa.schema([("n", pa.int64())])


def batch(*numbers: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(numbers, pa.int64())], schema=SCHEMA)


def failing() -> Iterator[pa.RecordBatch]:
    yield batch(1)
    raise OSError("the disk is gone")


def test_reading_to_the_end_closes() -> None:
    closed: list[str] = []
    stream = BatchStream(SCHEMA, iter([batch(1), batch(2)]), lambda: closed.append("done"))
    assert stream.read_next_batch().equals(batch(1))
    assert not closed
    assert [part.num_rows for part in stream] == [1]
    assert closed == ["done"]


def test_an_error_closes_and_is_passed_on() -> None:
    closed: list[str] = []
    stream = BatchStream(SCHEMA, failing(), lambda: closed.append("done"))
    with pytest.raises(OSError, match="the disk is gone"):
        stream.read_all()
    assert closed == ["done"]


def test_closing_twice_frees_once() -> None:
    closed: list[str] = []
    stream = BatchStream(SCHEMA, iter([batch(1)]), lambda: closed.append("done"))
    stream.close()
    stream.close()
    assert closed == ["done"]


def test_leaving_the_block_closes_a_stream_that_was_half_read() -> None:
    closed: list[str] = []
    with BatchStream(SCHEMA, iter([batch(1), batch(2)]), lambda: closed.append("done")) as stream:
        next(stream)
    assert closed == ["done"]


def test_what_is_named_first_is_freed_first() -> None:
    closed: list[str] = []
    stream = BatchStream(
        SCHEMA, iter([]), lambda: closed.append("reader"), lambda: closed.append("connection")
    )
    stream.close()
    assert closed == ["reader", "connection"]


def test_one_action_that_fails_does_not_keep_the_others_from_being_called() -> None:
    closed: list[str] = []

    def refuse() -> None:
        raise RuntimeError("already closed")

    stream = BatchStream(SCHEMA, iter([]), refuse, lambda: closed.append("connection"))
    with pytest.raises(RuntimeError, match="already closed"):
        stream.close()
    assert closed == ["connection"]


def test_all_batches_become_one_table() -> None:
    stream = BatchStream(SCHEMA, iter([batch(1, 2), batch(), batch(3)]))
    assert stream.read_all().column("n").to_pylist() == [1, 2, 3]


def test_no_batches_become_an_empty_table_of_the_schema() -> None:
    table = BatchStream(SCHEMA, iter([])).read_all()
    assert table.schema == SCHEMA
    assert table.num_rows == 0
