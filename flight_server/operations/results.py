"""So much memory for answers that may be asked for again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import pyarrow as pa

Key = tuple[Any, ...]


class Results:
    """So many bytes of answers, of which the oldest go first."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._lock = threading.Lock()
        self._tables: OrderedDict[Key, pa.Table] = OrderedDict()
        self._bytes = 0

    def find(self, key: Key) -> pa.Table | None:
        """The answer, if it is kept."""
        with self._lock:
            found = self._tables.get(key)
            if found is not None:
                self._tables.move_to_end(key)
            return found

    def keep(self, key: Key, table: pa.Table) -> None:
        """Keeps an answer, and forgets those that there is no room for then."""
        with self._lock:
            if key in self._tables:
                return
            self._tables[key] = table
            self._bytes += table.nbytes
            while self._bytes > self.bytes_max:
                _, oldest = self._tables.popitem(last=False)
                self._bytes -= oldest.nbytes

    @property
    def bytes_each_max(self) -> int:
        """How large an answer may be that is kept."""
        return self.bytes_max // 8
