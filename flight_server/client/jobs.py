"""Work that outlasts a call: what the client does with jobs, and what jobs do with the client."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from flight_server.client.calls import Calls
from flight_server.errors import TimedOut

PAGE_MAX = 1_000


class JobCalls(Calls):
    """The client's methods for it."""

    def batch(self, batch: Mapping[str, Any], token: str | None = None) -> dict[str, Any]:
        """Operations on several tables, as `{"operations": […], "transaction": true}`.

        An error that ended them is a part of the answer. What is done under a `token` is done once.
        """
        answer: dict[str, Any] = self._act("batch", **batch, token=token)
        return answer

    def submit_job(
        self, job_type: str, parameters: Mapping[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        """Submits work that is done in the background; `more` are `priority` and the like."""
        answer: dict[str, Any] = self._act(
            "submit_job", job_type=job_type, parameters=dict(parameters or {}), **more
        )
        return answer

    def job(self, job_id: str) -> dict[str, Any]:
        """How a job stands, how far it is, what came of it."""
        answer: dict[str, Any] = self._act("get_job", job_id=job_id)
        return answer

    def jobs(self, limit: int = 100, **wanted: Any) -> list[dict[str, Any]]:
        """Jobs, the youngest first; `wanted` are `status`, `job_type` or `schedule_id`."""
        found: list[dict[str, Any]] = []
        cursor: int | None = None
        while len(found) < limit:
            most = min(limit - len(found), PAGE_MAX)
            page = self._act("list_jobs", limit=most, cursor=cursor, **wanted)
            found += page["jobs"]
            cursor = page["cursor"]
            if cursor is None:
                break
        return found

    def job_logs(self, job_id: str, after: int = 0) -> dict[str, Any]:
        """The lines that a job has written, and what to go on `after` to read the next ones."""
        answer: dict[str, Any] = self._act("job_logs", job_id=job_id, after=after)
        return answer

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        """Ends a job; one that runs stops within seconds."""
        answer: dict[str, Any] = self._act("cancel_job", job_id=job_id)
        return answer

    def retry_job(self, job_id: str) -> dict[str, Any]:
        """Lets a job that failed or was cancelled go on from where it was."""
        answer: dict[str, Any] = self._act("retry_job", job_id=job_id)
        return answer

    def wait_for_job(
        self,
        job_id: str,
        timeout_seconds: float | None = None,
        on_progress: Callable[[dict[str, Any]], object] = lambda job: None,
        pause_seconds: float = 0.2,
    ) -> dict[str, Any]:
        """A job once it has ended, however it has. TimedOut where it takes longer.

        `on_progress` is given the job each time that it is looked at.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            job = self.job(job_id)
            on_progress(job)
            if job["status"] not in ("pending", "running"):
                return job
            if until is not None and time.monotonic() > until:
                raise TimedOut(f"The job '{job_id}' is still {job['status']}.")
            time.sleep(pause_seconds)

    def create_schedule(
        self, cron: str, job: Mapping[str, Any], name: str = "", timezone: str = "UTC"
    ) -> dict[str, Any]:
        """Submits a job by the clock: `{"job_type": …, "parameters": …}` as cron says."""
        answer: dict[str, Any] = self._act(
            "create_schedule", name=name, cron=cron, timezone=timezone, job=dict(job)
        )
        return answer

    def schedules(self) -> list[dict[str, Any]]:
        """The schedules, and when they are due."""
        found: list[dict[str, Any]] = self._act("list_schedules")["schedules"]
        return found

    def change_schedule(self, schedule_id: str, active: bool) -> dict[str, Any]:
        """Turns a schedule off or on."""
        answer: dict[str, Any] = self._act(
            "change_schedule", schedule_id=schedule_id, active=active
        )
        return answer

    def drop_schedule(self, schedule_id: str) -> None:
        """Removes a schedule; its jobs stay."""
        self._act("drop_schedule", schedule_id=schedule_id)

    def refresh_view(self, view: str) -> dict[str, Any]:
        """Brings the rows of a materialised view up to date, and says what had to be done."""
        answer: dict[str, Any] = self._act("refresh_view", view=view)
        return answer
