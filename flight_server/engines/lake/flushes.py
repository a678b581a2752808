"""New files on their way to the disk.

DuckLake flushes its catalog and not its Parquet files: without this, a power cut after the commit
leaves a catalog that names empty files.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# File systems stamp files with a coarse clock: look a little further back.
CLOCK_SLACK_SECONDS = 2.0
# How often files that grow are flushed while they do, and for how much of the time at most: in a
# lake of thousands of folders it takes long to find them.
AHEAD_SECONDS = 0.2
AHEAD_SHARE = 0.2


class Flusher:
    """Flushes what is new below a folder, each file once.

    What it has flushed it remembers by time and size for as long as the file counts as new, so
    that commits close to each other do not flush each other's files again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._flushed: dict[str, tuple[int, int]] = {}
        # The kernel tells of a failed flush once: whoever asks again would take it for done.
        self._failed: dict[str, OSError] = {}

    @contextmanager
    def ahead(self, moment: float) -> Iterator[None]:
        """Flushes while the block runs, so that little is left for `flush_since` after it.

        Which also tells of what failed meanwhile.
        """
        ended = threading.Event()

        def run() -> None:
            pause = AHEAD_SECONDS
            with suppress(OSError):
                while not ended.wait(pause):
                    began = time.monotonic()
                    self.flush_since(moment)
                    pause = max(AHEAD_SECONDS, (time.monotonic() - began) / AHEAD_SHARE)

        thread = threading.Thread(target=run, name="flush", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def flush_since(self, moment: float) -> None:
        """Brings files that appeared after `moment` (epoch seconds), and their folders, to disk.

        Only folders whose own time is new are searched: a new file changes the time of its folder.
        """
        since = moment - CLOCK_SLACK_SECONDS
        found: dict[str, tuple[int, int]] = {}
        for path, _, names in os.walk(self._folder):
            if _time(path) < since:
                continue
            for name in names:
                self._flush_file(os.path.join(path, name), since, found)
            # After its files: their names are in it by now.
            self._flush_new(path)
        self._flushed = found

    def _flush_file(self, path: str, since: float, found: dict[str, tuple[int, int]]) -> None:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            # It was another transaction's, or has been tidied away.
            return
        if status.st_mtime < since:
            return
        # A file that is still being written grows, and so is flushed again.
        stamp = (status.st_mtime_ns, status.st_size)
        if self._flushed.get(path) != stamp:
            self._flush_new(path)
        found[path] = stamp

    def _flush_new(self, path: str) -> None:
        """OSError, also for what somebody failed to flush before: only a restart mends a disk."""
        if path in self._failed:
            raise self._failed[path]
        try:
            _flush_if_there(path)
        except OSError as error:
            self._failed[path] = error
            raise


def flush(path: str) -> None:
    """Brings what was written to a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_if_there(path: str) -> None:
    try:
        flush(path)
    except FileNotFoundError:
        return


def _time(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0
