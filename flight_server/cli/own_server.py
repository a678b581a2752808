"""A server of one's own for a while: another process, a folder that is handed in, free ports."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from flight_server.errors import Unavailable

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30


@dataclass(frozen=True)
class OwnServer:
    """Where it answers, and the administrator's key."""

    flight: str
    http: str
    key: str


@contextmanager
def own_server(
    data: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[OwnServer]:
    """A server on the folder that runs while the block does. Unavailable tells why it does not.

    It has this process's environment without our settings, and `environment`.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PIXELFLIGHT_")}
    kept |= environment
    arguments = ["--data", str(data), "--flight", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    with (
        (data.parent / f"{data.name}.log").open("w+") as log,
        subprocess.Popen(
            [sys.executable, "-m", "flight_server", "serve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=kept,
            text=True,
        ) as process,
    ):
        try:
            words = _ready_line(process)
            if not words:
                log.seek(0)
                raise Unavailable(f"The server did not start: {log.read()[-500:].strip()}")
            flight, http = (word.partition("=")[2] for word in words[1:3])
            yield OwnServer(flight, http, (data / "admin.key").read_text("utf-8").strip())
        finally:
            _end(process)


def _ready_line(process: subprocess.Popen[str]) -> list[str]:
    """The words of the line that says where it answers; none where it ended or hangs."""
    assert process.stdout is not None, "it was opened with a pipe"
    watchdog = threading.Timer(START_SECONDS_MAX, process.kill)
    watchdog.start()
    try:
        return process.stdout.readline().split()
    finally:
        watchdog.cancel()


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
