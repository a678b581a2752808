"""Blocks of a file as rows that may be written: read, judged, and without what was read before."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from flight_server.transfer.readers import Block, Reject
from flight_server.transfer.readers.casting import kept_of, without
from flight_server.transfer.uniqueness import Keys
from flight_server.transfer.validation import Checker


@dataclass(frozen=True)
class Rows:
    """Some rows of a file: those that are taken, those that are not.

    `begin` is where reading goes on to have them again; `first` and `count` say which rows of the
    file they are, those that are not taken included. `position` is how much of the file is read.
    """

    batch: pa.RecordBatch
    rejects: list[Reject]
    begin: Mapping[str, Any]
    first: int
    count: int
    position: int
    numbers: Any = None

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first + self.count - 1

    def cut(self, last: int) -> tuple[Rows, Rows]:
        """The rows up to a number, and those behind it."""
        at = self._place(last)
        rejected = bisect.bisect_right([one.row for one in self.rejects], last)
        split = (self.batch.slice(0, at), self.batch.slice(at))
        numbers = (None, None)
        if self.numbers is not None:
            numbers = (self.numbers[:at], self.numbers[at:])
        left = last - self.first + 1
        return (
            Rows(
                split[0],
                self.rejects[:rejected],
                self.begin,
                self.first,
                left,
                self.position,
                numbers[0],
            ),
            Rows(
                split[1],
                self.rejects[rejected:],
                self.begin,
                last + 1,
                self.count - left,
                self.position,
                numbers[1],
            ),
        )

    def _place(self, last: int) -> int:
        """How many rows of the batch have no higher number."""
        if self.numbers is not None:
            return int(bisect.bisect_right(self.numbers, last))
        return int(min(max(0, last - self.first + 1), self.batch.num_rows))


def cleaned(
    blocks: Iterator[Block], checker: Checker, keys: list[Keys], start: Mapping[str, Any]
) -> Iterator[Rows]:
    """The rows of blocks, judged by the rules; of rows with one key only the first is taken."""
    begin = dict(start)
    for block in blocks:
        broken = dict(checker.broken(block.batch))
        for one in keys:
            told = f"the value of {', '.join(one.columns)} came before"
            taken = np.flatnonzero(kept_of(block.batch.num_rows, broken))
            batch = without(block.batch, broken)
            for at in one.repeated(batch):
                broken[int(taken[at])] = (one.columns[0] if len(one.columns) == 1 else None, told)
        yield _rows(block, broken, begin)
        begin = dict(block.end)


def _rows(block: Block, broken: Mapping[int, tuple[str | None, str]], begin: Any) -> Rows:
    if not broken:
        return Rows(
            block.batch,
            block.rejects,
            begin,
            block.first,
            block.rows,
            block.position,
            block.numbers,
        )
    rejects = block.rejects + [
        Reject(block.number(at), column, reason, block.raw(at))
        for at, (column, reason) in broken.items()
    ]
    rejects.sort(key=lambda one: one.row)
    numbers = block.numbers
    if numbers is None:
        numbers = np.arange(block.first, block.first + block.batch.num_rows)
    kept = np.asarray(numbers)[kept_of(block.batch.num_rows, broken)]
    batch = without(block.batch, broken)
    return Rows(batch, rejects, begin, block.first, block.rows, block.position, kept)
