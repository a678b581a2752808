"""The server that is killed: a process of its own that comes back on the same port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY_SECONDS_MAX = 90
# Housekeeping runs all the time, so that kills come in the middle of it too.
RESTLESS = {
    "PIXELFLIGHT_HOUSEKEEPING_SECONDS": "0.3",
    "PIXELFLIGHT_TICKET_SECONDS": "1",
    "PIXELFLIGHT_REMOVAL_GRACE_SECONDS": "1",
    "PIXELFLIGHT_SMALL_FILE_BYTES": "200000",
}


class Victim:
    """`pixelflight serve` over one folder and one port, as often as it takes."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.address = f"127.0.0.1:{_free_port()}"
        self.url = f"grpc://{self.address}"
        self._process: subprocess.Popen[str] | None = None

    @property
    def key(self) -> str:
        return (self.data / "admin.key").read_text("utf-8").strip()

    def launch(self) -> None:
        """Starts the process and does not wait for it."""
        settled = {k: v for k, v in os.environ.items() if not k.startswith("PIXELFLIGHT_")}
        command = [sys.executable, "-m", "flight_server", "serve", "--data", str(self.data)]
        with (self.data / "server.log").open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [*command, "--flight", self.address, "--http", "127.0.0.1:0"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=settled | RESTLESS,
            )

    def await_ready(self) -> None:
        """Waits for the line that says that it answers."""
        assert self._process is not None
        assert self._process.stdout is not None
        bound = threading.Timer(READY_SECONDS_MAX, self._process.kill)
        bound.start()
        line = self._process.stdout.readline()
        bound.cancel()
        assert line.startswith(f"ready flight={self.url} "), f"{line!r}\n{self.log}"

    def start(self) -> None:
        self.launch()
        self.await_ready()

    def kill(self) -> None:
        """SIGKILL; it must have been alive until then."""
        assert self._process is not None
        assert self._process.poll() is None, f"the server died by itself\n{self.log}"
        self.end()

    def end(self) -> None:
        """Sees that nothing of it is left running."""
        if self._process is not None:
            with self._process as process:
                process.kill()

    @property
    def log(self) -> str:
        """The end of what the server wrote."""
        return (self.data / "server.log").read_text("utf-8")[-4000:]


@contextmanager
def victim(data: Path) -> Iterator[Victim]:
    """A server that runs when the block begins and does not when it has ended."""
    data.mkdir(parents=True, exist_ok=True)
    found = Victim(data)
    try:
        found.start()
        yield found
    finally:
        found.end()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
