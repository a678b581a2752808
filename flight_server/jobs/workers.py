"""The server's own workers: started with the first job, watched, started again when they die.

A server that has no job pays nothing: no process, no thread. A worker gets its settings by its
standard input, which then stays open: a byte says that there may be a job, or that it is to stop,
and its end that the server is gone, whose work the worker then has no one to do with.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from flight_server.errors import PixelflightError
from flight_server.jobs.leases import count_waiting, is_waited_for, recover
from flight_server.jobs.store import Rate
from flight_server.jobs.upkeep import Upkeep
from flight_server.metastore import Metastore
from flight_server.processes import environment
from flight_server.settings import Settings

WAKE, STOP = b"w", b"s"
# How often it is looked whether workers live and jobs wait, and how soon one that died is followed.
STEP_SECONDS = 0.5
REST_SECONDS = 30.0
AFTER_DEATH_SECONDS = 1.0
# What a worker gets beyond the grace of its job, to write down how it ended.
ENDING_SECONDS = 3.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Child:
    """A worker's process; `name` is under what it holds jobs."""

    name: str
    process: subprocess.Popen[bytes]

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def tell(self, what: bytes) -> None:
        """Sends it a byte; one that does not read has enough of them waiting."""
        assert self.process.stdin is not None, "it was opened with a pipe"
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self.process.stdin.fileno(), what)


class Workers:
    """Sees to it that jobs are done. Its methods may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        metastore: Metastore,
        rates: Callable[[str], Sequence[Rate]] = lambda workspace: (),
    ) -> None:
        self._settings = settings
        self._metastore = metastore
        self._upkeep = Upkeep(settings, metastore, rates)
        self._url: Callable[[], str] | None = None
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._children: list[Child] = []
        self._not_before = 0.0

    def open(self, url: Callable[[], str]) -> None:
        """The server answers at a URL: what an earlier one has left behind goes on."""
        self._url = url
        if is_waited_for(self._metastore) or self._upkeep.is_needed():
            self.wake()

    def wake(self) -> None:
        """There may be a job, or a schedule."""
        with self._lock:
            if self._thread is None and self._url is not None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="workers", daemon=True)
                self._thread.start()
        self._woken.set()

    @property
    def processes(self) -> list[int]:
        """The ids of the processes that run."""
        return [child.process.pid for child in list(self._children) if child.is_alive]

    def close(self) -> None:
        """Stops the workers: each may end its job within the grace, or gives it back."""
        with self._lock:
            self._is_closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._is_closed:
            self._woken.clear()
            try:
                seconds = self._step()
            except PixelflightError as error:
                log.warning("jobs have to wait: %s", error.message)
                seconds = STEP_SECONDS
            except Exception:
                log.exception("jobs have to wait")
                seconds = REST_SECONDS
            self._rest(seconds)
        self._stop_all()

    def _rest(self, seconds: float) -> None:
        """Waits for the next step: so long, or less once there is a job.

        Many jobs may come in a second. The workers are told of each at once, and all else that a
        step sees to is looked at twice a second.
        """
        soonest = time.monotonic() + STEP_SECONDS
        until = time.monotonic() + seconds
        while self._woken.wait(max(0.0, until - time.monotonic())):
            self._woken.clear()
            alive = [child for child in self._children if child.is_alive]
            for child in alive:
                child.tell(WAKE)
            if self._is_closed or not alive or time.monotonic() >= soonest:
                return
            until = min(until, soonest)

    def _step(self) -> float:
        """Looks at everything once; gives how long it can wait until the next time."""
        self._bury()
        soonest = self._upkeep.step()
        recover(self._metastore)
        waiting = count_waiting(self._metastore, self._settings.job_workers, _now())
        if waiting and not self._is_closed:
            self._start_some(waiting)
            for child in self._children:
                child.tell(WAKE)
        if is_waited_for(self._metastore):
            return STEP_SECONDS
        return max(0.0, min(REST_SECONDS, soonest))

    def _bury(self) -> None:
        """Gives up the leases of workers that have died."""
        dead = [child for child in self._children if not child.is_alive]
        for child in dead:
            self._children.remove(child)
            assert child.process.stdin is not None, "it was opened with a pipe"
            child.process.stdin.close()
            if child.process.returncode != 0:
                log.warning("a worker has ended with %s", child.process.returncode)
                self._not_before = time.monotonic() + AFTER_DEATH_SECONDS
        if dead:
            recover(self._metastore, [child.name for child in dead])

    def _start_some(self, waiting: int) -> None:
        """Starts as many workers as there is work for, within the settings."""
        wanted = min(self._settings.job_workers, waiting)
        if time.monotonic() < self._not_before:
            return
        while len(self._children) < wanted:
            self._children.append(self._started())

    def _started(self) -> Child:
        assert self._url is not None, "the door is open"
        name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        process = subprocess.Popen(
            [sys.executable, "-m", "flight_server.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            bufsize=0,
            env=environment(),
            # A Ctrl-C is for the server, which then stops its workers.
            process_group=0,
        )
        assert process.stdin is not None, "it was opened with a pipe"
        given = {"settings": plain(self._settings), "url": self._url(), "name": name}
        process.stdin.write(json.dumps(given).encode() + b"\n")
        os.set_blocking(process.stdin.fileno(), False)
        log.info("a worker for jobs has been started: process %d", process.pid)
        return Child(name, process)

    def _stop_all(self) -> None:
        for child in self._children:
            child.tell(STOP)
        until = time.monotonic() + self._settings.job_grace_seconds + ENDING_SECONDS
        for child in self._children:
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self._bury()


def plain(settings: Settings) -> dict[str, Any]:
    """All values that differ from the defaults, as JSON has them; secrets in the clear."""
    values = settings.model_dump(exclude_defaults=True)
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
