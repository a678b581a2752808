"""Keys that came before: of any number of rows, in bounded memory.

A key is kept as a hash of 128 bits, of which two among billions do not meet by chance. Hashes are
kept sorted, in runs; large runs lie in files that the system keeps in memory as far as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flight_server.formats.json_rows import run
from flight_server.model import quoted

# Runs larger than this lie in files: 16 bytes an entry.
RUN_ENTRIES = 2**21


class Keys:
    """The keys of some columns that have been seen; a key with a null in it equals none."""

    def __init__(self, columns: Sequence[str], folder: Path) -> None:
        self.columns = tuple(columns)
        self._folder = folder
        self._young: list[tuple[Any, Any]] = []
        self._old: list[tuple[Any, Any]] = []

    def repeated(self, batch: pa.RecordBatch) -> list[int]:
        """The places of rows whose key came before; all others are remembered."""
        if not batch.num_rows:
            return []
        high, low, known = self._hashes(batch)
        places = np.flatnonzero(known)
        order = np.lexsort((places, low[places], high[places]))
        ordered = places[order]
        same = (high[ordered][1:] == high[ordered][:-1]) & (low[ordered][1:] == low[ordered][:-1])
        repeated = np.zeros(len(ordered), bool)
        repeated[1:] = same
        for run_ in (*self._young, *self._old):
            repeated |= _is_in(high[ordered], low[ordered], run_)
        fresh = ordered[~repeated]
        if len(fresh):
            self._young.append((high[fresh], low[fresh]))
            self._tidy()
        return sorted(int(at) for at in ordered[repeated])

    def _hashes(self, batch: pa.RecordBatch) -> tuple[Any, Any, Any]:
        """Both halves of each row's hash, and which rows have a whole key."""
        wanted = [batch.column(batch.schema.get_field_index(name)) for name in self.columns]
        names = [f"k{at}" for at in range(len(wanted))]
        given = pa.RecordBatch.from_arrays(wanted, names)
        # A list of texts, of which each says where it ends.
        texts = ", ".join(f"CAST({quoted(one)} AS VARCHAR)" for one in names)
        text = f"CAST(to_json([{texts}]) AS VARCHAR)"
        if len(names) == 1:
            text = f"CAST({quoted(names[0])} AS VARCHAR)"
        known = " AND ".join(f"{quoted(one)} IS NOT NULL" for one in names)
        found = run(
            given,
            f"SELECT md5_number_upper({text}) AS high, md5_number_lower({text}) AS low, "
            f"{known} AS known FROM given",
        )
        high, low, known_ = (column.combine_chunks().to_numpy(False) for column in found.columns)
        return high, low, known_

    def _tidy(self) -> None:
        """Brings runs of memory together, and what becomes large into a file."""
        if len(self._young) < 8:
            return
        high = np.concatenate([one[0] for one in self._young])
        low = np.concatenate([one[1] for one in self._young])
        order = np.lexsort((low, high))
        high, low = high[order], low[order]
        self._young = [(high, low)]
        if len(high) >= RUN_ENTRIES:
            self._young = []
            self._old.append(self._filed(high, low))

    def _filed(self, high: Any, low: Any) -> tuple[Any, Any]:
        paths = [self._folder / f"keys-{len(self._old)}-{half}.npy" for half in ("high", "low")]
        for path, values in zip(paths, (high, low), strict=True):
            np.save(path, values)
        return np.load(paths[0], mmap_mode="r"), np.load(paths[1], mmap_mode="r")


def _is_in(high: Any, low: Any, known: tuple[Any, Any]) -> Any:
    """Which hashes a run has. Entries of one upper half are next to each other."""
    at = np.searchsorted(known[0], high)
    found = np.zeros(len(high), bool)
    while True:
        inside = at < len(known[0])
        place = np.where(inside, at, 0)
        same = inside & (known[0][place] == high)
        found |= same & (known[1][place] == low)
        at = at + 1
        if not (same & ~found).any():
            return found
