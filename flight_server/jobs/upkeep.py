"""What is done about jobs by the clock: those that are old are forgotten, those due are begun."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import time
from collections.abc import Callable, Sequence

from sqlalchemy import delete, select

from flight_server.jobs.schedules import ScheduleStore
from flight_server.jobs.store import Rate
from flight_server.metastore import Metastore
from flight_server.metastore.tables import job_events, job_logs, jobs
from flight_server.settings import Settings

# How often old jobs are looked for, and how many are forgotten in one transaction.
ROUND_SECONDS = 600.0
FORGOTTEN_MAX = 500


class Upkeep:
    """Steps that the server's thread for jobs makes now and then."""

    def __init__(
        self, settings: Settings, metastore: Metastore, rates: Callable[[str], Sequence[Rate]]
    ) -> None:
        self._settings = settings
        self._metastore = metastore
        self._rates = rates
        self._schedules = ScheduleStore(metastore)
        self._forgot_at = -ROUND_SECONDS

    def is_needed(self) -> bool:
        """Whether there is anything to do by the clock."""
        with self._metastore.read() as connection:
            has_jobs = connection.execute(select(jobs.c.number).limit(1)).first() is not None
        return has_jobs or self._schedules.next_at() is not None

    def step(self) -> float:
        """Does what is due; in how many seconds something is again."""
        self._schedules.fire(self._rates)
        if time.monotonic() - self._forgot_at >= ROUND_SECONDS:
            while self._settings.job_seconds_max and self._forget_some():
                pass
            remove_results(self._settings)
            self._forgot_at = time.monotonic()
        next_at = self._schedules.next_at()
        if next_at is None:
            return ROUND_SECONDS
        return max(0.0, (next_at - dt.datetime.now(dt.UTC)).total_seconds())

    def _forget_some(self) -> bool:
        """Removes some of the jobs that ended too long ago; whether there may be more."""
        before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=self._settings.job_seconds_max)
        old = select(jobs.c.id).where(jobs.c.completed_at < before).limit(FORGOTTEN_MAX)
        with self._metastore.begin() as connection:
            ids = list(connection.scalars(old))
            for table in (job_logs, job_events):
                connection.execute(delete(table).where(table.c.job_id.in_(ids)))
            connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))
        return len(ids) == FORGOTTEN_MAX


def remove_results(settings: Settings) -> None:
    """Removes what exports have written to be fetched, once it has been kept long enough."""
    before = time.time() - settings.export_seconds_max
    for manifest in (settings.data / "exports").glob("*/manifest.json"):
        with contextlib.suppress(FileNotFoundError):
            if manifest.stat().st_mtime < before:
                shutil.rmtree(manifest.parent, ignore_errors=True)
