"""Quack, DuckDB's own remote protocol: a server and a client, each in a process of its own.

Both run in Quack's venv, so the halves that run there import nothing of the rest.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.install import executable
from bench.processes import Conversation, python, serving
from bench.timing import Lap


class Quack:
    """A client whose laps are timed where they run."""

    def __init__(self, client: Conversation) -> None:
        self._client = client

    def scan(self) -> Lap:
        """The whole table, as an Arrow table."""
        return Lap(**self._client.ask(do="scan"))

    def insert(self) -> Lap:
        """The same table from Arrow into a new table of the server."""
        return Lap(**self._client.ask(do="insert"))


@contextmanager
def running_quack(folder: Path, table: Path) -> Iterator[Quack]:
    """A server with the table of an Arrow file in a database on disk, and a client of it."""
    interpreter = executable("quack", "python")
    uri = f"quack:127.0.0.1:{_free_port()}"
    server = python("bench.peers.quack_server", uri, table, folder, executable=interpreter)
    with serving(server, folder / "quack.log", r"ready"):
        client = Conversation(
            python("bench.peers.quack_client", uri, table, executable=interpreter)
        )
        try:
            yield Quack(client)
        finally:
            client.end()


def _free_port() -> int:
    """A port that was free a moment ago: Quack cannot be asked which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
