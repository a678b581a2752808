"""The outbox: what the logs of commits and of jobs tell becomes deliveries, each of them once.

A position in each log says up to where that is done. It moves in the transaction that inserts the
deliveries, so that a crash at any moment leaves both or neither.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flight_server.engines.log import SupportsCommitLog
from flight_server.errors import PixelflightError
from flight_server.metastore import Metastore
from flight_server.metastore.tables import job_events, jobs, webhook_deliveries, webhooks
from flight_server.model import DEFAULT_CATALOG
from flight_server.webhooks.events import Happened, asks_for, concerns, happenings
from flight_server.webhooks.positions import COMMITS, JOBS, move, position
from flight_server.webhooks.records import Hook, Status, hook_from
from flight_server.webhooks.rights import Rights, heard
from flight_server.webhooks.turns import giving_way

COMMITS_EACH = JOB_EVENTS_EACH = 500
# Commits that follow each other closely are dealt with together.
PAUSE_SECONDS = 0.05
# Jobs run in other processes, which announce nothing here.
POLL_SECONDS = 0.25
RETRY_SECONDS = 1.0

_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

log = logging.getLogger(__name__)


class Outbox:
    """Follows both logs in a thread of its own; tells `stirred` whose deliveries are new."""

    def __init__(
        self,
        metastore: Metastore,
        engine: SupportsCommitLog,
        rights: Rights,
        stirred: Callable[[Iterable[str]], None],
    ) -> None:
        self._metastore = metastore
        self._engine = engine
        self._rights = rights
        self._stirred = stirred
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._position = self._first_position()
        self._unfollow = engine.follow(self._woken.set, lambda: self._position)
        self._woken.set()
        self._thread = threading.Thread(target=self._run, name="webhook-outbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Follows no more; what it has not come to is found when it goes on."""
        self._stopping.set()
        self._woken.set()
        self._thread.join()
        self._unfollow()

    def _run(self) -> None:
        while not self._stopping.is_set():
            is_commit = self._woken.wait(POLL_SECONDS)
            if is_commit and self._stopping.wait(PAUSE_SECONDS):
                return
            self._woken.clear()
            try:
                if is_commit:
                    self._follow_commits()
                self._follow_jobs()
            except Exception as error:
                reason = error.message if isinstance(error, PixelflightError) else repr(error)
                log.warning("events wait to be delivered: %s", reason)
                self._stopping.wait(RETRY_SECONDS)
                self._woken.set()

    def _follow_commits(self) -> None:
        while not self._stopping.is_set():
            with self._metastore.read() as connection:
                after = position(connection, COMMITS)
                if after is None or not _hooks(connection):
                    self._position = self._engine.snapshot()
                    return
            entries, reached = self._engine.entries(after, COMMITS_EACH)
            if reached == after:
                self._position = after
                return
            found = list(happenings(entries, DEFAULT_CATALOG))
            with self._metastore.begin() as connection:
                # A first hook may have set it anew in between.
                if position(connection, COMMITS) != after:
                    continue
                hooks = [hook for hook in _hooks(connection) if hook.active]
                rows = [
                    row
                    for happened in giving_way(found)
                    for hook in giving_way(hooks)
                    if happened.number > hook.after_snapshot
                    for row in self._rows(hook, happened)
                ]
                _insert(connection, rows)
                move(connection, COMMITS, reached)
            self._position = reached
            self._stirred({row["webhook_id"] for row in rows})

    def _follow_jobs(self) -> None:
        while not self._stopping.is_set():
            with self._metastore.read() as connection:
                after = position(connection, JOBS)
                newest = connection.scalar(select(func.max(job_events.c.id))) or 0
            if after is None or newest <= after:
                return
            with self._metastore.begin() as connection:
                events = _job_events(connection, position(connection, JOBS) or 0)
                last = events[-1]["id"] if events else newest
                # Some may have gone with their jobs, and some have come since that was looked up.
                reached = last if len(events) == JOB_EVENTS_EACH else max(last, newest)
                hooks = [hook for hook in _hooks(connection) if hook.active]
                rows = [
                    row for event in giving_way(events) for row in self._rows_of_job(event, hooks)
                ]
                _insert(connection, rows)
                move(connection, JOBS, reached)
            self._stirred({row["webhook_id"] for row in rows})

    def _rows_of_job(self, event: RowMapping, hooks: Sequence[Hook]) -> Iterable[dict[str, Any]]:
        happened = _of_job(event)
        if event["webhook_url"] and _is_wanted(event):
            yield _row(event["job_id"], happened, happened.data) | {"url": event["webhook_url"]}
        for hook in hooks:
            if event["id"] > hook.after_job_event:
                yield from self._rows(hook, happened)

    def _rows(self, hook: Hook, happened: Happened) -> Iterable[dict[str, Any]]:
        """The delivery to a hook, if it asks for such a thing and its owner may hear of it."""
        if not asks_for(hook.events, happened.event):
            return
        if happened.table is None:
            job_owner = happened.job_owner or ""
            if self._rights.of_job(hook.owner, job_owner, happened.workspace):
                yield _row(hook.id, happened, happened.data)
            return
        names = (happened.table, happened.renamed_to)
        if any(name is not None and concerns(hook.tables, name) for name in names):
            data = heard(self._rights, hook.owner, happened.table, happened.data)
            if data is not None:
                yield _row(hook.id, happened, data)

    def _first_position(self) -> int:
        with self._metastore.read() as connection:
            found = position(connection, COMMITS)
        newest = self._engine.snapshot()
        if found is None or found <= newest:
            return newest if found is None else found
        log.warning("the lake is older than what was delivered of it: webhooks go on from now")
        with self._metastore.begin() as connection:
            move(connection, COMMITS, newest)
            of = webhooks.c.after_snapshot
            connection.execute(update(webhooks).where(of > newest).values(after_snapshot=newest))
        return newest


