"""Scans that come again: their answers stay in memory while their table stays as it is.

What a scan of one version answers never changes, so it is right for as long as no commit touches
the table. Only scans of whole tables are kept, in the batches that go out, and only from their
second coming on: what is read once leaves no trace. Decoding Parquet is most of a scan's work, so
one that is hot runs nearly as fast as the wire.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from flight_server.engines.lake.catalog import data_files, is_touched, table_id
from flight_server.engines.lake.instance import Instance
from flight_server.model import ScanRequest, TableVersion

# Of these many different scans it is known that they came before.
SEEN_MAX = 4096
Key = tuple[int, bytes]


@dataclass
class _Answer:
    """The batches of a scan, right from one snapshot until another."""

    batches: list[pa.RecordBatch]
    bytes: int
    since: int
    until: int


class HotScans:
    """Answers of at most `bytes_max` together; one may take half of that."""

    def __init__(self, instance: Instance, bytes_max: int) -> None:
        self._instance = instance
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._answers: OrderedDict[Key, _Answer] = OrderedDict()
        self._seen: OrderedDict[Key, None] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """What is held now."""
        return self._bytes

    def key(self, found: TableVersion, request: ScanRequest, schema: pa.Schema) -> Key | None:
        """What the scan's answer is kept under; None for one that is never kept."""
        windowed = request.limit is not None or request.offset or request.order_by is not None
        if not self._bytes_max or windowed or request.filter or request.slice is not None:
            return None
        number = table_id(self._instance, found.table, found.snapshot)
        return number, schema.serialize().to_pybytes()

    def find(self, key: Key, snapshot: int) -> list[pa.RecordBatch] | None:
        """The batches of the scan at a snapshot, if they are held."""
        with self._lock:
            answer = self._answers.get(key)
        if answer is None or snapshot < answer.since:
            return None
        if snapshot > answer.until:
            if is_touched(self._instance, key[0], answer.until, snapshot):
                return None
            answer.until = snapshot
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
        return answer.batches

    def keeping(
        self, key: Key, snapshot: int, width: int, batches: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """The batches as they come, kept on the way if it is worth it. `width`: bytes of a row."""
        if not self._is_wanted(key, snapshot, width):
            yield from batches
            return
        kept: list[pa.RecordBatch] = []
        size = 0
        for batch in batches:
            size += batch.nbytes
            if size <= self._bytes_max // 2:
                kept.append(batch)
            else:
                kept.clear()
            yield batch
        if size <= self._bytes_max // 2:
            self._put(key, _Answer(kept, size, snapshot, snapshot))

    def _is_wanted(self, key: Key, snapshot: int, width: int) -> bool:
        with self._lock:
            is_known = key in self._seen
            self._seen[key] = None
            self._seen.move_to_end(key)
            if len(self._seen) > SEEN_MAX:
                self._seen.popitem(last=False)
        if not is_known:
            return False
        rows = sum(file.rows for file in data_files(self._instance, key[0], snapshot))
        return rows * width <= self._bytes_max // 2

    def _put(self, key: Key, answer: _Answer) -> None:
        with self._lock:
            old = self._answers.pop(key, None)
            self._bytes += answer.bytes - (old.bytes if old is not None else 0)
            self._answers[key] = answer
            while self._bytes > self._bytes_max:
                _, dropped = self._answers.popitem(last=False)
                self._bytes -= dropped.bytes
