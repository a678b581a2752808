"""A server in a process of its own, started and ended as its users do it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS_MAX = 40


@contextmanager
def served(data: Path, *options: str) -> Iterator[str]:
    """Serves the data folder on free ports while the block runs; gives the Flight URL."""
    with both_served(data, *options) as (flight, _):
        yield flight


@contextmanager
def both_served(data: Path, *options: str) -> Iterator[tuple[str, str]]:
    """Serves the data folder on free ports while the block runs; gives both doors' URLs.

    At the end the server gets SIGTERM and must exit with 0.
    """
    addresses = ("--flight", "127.0.0.1:0", "--http", "127.0.0.1:0")
    command = [sys.executable, "-m", "flight_server", "serve", "--data", str(data), *addresses]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PIXELFLIGHT_")}
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield _urls(process)
        process.terminate()
        assert process.wait(STOP_SECONDS_MAX) == 0
    finally:
        process.kill()
        process.communicate()


def _urls(process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    ready = re.fullmatch(r"ready flight=(\S+) http=(\S+)\n", line)
    assert ready is not None, f"the server did not say that it is ready, but {line!r}"
    return ready[1], ready[2]
