"""Webhooks as the server holds them: nothing runs before there is somebody to tell something."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import false, select

from flight_server.engines.log import SupportsCommitLog
from flight_server.metastore import Metastore
from flight_server.metastore.tables import (
    job_events,
    job_schedules,
    jobs,
    webhook_deliveries,
    webhooks,
)
from flight_server.settings import Settings
from flight_server.webhooks.positions import JOBS, position
from flight_server.webhooks.records import Delivery, Hook, Status
from flight_server.webhooks.rights import Rights, may_have
from flight_server.webhooks.store import WebhookStore

if TYPE_CHECKING:
    from flight_server.webhooks.deliverer import Deliverer
    from flight_server.webhooks.outbox import Outbox

_UNFINISHED = ("pending", "running")
# How the JSON of what a schedule submits begins to tell of a URL.
_URL_OF_JOB = '"webhook_url": "'


class Webhooks:
    """The hooks, and what runs for them. Every method may be called from any thread."""

    def __init__(self, metastore: Metastore, settings: Settings) -> None:
        self.store = WebhookStore(metastore)
        self._metastore = metastore
        self._settings = settings
        self._lock = threading.Lock()
        self._engine: SupportsCommitLog | None = None
        self._rights: Rights | None = None
        self._outbox: Outbox | None = None
        self._deliverer: Deliverer | None = None

    def start(self, engine: SupportsCommitLog, rights: Rights) -> None:
        """From here on events are delivered, where somebody wants them."""
        with self._lock:
            self._engine, self._rights = engine, rights
        self.refresh()

    def refresh(self, stirred: Iterable[str] = ()) -> None:
        """Hooks have changed, or jobs that have URLs of their own; these have something new."""
        with self._lock:
            if self._engine is None:
                return
            if self._is_needed():
                self._run(self._engine)
            else:
                self._end()
            if self._deliverer is not None:
                self._deliverer.stir(stirred)

    @contextmanager
    def expecting(self, url: str | None) -> Iterator[None]:
        """Something is done in the block that jobs may tell this URL of from then on."""
        if url is None:
            yield
            return
        self.store.follow_jobs()
        yield
        self.refresh()

    def close(self) -> None:
        """Ends what runs; what is not delivered waits for the next start."""
        with self._lock:
            self._engine = None
            self._end()

    def is_running(self) -> bool:
        """Whether something runs."""
        return self._outbox is not None

    @property
    def processes(self) -> list[int]:
        """The ids of the processes that run."""
        return [] if self._deliverer is None else self._deliverer.processes

    def is_told(self, hook: Hook | None, delivery: Delivery) -> bool:
        """Whether its owner may know of a delivery: it has it, or may have it."""
        if delivery.status in (Status.DELIVERED, Status.WITHHELD) or self._rights is None:
            return delivery.status is Status.DELIVERED
        return may_have(self._rights, hook, delivery) is not None

    def _run(self, engine: SupportsCommitLog) -> None:
        if self._outbox is not None:
            return
        # Imported here, so that a server without webhooks does not pay for them.
        from flight_server.webhooks.deliverer import Deliverer
        from flight_server.webhooks.outbox import Outbox

        assert self._rights is not None, "it comes together with the engine"
        self._deliverer = Deliverer(self._metastore, self._rights, self._settings)
        self._outbox = Outbox(self._metastore, engine, self._rights, self._deliverer.stir)

    def _end(self) -> None:
        if self._outbox is not None:
            self._outbox.close()
        if self._deliverer is not None:
            self._deliverer.close()
        self._outbox = self._deliverer = None

    def _is_needed(self) -> bool:
        """Whether there is a hook, or a job with a URL of its own that has something to say."""
        with self._metastore.read() as connection:
            told = position(connection, JOBS)
            has_url = jobs.c.webhook_url.is_not(None)
            is_new = job_events.c.id > told if told is not None else false()
            of_url = job_events.join(jobs, jobs.c.id == job_events.c.job_id)
            questions = (
                select(webhooks.c.id),
                select(jobs.c.id).where(has_url, jobs.c.status.in_(_UNFINISHED)),
                select(job_events.c.id).select_from(of_url).where(has_url, is_new),
                select(webhook_deliveries.c.id).where(
                    webhook_deliveries.c.status == Status.PENDING.value
                ),
                select(job_schedules.c.id).where(
                    job_schedules.c.active, job_schedules.c.job.contains(_URL_OF_JOB)
                ),
            )
            return any(connection.scalar(one.limit(1)) is not None for one in questions)
