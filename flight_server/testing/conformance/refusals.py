"""Streams that do not fit: refused with the column named, and nothing written."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.cancellation import Cancellation
from flight_server.errors import Cancelled, ErrorCode, InvalidRequest, TimedOut, Unavailable
from flight_server.testing.conformance.handles import (
    SCHEMA,
    THREE,
    EngineCase,
    TableHandle,
    batches_of,
    reader_of,
    refused,
    unordered,
)


class IngestRefusalTests(EngineCase):
    """Rows that may not come in."""

    @pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "merge"])
    def test_a_column_too_many(self, table: TableHandle, mode: str) -> None:
        """Is named, with the one that may have been meant."""
        with refused(ErrorCode.SCHEMA_MISMATCH, "'amuont'", "Did you mean 'amount'?"):
            table.put({"id": [4], "amuont": [1.0]}, mode)
        assert table.rows() == unordered(THREE)

    def test_a_column_twice(self, table: TableHandle) -> None:
        """Is refused, in whatever case."""
        twice = pa.Table.from_arrays([[4], [5]], names=["id", "ID"])
        with pytest.raises(InvalidRequest) as caught:
            table.put(twice)
        assert "id" in caught.value.message.lower()
        assert table.rows() == unordered(THREE)

    @pytest.mark.parametrize("mode", ["append", "overwrite"])
    def test_a_null_where_none_may_be(self, table: TableHandle, mode: str) -> None:
        """Is refused with the column named."""
        with refused(ErrorCode.INVALID_DATA, "'id'"):
            table.put({"id": pa.array([4, None], pa.int64())}, mode)
        assert table.rows() == unordered(THREE)

    def test_a_required_column_left_out(self, table: TableHandle) -> None:
        """Is refused with the column named."""
        with pytest.raises(InvalidRequest) as caught:
            table.put({"name": ["x"]})
        assert caught.value.code in (ErrorCode.INVALID_DATA, ErrorCode.SCHEMA_MISMATCH)
        assert "'id'" in caught.value.message
        assert table.rows() == unordered(THREE)

    @pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "merge"])
    def test_a_bad_row_in_a_late_batch(self, table: TableHandle, mode: str) -> None:
        """Takes the good ones before it along: nothing is written."""
        bad = pa.RecordBatch.from_arrays([[None], [None], [None]], schema=SCHEMA)
        with refused(ErrorCode.INVALID_DATA, "'id'"):
            table.stream(reader_of([*batches_of(range(10, 30), 5), bad]), mode)
        assert table.rows() == unordered(THREE)

    @pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "merge", "create"])
    def test_a_stream_that_breaks(self, engine: Any, table: TableHandle, mode: str) -> None:
        """Passes its error on and has written nothing."""
        target = TableHandle(engine, "new") if mode == "create" else table
        broken = reader_of(batches_of(range(10, 30), 5), Unavailable("The line is cut."))
        with refused(ErrorCode.UNAVAILABLE, "cut", error=Unavailable):
            target.stream(broken, mode)
        assert engine.tables("main") == [table.ref]
        assert table.rows() == unordered(THREE)

    def test_ingest_after_the_deadline(self, table: TableHandle) -> None:
        """Ends the ingest and writes nothing."""
        with pytest.raises(TimedOut):
            table.put([{"id": 4}], cancellation=Cancellation(deadline=0.0))
        assert table.rows() == unordered(THREE)

    def test_a_client_that_left(self, table: TableHandle) -> None:
        """In the middle of its stream: nothing is written."""
        cancellation = Cancellation()
        first, *others = batches_of(range(10, 30), 5)

        def flow() -> Any:
            yield first
            cancellation.cancel()
            yield from others

        reader = pa.RecordBatchReader.from_batches(SCHEMA, flow())
        with pytest.raises(Cancelled):
            table.stream(reader, cancellation=cancellation)
        assert table.rows() == unordered(THREE)
