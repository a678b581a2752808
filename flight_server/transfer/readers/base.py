"""What every reader is asked, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

# More of a row that was set aside is not kept.
RAW_CHARACTERS_MAX = 2**16
# Rows of formats that are not text come in batches of about so many bytes, and at most so many.
BATCH_BYTES = 8 * 2**20
ROWS_MAX = 65_536


@dataclass(frozen=True)
class ReadOptions:
    """What a file does not say of itself.

    `null_values` are spellings of null in CSV besides the empty field. `columns` names the
    columns of a file without a header. `sheet` is a name or a number from 0.
    """

    delimiter: str | None = None
    quote: str = '"'
    header: bool = True
    columns: tuple[str, ...] = ()
    null_values: tuple[str, ...] = ()
    encoding: str | None = None
    skip_rows: int = 0
    sheet: str | int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that will not be taken: its number from 1, why, and what it says."""

    row: int
    column: str | None
    reason: str
    raw: str


@dataclass(frozen=True)
class Probe:
    """What the beginning of a file says: its columns, and the types that they seem to have.

    `is_typed` says that the file itself tells the types, `is_open` that rows further on may have
    more columns. `rows` is how many there are, where the file tells.
    """

    schema: pa.Schema
    is_typed: bool = False
    is_open: bool = False
    rows: int | None = None


@dataclass(frozen=True)
class Plan:
    """Which columns are read, by their names in the file, and what they become.

    `only_these` says that a row which has others is all right.
    """

    sources: tuple[str, ...]
    schema: pa.Schema
    only_these: bool = False


@dataclass
class Block:
    """Rows that belong together: those that could be read, and those that could not.

    `first` is the number of the first of `rows` rows of the file, `numbers` the numbers of the
    rows in the batch, as a list or numpy's array, where they are not one after another. `end` is
    where reading goes on behind the block, `position` how many bytes of the file were needed for
    it. `raw` gives what the file says of the row at a place in the batch.
    """

    batch: pa.RecordBatch
    first: int
    rows: int
    end: Mapping[str, Any]
    position: int
    raw: Callable[[int], str]
    rejects: list[Reject] = field(default_factory=list)
    numbers: Any = None

    def number(self, at: int) -> int:
        """The number of the row at a place in the batch."""
        return self.first + at if self.numbers is None else int(self.numbers[at])

    def number_from(self, first: int) -> None:
        """Gives the rows the numbers from `first` on; so far they have those from 1 on."""
        before = first - 1
        self.first = first
        self.rejects = [replace(one, row=one.row + before) for one in self.rejects]
        if self.numbers is not None:
            self.numbers = np.asarray(self.numbers) + before


class Reader(Protocol):
    """A file of one format."""

    def probe(self) -> Probe:
        """What the file says of its columns. InvalidRequest where it is none of this format."""

    def blocks(self, plan: Plan, start: Mapping[str, Any]) -> Iterator[Block]:
        """The rows from the beginning, or from the `end` of a block on."""


def shortened(raw: str) -> str:
    """What is kept of a row."""
    return raw if len(raw) <= RAW_CHARACTERS_MAX else raw[:RAW_CHARACTERS_MAX] + "…"