def _hooks(connection: Connection) -> list[Hook]:
    return [hook_from(row) for row in connection.execute(select(webhooks)).mappings()]


def _job_events(connection: Connection, after: int) -> Sequence[RowMapping]:
    """The next events of jobs, with what their jobs say of who is to hear of them."""
    of = jobs.c
    statement = (
        select(job_events, of.principal_id, of.webhook_url, of.webhook_events)
        .join(jobs, of.id == job_events.c.job_id)
        .where(job_events.c.id > after)
        .order_by(job_events.c.id)
        .limit(JOB_EVENTS_EACH)
    )
    return connection.execute(statement).mappings().all()


def _of_job(event: RowMapping) -> Happened:
    return Happened(
        f"job:{event['id']}:{event['at'].timestamp()}",
        event["id"],
        event["event"],
        event["at"],
        json.loads(event["payload"]),
        job_owner=event["principal_id"],
        workspace=event["workspace"],
    )


def _is_wanted(event: RowMapping) -> bool:
    """Whether a job asks to have such an event sent to its own URL: 'completed' of itself."""
    names = json.loads(event["webhook_events"] or "[]")
    wanted = [name if "." in name or name == "*" else f"job.{name}" for name in names]
    return asks_for(wanted or ("job.completed", "job.failed"), event["event"])


def _row(receiver: str, happened: Happened, data: Mapping[str, Any]) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    return {
        "id": happened.id_for(receiver),
        "webhook_id": receiver,
        "url": None,
        "event": happened.event,
        "at": happened.at,
        "table_name": None if happened.table is None else str(happened.table),
        "job_owner": happened.job_owner,
        "data": json.dumps(dict(data), ensure_ascii=False),
        "status": Status.PENDING.value,
        "due_at": now,
        "attempts": 0,
        "created_at": now,
    }


def _insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Adds deliveries. One that is there under its id is there for good: it is not added again."""
    if rows:
        statement = _INSERTS[connection.dialect.name](webhook_deliveries)
        connection.execute(statement.on_conflict_do_nothing(index_elements=["id"]), rows)
