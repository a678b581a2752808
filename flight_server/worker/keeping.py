"""A lease kept while its job runs: renewed, watched for the wish to cancel, and for its time.

The keeper is a thread beside the job's. It tells the attempt to stop and, where that does not help
within the grace, writes the end of the job and ends the process: nothing else ends a thread that
does not listen, and what the process had asked of the server ends with it.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
import time
from collections.abc import Callable

from flight_server.errors import Cancelled, PixelflightError, TimedOut, Unavailable
from flight_server.jobs import JobError, LeaseLost, Leases
from flight_server.settings import Settings
from flight_server.worker.attempts import Attempt

# How often the job's owner is asked for, and how often at most what the job tells is written down.
STEP_SECONDS = 0.2
TELL_SECONDS = 1.0
# How often at most progress becomes an event.
EVENT_SECONDS = 5.0
ENDED_BY_FORCE = 3

log = logging.getLogger(__name__)


class Keeper:
    """Keeps the lease of the attempt that it holds. `leave` ends the process."""

    def __init__(
        self, leases: Leases, settings: Settings, leave: Callable[[int], None] = os._exit
    ) -> None:
        self._leases = leases
        self._settings = settings
        self._leave = leave
        self._changed = threading.Condition()
        self._attempt: Attempt | None = None
        self._is_closed = False
        self._renewed_at = self._event_at = 0.0
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    @property
    def attempt(self) -> Attempt | None:
        """What is held."""
        return self._attempt

    def hold(self, attempt: Attempt) -> None:
        """Keeps the attempt's lease from now on."""
        with self._changed:
            self._attempt = attempt
            self._renewed_at = self._event_at = time.monotonic()
            self._changed.notify()

    def drop(self) -> None:
        """Keeps nothing any more; a look that has begun has ended when this returns."""
        with self._changed:
            self._attempt = None

    def close(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._attempt, self._is_closed = None, True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._is_closed:
                # An attempt that is over within a step is not looked at.
                pause = None if self._attempt is None else STEP_SECONDS
                has_changed = self._changed.wait(pause)
                if not has_changed and self._attempt is not None:
                    self._look(self._attempt)

    def _look(self, attempt: Attempt) -> None:
        try:
            self._keep(attempt)
        except LeaseLost as error:
            if not attempt.is_ending:
                log.warning("the job %s is no longer this worker's", attempt.id)
            attempt.stop(error)
        except PixelflightError as error:
            if time.monotonic() - self._renewed_at > self._settings.job_lease_seconds:
                attempt.stop(LeaseLost())
            log.warning("the lease of the job %s was not renewed: %s", attempt.id, error.message)
        if attempt.seconds_stopping > self._settings.job_grace_seconds:
            self.end_by_force(attempt)

    def _keep(self, attempt: Attempt) -> None:
        """Renews the lease where it is time, and tells the attempt what there is to tell."""
        since = time.monotonic() - self._renewed_at
        is_due = since > self._settings.job_lease_seconds / 3
        if is_due or (attempt.is_told and since > TELL_SECONDS):
            is_wanted = self._renewed(attempt)
        else:
            is_wanted = not self._leases.is_to_stop(attempt.lease)
        if not is_wanted:
            attempt.stop(Cancelled("The job was cancelled."))
        deadline = attempt.lease.job.deadline_at
        if deadline is not None and dt.datetime.now(dt.UTC) > deadline:
            attempt.stop(timed_out(attempt))

    def _renewed(self, attempt: Attempt) -> bool:
        """Whether the job is wanted still, once its lease is renewed."""
        tells = attempt.is_told
        progress, lines = attempt.take()
        now = time.monotonic()
        has_event = tells and now - self._event_at > EVENT_SECONDS
        job = self._leases.renew(attempt.lease, progress, lines, has_event)
        self._renewed_at = now
        self._event_at = now if has_event else self._event_at
        return job.cancel_requested_at is None

    def end_by_force(self, attempt: Attempt) -> None:
        """Writes the end of a job that does not stop, and ends the process."""
        _, lines = attempt.take()
        try:
            match attempt.cause:
                case None:
                    self._leases.release(attempt.lease, lines)
                case LeaseLost():
                    pass
                case Cancelled():
                    self._leases.cancelled(attempt.lease, lines)
                case PixelflightError() as error:
                    self._leases.fail(attempt.lease, JobError.of(error), lines)
        except (LeaseLost, Unavailable) as error:
            log.warning("the job %s was left without a word: %s", attempt.id, error)
        log.warning("the job %s did not stop: its process ends", attempt.id)
        self._leave(ENDED_BY_FORCE)


def timed_out(attempt: Attempt) -> TimedOut:
    """What a job is told that does not end in time."""
    seconds = attempt.lease.job.spec.timeout_seconds
    return TimedOut(f"The job was not done within its {seconds} seconds.")
