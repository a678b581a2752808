"""Batches brought to the size that suits whoever sends them on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import pyarrow as pa


def resized(batches: Iterable[pa.RecordBatch], bytes_each: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of about `bytes_each`, none of them empty."""
    pending: list[pa.RecordBatch] = []
    size, exact = 0, False
    for batch in batches:
        if not batch.num_rows:
            continue
        pending.append(batch)
        # The buffers that rows lie in are more than the rows where those are a slice. But to ask
        # for the exact number gives the interpreter's lock away, which small answers need not.
        size += batch.nbytes if exact else batch.get_total_buffer_size()
        if not exact and size * 2 >= bytes_each:
            size, exact = sum(part.nbytes for part in pending), True
        # Half a batch is sent as it is: joining copies.
        if size * 2 >= bytes_each:
            yield from _split(_joined(pending), size, bytes_each)
            pending, size, exact = [], 0, False
    if pending:
        yield _joined(pending)


def in_rows(batches: Iterable[pa.RecordBatch], rows_each: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of so many, the last one of those that are left."""
    pending: list[pa.RecordBatch] = []
    missing = rows_each
    for batch in batches:
        while batch.num_rows:
            part, batch = batch.slice(0, missing), batch.slice(missing)
            pending.append(part)
            missing -= part.num_rows
            if not missing:
                yield _joined(pending)
                pending, missing = [], rows_each
    if pending:
        yield _joined(pending)


def holds_dictionary(kind: pa.DataType) -> bool:
    """Whether the type is a dictionary or holds one at any depth."""
    if isinstance(kind, pa.BaseExtensionType):
        return holds_dictionary(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return True
    return any(holds_dictionary(kind.field(i).type) for i in range(kind.num_fields))


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _split(batch: pa.RecordBatch, size: int, bytes_each: int) -> Iterator[pa.RecordBatch]:
    """The batch in equal parts of at most one and a half times `bytes_each`."""
    parts = max(1, round(size / bytes_each))
    rows_each = math.ceil(batch.num_rows / parts)
    for start in range(0, batch.num_rows, rows_each):
        yield batch.slice(start, rows_each)
