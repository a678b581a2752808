"""One attempt at a job, as its runner sees it and as its keeper does."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flight_server.client import Client
from flight_server.errors import PixelflightError
from flight_server.jobs import Lease, LeaseLost, Leases, LogLine, Progress
from flight_server.settings import Settings
from flight_server.worker.folders import folder_of

# What a job may write into its log.
LINES_MAX = 10_000
LINE_LENGTH_MAX = 2_000
# An estimate of what is left is made once so much of the time has shown how fast it goes.
ESTIMATE_SECONDS_MIN = 0.5


class Attempt:
    """A `JobRun`. What it tells is kept until the keeper of the lease takes it along."""

    def __init__(
        self, lease: Lease, leases: Leases, connect: Callable[[], Client], settings: Settings
    ) -> None:
        self.lease = lease
        # From here on the lease may be gone because its job is done.
        self.is_ending = False
        self.has_failed = False
        self._leases = leases
        self._connect = connect
        self._settings = settings
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._folder: Path | None = None
        self._cause: PixelflightError | LeaseLost | None = None
        self._stopped_at = 0.0
        self._is_told = False
        self._lines: list[LogLine] = []
        self._count = 0
        self._progress = lease.job.progress
        self._pace = Pace()

    @property
    def id(self) -> str:
        """The job's id."""
        return self.lease.job.id

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the job was submitted with."""
        return self.lease.job.spec.parameters

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self.lease.attempt

    @property
    def checkpoint(self) -> Mapping[str, Any]:
        """What the last attempt has saved."""
        return self.lease.job.checkpoint

    @property
    def settings(self) -> Settings:
        """The server's settings."""
        return self._settings

    @property
    def folder(self) -> Path:
        """A folder of this attempt's own; made when it is first asked for."""
        with self._lock:
            if self._folder is None:
                self._folder = folder_of(self._settings, self.lease)
            return self._folder

    @property
    def client(self) -> Client:
        """The server, as the job's owner; connected when it is first asked for.

        Whoever connected it closes it.
        """
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def progress(
        self,
        *,
        rows: int | None = None,
        bytes: int | None = None,
        rows_total: int | None = None,
        bytes_total: int | None = None,
    ) -> None:
        """How far it is."""
        given: dict[str, Any] = {
            "rows": rows,
            "bytes": bytes,
            "rows_total": rows_total,
            "bytes_total": bytes_total,
        }
        known = {name: value for name, value in given.items() if value is not None}
        with self._lock:
            now = replace(self._progress, **known)
            self._progress = replace(now, done_by=self._pace.done_by(now.fraction))
            self._is_told = True

    def log(self, text: str, level: str = "info") -> None:
        """Adds a line; of very many the last ones are left out, and that is said."""
        if level not in ("info", "warning", "error"):
            raise ValueError(f"'{level}' is none of info, warning, error")
        with self._lock:
            self._count += 1
            if self._count > LINES_MAX:
                return
            if self._count == LINES_MAX:
                level, text = "warning", f"after {LINES_MAX} lines, no more are kept"
            line = LogLine(dt.datetime.now(dt.UTC), level, text[:LINE_LENGTH_MAX], self.attempt)
            self._lines.append(line)
            self._is_told = True

    def save(self, checkpoint: Mapping[str, Any]) -> None:
        """Keeps where the next attempt is to go on."""
        self.check()
        try:
            self._leases.save(self.lease, checkpoint)
        except LeaseLost as error:
            self.stop(error)
            raise

    def check(self) -> None:
        """Raises what the job has to stop for."""
        if self._cause is not None:
            raise self._cause

    # For the keeper of its lease

    @property
    def cause(self) -> PixelflightError | LeaseLost | None:
        """Why it has to stop, once it has to."""
        return self._cause

    @property
    def seconds_stopping(self) -> float:
        """For how long it should have stopped by now."""
        return 0.0 if self._cause is None else time.monotonic() - self._stopped_at

    @property
    def is_told(self) -> bool:
        """Whether there is something that nobody has written down yet."""
        return self._is_told

    def stop(self, cause: PixelflightError | LeaseLost) -> None:
        """From here on `check` raises the cause; the first one counts."""
        with self._lock:
            if self._cause is None:
                self._stopped_at = time.monotonic()
                self._cause = cause

    def take(self) -> tuple[Progress, list[LogLine]]:
        """How far it is, and the lines since the last time."""
        with self._lock:
            lines, self._lines, self._is_told = self._lines, [], False
            return self._progress, lines

    def close(self) -> None:
        """Lets go of what it has used."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)


class Pace:
    """How fast something goes, to tell when it will be done."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._first: tuple[float, float] | None = None

    def done_by(self, fraction: float | None) -> dt.datetime | None:
        """When all will be done, at the pace since the first time; None while nobody can tell.

        A job that goes on where another attempt ended is not taken for a fast one: what counts is
        what was done since.
        """
        if fraction is None:
            return None
        moment = self._now()
        if self._first is None:
            self._first = (moment, fraction)
            return None
        seconds, done = moment - self._first[0], fraction - self._first[1]
        if seconds < ESTIMATE_SECONDS_MIN or done <= 0:
            return None
        left = seconds * (1 - fraction) / done
        # Longer than anybody waits is as good as unknown, and may be beyond the calendar.
        return None if left > 10**8 else dt.datetime.now(dt.UTC) + dt.timedelta(seconds=left)
