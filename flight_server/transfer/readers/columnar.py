"""Parquet, Arrow and Lance: batches that have types already, cut to a size that fits memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.transfer.readers.base import (
    BATCH_BYTES,
    ROWS_MAX,
    Block,
    Plan,
    Probe,
    Reject,
    shortened,
)
from flight_server.transfer.readers.casting import Cast, fitted, from_values, without
from flight_server.transfer.readers.texts import File


class ParquetReader:
    """A file of Parquet."""

    def __init__(self, file: File) -> None:
        self._file = file
        with file.readable("Parquet"):
            self._opened = pq.ParquetFile(
                file.seekable(), pre_buffer=False, buffer_size=2**20, memory_map=False
            )

    def probe(self) -> Probe:
        """The columns in their own types."""
        with self._file.readable("Parquet"):
            return Probe(self._opened.schema_arrow, True, rows=self._opened.metadata.num_rows)

    def blocks(self, plan: Plan, start: Mapping[str, Any]) -> Iterator[Block]:
        """The rows; of groups of rows that are known already nothing is read."""
        skipped = int(start.get("row", 0))
        groups, before = self._groups(skipped)
        if not groups and self._opened.metadata.num_rows:
            return
        batches = self._batches(groups, plan)
        total = max(self._opened.metadata.num_rows, 1)
        size = self._file.source.size
        for block in typed_blocks(batches, plan, skipped, before, self._file, "Parquet"):
            block.position = size * (block.first + block.rows - 1) // total
            yield block

    def _groups(self, skipped: int) -> tuple[list[int], int]:
        """The groups of rows that are to be read, and how many rows come before them."""
        metadata, before = self._opened.metadata, 0
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if before + rows > skipped:
                return list(range(group, metadata.num_row_groups)), before
            before += rows
        return [], before

    def _batches(self, groups: list[int], plan: Plan) -> Iterator[pa.RecordBatch]:
        metadata = self._opened.metadata
        size = sum(metadata.row_group(group).total_byte_size for group in groups)
        rows = sum(metadata.row_group(group).num_rows for group in groups)
        return iter(
            self._opened.iter_batches(
                rows_each(size, rows), row_groups=groups, columns=list(plan.sources)
            )
        )


class ArrowReader:
    """Arrow's file, or its stream, whichever the first bytes say."""

    def __init__(self, file: File) -> None:
        self._file = file
        with file.readable("Arrow"):
            raw = file.seekable()
            self._raw = raw
            start = raw.read(6)
            raw.seek(0)
            self._is_file = start == b"ARROW1"
            self._opened = pa.ipc.open_file(raw) if self._is_file else pa.ipc.open_stream(raw)

    def probe(self) -> Probe:
        """The columns in their own types."""
        return Probe(self._opened.schema, True)

    def blocks(self, plan: Plan, start: Mapping[str, Any]) -> Iterator[Block]:
        """The rows."""
        skipped = int(start.get("row", 0))
        batches = _small(self._batches())
        for block in typed_blocks(batches, plan, skipped, 0, self._file, "Arrow"):
            block.position = self._raw.tell()
            yield block

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self._is_file:
            for number in range(self._opened.num_record_batches):
                yield self._opened.get_batch(number)
        else:
            yield from self._opened


class LanceReader:
    """A dataset of Lance: a folder. What is heavy is loaded when the first one is read."""

    def __init__(self, file: File, location: str, options: Mapping[str, str] | None) -> None:
        import lance

        self._file = file
        try:
            self._dataset = lance.dataset(location, storage_options=dict(options or {}) or None)
        except (OSError, ValueError, RuntimeError) as error:
            reason = (str(error).splitlines() or [""])[0][:200]
            raise InvalidRequest(
                f"{file.name} cannot be read as Lance: {reason}", code=ErrorCode.INVALID_DATA
            ) from None

    def probe(self) -> Probe:
        """The columns in their own types."""
        return Probe(self._dataset.schema, True, rows=self._dataset.count_rows())

    def blocks(self, plan: Plan, start: Mapping[str, Any]) -> Iterator[Block]:
        """The rows of one version, in their order."""
        import lance

        skipped = int(start.get("row", 0))
        version = int(start.get("version", self._dataset.version))
        dataset = self._dataset.checkout_version(version)
        rows = dataset.count_rows()
        size = self._file.source.size
        with self._file.readable("Lance"):
            batches = lance.LanceDataset.scanner(
                dataset,
                columns=list(plan.sources),
                batch_size=rows_each(size, rows),
                batch_readahead=2,
                fragment_readahead=1,
                scan_in_order=True,
            ).to_batches()
        for block in typed_blocks(_small(batches), plan, skipped, 0, self._file, "Lance"):
            block.end = {**block.end, "version": version}
            block.position = size * (block.first + block.rows - 1) // max(rows, 1)
            yield block


def rows_each(size: int, rows: int) -> int:
    """How many rows of so many bytes in all make a batch of the right size."""
    return max(1, min(ROWS_MAX, BATCH_BYTES * max(rows, 1) // max(size, 1)))


def typed_blocks(
    batches: Iterator[pa.RecordBatch],
    plan: Plan,
    skipped: int,
    before: int,
    file: File,
    what: str,
    cast: Cast = from_values,
) -> Iterator[Block]:
    """Batches in the plan's types. Of `skipped` rows in all, `before` are not among them."""
    number = before
    while True:
        with file.readable(what):
            batch = next(batches, None)
            if batch is None:
                return
            batch.validate(full=True)
        number += batch.num_rows
        if number <= skipped:
            continue
        batch = batch.slice(max(0, batch.num_rows - (number - skipped)))
        yield _block(batch, plan, number - batch.num_rows + 1, cast)


def _block(batch: pa.RecordBatch, plan: Plan, first: int, cast: Cast) -> Block:
    columns = [batch.column(batch.schema.get_field_index(name)) for name in plan.sources]
    found, wrong = fitted(columns, plan.schema, cast)
    end = {"row": first + batch.num_rows - 1}
    if not wrong:
        return Block(found, first, batch.num_rows, end, 0, lambda at: raw_of(batch, at))
    kept = [at for at in range(batch.num_rows) if at not in wrong]
    rejects = [
        Reject(first + at, wrong[at][0], wrong[at][1], raw_of(batch, at)) for at in sorted(wrong)
    ]
    numbers = [first + at for at in kept]
    return Block(
        without(found, wrong),
        first,
        batch.num_rows,
        end,
        0,
        lambda at: raw_of(batch, kept[at]),
        rejects,
        numbers,
    )


def raw_of(batch: pa.RecordBatch, at: int) -> str:
    """The row at a place as JSON."""
    [row] = batch.slice(at, 1).to_pylist()
    return shortened(json.dumps(row, ensure_ascii=False, default=str))


def _small(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, cut where they are large."""
    for batch in batches:
        each = rows_each(batch.nbytes, batch.num_rows)
        for at in range(0, batch.num_rows, each):
            yield batch.slice(at, each)
        if not batch.num_rows:
            yield batch
