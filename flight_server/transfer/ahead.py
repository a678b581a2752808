"""Batches fetched by a thread while the last ones are still being written."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

import pyarrow as pa

BATCHES_MAX = 4
LOOK_SECONDS = 0.2


class Rows(Protocol):
    """Batches that somebody sends."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The batches as they come."""

    def close(self) -> None:
        """Ends the transfer, from any thread."""


def ahead(open_rows: Callable[[], Rows], check: Callable[[], None]) -> Iterator[pa.RecordBatch]:
    """The batches of what is opened; a few are fetched before they are asked for.

    `check` is asked with each of them, and a few times a second while none comes; what it raises
    ends the transfer.
    """
    fetching = _Fetching(open_rows)
    try:
        while True:
            try:
                item = fetching.found.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                check()
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            check()
            yield item
    finally:
        fetching.stop()


class _Fetching:
    """The thread, and what it has found."""

    def __init__(self, open_rows: Callable[[], Rows]) -> None:
        self.found: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(BATCHES_MAX)
        self._open = open_rows
        self._rows: Rows | None = None
        self._is_left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pixelflight-ahead", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the transfer. A thread that waits for its beginning ends with the connection."""
        self._is_left.set()
        rows = self._rows
        if rows is None:
            return
        rows.close()
        while self._thread.is_alive():
            while not self.found.empty():
                self.found.get_nowait()
            self._thread.join(0.01)

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            self._rows = self._open()
            if self._is_left.is_set():
                self._rows.close()
                return
            for batch in self._rows.batches():
                if self._is_left.is_set():
                    return
                self.found.put(batch)
        except BaseException as error:
            end = error
        self.found.put(end)
