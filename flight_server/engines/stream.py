"""A stream of record batches whose end can be waited upon: closing it frees what it reads from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol

import pyarrow as pa


class Batches(Protocol):
    """What `pa.RecordBatchReader` and `BatchStream` have in common."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    def read_all(self) -> pa.Table:
        """All batches as one table."""

    def close(self) -> None:
        """Frees what the stream reads from; a second time does nothing."""


class BatchStream:
    """Batches of one schema from an iterator.

    It closes itself after the last batch and after an error. `pa.RecordBatchReader` does not
    close the Python iterator it was made from, which is why it is not used here: an open stream
    holds a connection, a place among the running queries and a pinned snapshot.
    """

    def __init__(
        self,
        schema: pa.Schema,
        batches: Iterator[pa.RecordBatch],
        *on_close: Callable[[], object],
    ) -> None:
        self.schema = schema
        self._batches = batches
        # A stack calls what is left even when one action fails.
        self._on_close = ExitStack()
        for action in reversed(on_close):
            self._on_close.callback(action)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            return next(self._batches)
        except BaseException:
            self.close()
            raise

    def read_next_batch(self) -> pa.RecordBatch:
        """The next batch; StopIteration after the last."""
        return next(self)

    def read_all(self) -> pa.Table:
        """All batches that are left, as one table."""
        with self:
            return pa.Table.from_batches(list(self), self.schema)

    def close(self) -> None:
        """Frees what the stream reads from; a second time does nothing."""
        self._on_close.close()

    def __enter__(self) -> BatchStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
