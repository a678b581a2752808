"""A real server for tests: in a process of its own, or, for speed, in this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flight_server.assemble import assemble
from flight_server.auth import ensure_admin_key
from flight_server.operations import Services
from flight_server.settings import PREFIX, Settings
from flight_server.wire import FlightDoor

# Nobody waits for an answer while a test waits for a job.
SETTINGS = {"job_niceness": 0}
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60


@dataclass(frozen=True)
class RunningServer:
    """Where a server answers, the administrator's key, and the folder of its data."""

    url: str
    key: str
    data: Path


@dataclass(frozen=True)
class ServerProcess(RunningServer):
    """A server in a process of its own. `http` is where HTTP answers."""

    http: str
    process: subprocess.Popen[str]

    def terminate(self) -> None:
        """Asks it to stop, as an operator does."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it on the spot and waits until it is gone."""
        self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        """Waits for its end: the exit code."""
        return self.process.wait(STOP_SECONDS_MAX)


@dataclass(frozen=True)
class LocalServer(RunningServer):
    """A server in this process, with its services and its door within reach."""

    services: Services
    door: FlightDoor


@contextmanager
def running_server(data: Path | None = None, **settings: Any) -> Iterator[ServerProcess]:
    """`pixelflight serve` on free ports while the block runs.

    Settings go by their names; those of `SETTINGS` are not what servers have by default. The
    folder of the data is a temporary one unless it is given; a second server on the same folder
    goes on where the first one ended.
    """
    with ExitStack() as closing:
        folder = data or Path(closing.enter_context(tempfile.TemporaryDirectory()))
        process = _started(folder, SETTINGS | settings)
        closing.callback(_end, process)
        flight, http = _ready(process)
        key = (folder / "admin.key").read_text("utf-8").strip()
        yield ServerProcess(flight, key, folder, http, process)


@contextmanager
def local_server(data: Path | None = None, **settings: Any) -> Iterator[LocalServer]:
    """The same in this process, without HTTP."""
    with ExitStack() as closing:
        folder = data or Path(closing.enter_context(tempfile.TemporaryDirectory()))
        own = {"data": folder, "flight": "127.0.0.1:0", **SETTINGS}
        services = assemble(Settings(**own | settings))
        closing.callback(services.close)
        ensure_admin_key(services.keys, folder)
        door = FlightDoor(services).start()
        closing.callback(door.stop, 0)
        closing.callback(services.workers.close)
        services.workers.open(door.local_url)
        key = (folder / "admin.key").read_text("utf-8").strip()
        yield LocalServer(door.url, key, folder, services, door)


def _started(data: Path, settings: dict[str, Any]) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "flight_server", "serve", "--data", str(data)]
    addresses = ["--flight", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    return subprocess.Popen(
        [*command, *addresses], stdout=subprocess.PIPE, text=True, env=kept | given
    )


def _ready(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Where it answers, from the one line it prints."""
    assert process.stdout is not None, "it was opened with a pipe"
    watchdog = threading.Timer(START_SECONDS_MAX, process.kill)
    watchdog.start()
    line = process.stdout.readline()
    watchdog.cancel()
    words = dict(word.partition("=")[::2] for word in line.split()[1:])
    if not line.startswith("ready "):
        raise RuntimeError(f"the server did not start; it printed {line!r}, and its log says why")
    return words["flight"], words["http"]


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
