"""The loop of a worker's process: take a job, do it, write its end, take the next one."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from flight_server.auth import JobToken, sign_job_token
from flight_server.client import Client, connect
from flight_server.errors import (
    Cancelled,
    ErrorCode,
    InvalidRequest,
    PixelflightError,
    Unavailable,
)
from flight_server.jobs import Job, JobError, JobType, Lease, LeaseLost, Leases, recover
from flight_server.metastore import Metastore
from flight_server.settings import Settings
from flight_server.worker.attempts import Attempt
from flight_server.worker.keeping import Keeper
from flight_server.worker.runners import runner_of

# How long a token works, and when it is made anew.
TOKEN_SECONDS, TOKEN_SECONDS_LEFT = 300.0, 120.0
# How often somebody who waits looks for a job by himself: most come with a call.
POLL_SECONDS = 0.5
RESULT_BYTES_MAX = 2**20
_AGAIN_SECONDS = 0.5

log = logging.getLogger(__name__)


class Worker:
    """Does jobs until it is told to stop, or has had nothing to do for `idle_seconds`."""

    def __init__(
        self,
        settings: Settings,
        metastore: Metastore,
        secret: bytes,
        connection: Mapping[str, Any],
        name: str,
        idle_seconds: float | None = None,
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        self._settings = settings
        self._metastore = metastore
        self._secret = secret
        self._connection = connection
        self._idle_seconds = idle_seconds
        self._leases = Leases(metastore, name, settings.job_lease_seconds)
        self._keeper = Keeper(self._leases, settings, leave)
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._recovered_at = 0.0
        self._kept: tuple[_Renewed, Client] | None = None

    def wake(self) -> None:
        """There may be a job."""
        self._woken.set()

    def stop(self) -> None:
        """Takes no more jobs. One that runs has the grace to be done, then it is given back."""
        self._stopping.set()
        self._woken.set()
        until = time.monotonic() + self._settings.job_grace_seconds
        while (attempt := self._keeper.attempt) is not None and time.monotonic() < until:
            time.sleep(0.05)
        if attempt is not None:
            self._keeper.end_by_force(attempt)

    def abandon(self) -> None:
        """The server is gone, and nothing can be done without it: gives the job back, ends."""
        attempt = self._keeper.attempt
        if attempt is not None:
            self._keeper.end_by_force(attempt)

    def run(self) -> None:
        """Does jobs."""
        idle_since = time.monotonic()
        while not self._stopping.is_set():
            self._woken.clear()
            lease = self._claimed()
            if lease is not None:
                while lease is not None:
                    lease = self._do(lease)
                idle_since = time.monotonic()
            elif self._is_idle(time.monotonic() - idle_since):
                break
            else:
                self._woken.wait(POLL_SECONDS)
        self._keeper.close()
        self._disconnect()

    def _is_idle(self, seconds: float) -> bool:
        return self._idle_seconds is not None and seconds > self._idle_seconds

    def _claimed(self) -> Lease | None:
        try:
            if time.monotonic() - self._recovered_at > self._settings.job_lease_seconds / 3:
                recover(self._metastore)
                self._recovered_at = time.monotonic()
            return self._leases.claim()
        except Unavailable as error:
            log.warning("no job could be taken: %s", error.message)
            return None

    def _do(self, lease: Lease) -> Lease | None:
        """Does a job; the next one, where that was taken as this one was ended."""
        attempt = Attempt(lease, self._leases, lambda: self._connected(lease.job), self._settings)
        self._keeper.hold(attempt)
        try:
            if self._stopping.is_set():
                self._leases.release(lease)
                return None
            end = self._run(attempt)
            return self._until_written(attempt, end)
        except LeaseLost:
            log.warning("what became of the job %s was not written: it is another's", attempt.id)
        finally:
            self._keeper.drop()
            attempt.close()
            if lease.job.spec.job_type is JobType.CUSTOM or attempt.has_failed:
                # What others, or an error, have left in it is nothing for the next job.
                self._disconnect()
        return None

    def _run(self, attempt: Attempt) -> Callable[[], tuple[Job, Lease | None]]:
        """Runs the job; gives what writes how it ended. LeaseLost."""
        lease, leases = attempt.lease, self._leases
        try:
            result = dict(runner_of(lease.job.spec.job_type)(attempt))
            _check_size(result)
        except LeaseLost:
            attempt.has_failed = True
            raise
        except Exception as error:
            attempt.has_failed = True
            told = _told(attempt, error)
            _, lines = attempt.take()
            if isinstance(attempt.cause, Cancelled):
                return lambda: (leases.cancelled(lease, lines), None)
            return lambda: (leases.fail(lease, told, lines), None)
        progress, lines = attempt.take()
        return lambda: leases.complete_and_claim(
            lease, result, progress, lines, claims=not self._stopping.is_set()
        )

    def _until_written(
        self, attempt: Attempt, end: Callable[[], tuple[Job, Lease | None]]
    ) -> Lease | None:
        """Writes the end as soon as the metastore lets it. LeaseLost."""
        attempt.is_ending = True
        while True:
            try:
                return end()[1]
            except Unavailable as error:
                log.warning("the end of the job %s waits: %s", attempt.id, error.message)
            time.sleep(_AGAIN_SECONDS)

    def _connected(self, job: Job) -> Client:
        """The server, as whoever the job is of; small jobs of one owner share a connection."""
        if self._kept is not None:
            token, client = self._kept
            if token.turned_to(job):
                return client
            self._disconnect()
        token = _Renewed(self._secret, job)
        client = connect(key=token, **self._connection)
        self._kept = token, client
        return client

    def _disconnect(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[1].close()


class _Renewed:
    """The token of a job, made anew before it expires."""

    def __init__(self, secret: bytes, job: Job) -> None:
        self._secret = secret
        self._job = job
        self._text, self._expires_at = "", 0.0

    def turned_to(self, job: Job) -> bool:
        """Makes it the token of another job, which has to be of the same owner."""
        if job.owner != self._job.owner:
            return False
        self._job, self._expires_at = job, 0.0
        return True

    def __call__(self) -> str:
        if self._expires_at - time.time() < TOKEN_SECONDS_LEFT:
            self._expires_at = time.time() + TOKEN_SECONDS
            owner = self._job.owner
            token = JobToken(owner.principal_id, owner.scopes, self._job.id, self._expires_at)
            self._text = sign_job_token(self._secret, token)
        return self._text


def _check_size(result: Mapping[str, Any]) -> None:
    """InvalidRequest where the result cannot be kept."""
    try:
        length = len(json.dumps(result))
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"The result of the job is not JSON: {error}.") from None
    if length > RESULT_BYTES_MAX:
        raise InvalidRequest(
            f"The result of the job has {length} bytes, and {RESULT_BYTES_MAX} are kept: put what "
            "is large into a table.",
            code=ErrorCode.TOO_LARGE,
        )


def _told(attempt: Attempt, error: Exception) -> JobError:
    """What the job's owner is told of an error; of a bug only where it can be looked for."""
    if isinstance(attempt.cause, PixelflightError):
        error = attempt.cause
    if isinstance(error, PixelflightError):
        attempt.log(error.message, "error")
        return JobError.of(error)
    where = f"{attempt.id}/{attempt.attempt}"
    log.error("the job %s failed", where, exc_info=error)
    attempt.log(f"internal error (id={where})", "error")
    return JobError(ErrorCode.INTERNAL.text, f"internal error (id={where})")
