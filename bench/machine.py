"""The machine that is measured on, and how much memory a process takes."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import psutil

SAMPLE_SECONDS = 0.01


def described() -> dict[str, str]:
    """Cores, memory and versions."""
    libraries = {name: version(name) for name in ("pyarrow", "duckdb", "duckdb-extension-ducklake")}
    return {
        "cores": str(psutil.cpu_count()),
        "load": f"{psutil.getloadavg()[0]:.1f} before the first question",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    } | libraries


class MemoryWatch:
    """The resident memory of a process: its greatest while it is watched, in bytes."""

    def __init__(self, process: int) -> None:
        self._process = psutil.Process(process)
        self.peak = self.now()

    def now(self) -> int:
        """What it takes at this moment."""
        return int(self._process.memory_info().rss)

    def sample(self, ended: threading.Event) -> None:
        """Looks again and again until it has ended."""
        while not ended.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, self.now())


@contextmanager
def watched(process: int) -> Iterator[MemoryWatch]:
    """Watches a process while the block runs."""
    watch, ended = MemoryWatch(process), threading.Event()
    thread = threading.Thread(target=watch.sample, args=(ended,), name="memory-watch")
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
