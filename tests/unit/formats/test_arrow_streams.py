"""Streams of Arrow in pieces are whole streams, however few batches they have."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flight_server.formats.arrow_streams import ERROR, ArrowWriter

KINDS = (pa.int8(), pa.dictionary(pa.int8(), pa.string()))


def batch_of(kind: pa.DataType, number: int) -> pa.RecordBatch:
    value: Any = number if pa.types.is_integer(kind) else f"word {number}"
    return pa.record_batch([pa.array([value, None], kind)], names=["v"])


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_schema_comes_first_and_once(kind: pa.DataType, count: int) -> None:
    batches = [batch_of(kind, number) for number in range(count)]
    writer = ArrowWriter(batch_of(kind, 0).schema)
    pieces = writer.begin()
    assert pa.ipc.read_schema(pa.py_buffer(b"".join(pieces))) == batch_of(kind, 0).schema
    for batch in batches:
        pieces += writer.rows(batch)
    read = pa.ipc.open_stream(b"".join(pieces + writer.end()))
    assert [batch.to_pydict() for batch in read] == [batch.to_pydict() for batch in batches]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("count", [0, 1])
def test_an_error_follows_whatever_was_written(kind: pa.DataType, count: int) -> None:
    writer = ArrowWriter(batch_of(kind, 0).schema)
    pieces = writer.begin()
    for number in range(count):
        pieces += writer.rows(batch_of(kind, number))
    read = pa.ipc.open_stream(b"".join(pieces + writer.error({"code": "internal"})))
    metadata = [read.read_next_batch_with_custom_metadata() for _ in range(count + 1)]
    assert ERROR.encode() in dict(metadata[-1].custom_metadata)
