"""Pixeltable as its users serve it: its own router of FastAPI, over HTTP."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.install import executable
from bench.processes import python, serving
from bench.timing import Lap


class Pixeltable:
    """A client that reads the whole table as JSON over a connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def read(self) -> Lap:
        """The whole table; its rows are counted after the clock has stopped."""
        began = time.perf_counter()
        self._connection.request("GET", "/rows")
        body = self._connection.getresponse().read()
        seconds = time.perf_counter() - began
        return Lap(seconds, len(json.loads(body)["rows"]))

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


@contextmanager
def running_pixeltable(folder: Path, table: Path) -> Iterator[Pixeltable]:
    """A server with the table of an Arrow file, and a client of it."""
    interpreter = executable("pixeltable", "python")
    server = python("bench.peers.pixeltable_server", table, folder, executable=interpreter)
    with serving(server, folder / "pixeltable.log", r"ready (\d+)") as ready:
        client = Pixeltable(int(ready[1]))
        try:
            yield client
        finally:
            client.close()
