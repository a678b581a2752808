"""The audit trail: who did what, to what, from where, and how it ended. Rows are only ever added.

A change of the metastore itself writes its entry in its own transaction (`record_change`). What
only has to be told, such as a refusal, goes through a queue that one thread empties into the
metastore several times a second. Entries hold names and numbers: never a secret, nothing out of a
row, no text of SQL.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from flight_server.errors import PixelflightError
from flight_server.metastore.database import Metastore
from flight_server.metastore.tables import audit

# How many entries wait at most, how long the first of them waits for others to come along, and
# how long somebody with one more waits for room.
WAITING_MAX = 10_000
BATCH_SECONDS = 0.05
ROOM_SECONDS_MAX = 2.0
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How it ended."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


class Actor(NamedTuple):
    """Who does something, and from where: what the trail says of every request alike."""

    principal_id: str = ""
    principal: str = ""
    workspace: str = ""
    door: str = ""
    peer: str = ""
    request_id: str = ""

    @property
    def host(self) -> str:
        """The peer without its port."""
        host, _, port = self.peer.rpartition(":")
        return host if host and port.isdecimal() else self.peer


# Who acts where nobody asked: the server at its start, or its upkeep.
THE_SERVER = Actor("server", "pixelflight")


@dataclass(frozen=True)
class AuditEntry:
    """One line of the trail."""

    action: str
    resource: str = ""
    actor: Actor = THE_SERVER
    outcome: Outcome = Outcome.OK
    code: str = ""
    snapshot: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


@dataclass
class Stage:
    """Who acts in a request; known only once the credential has been looked at."""

    actor: Actor = THE_SERVER


_STAGE: ContextVar[Stage | None] = ContextVar("stage", default=None)


def enter_stage(stage: Stage) -> None:
    """From here on changes are recorded as those of the stage's actor.

    It holds for the thread or the asynchronous task, until the next one is entered.
    """
    _STAGE.set(stage)


def act_as(principal_id: str, principal: str, workspace: str) -> None:
    """Whoever acts here has just been found out to be this one."""
    stage = _STAGE.get()
    if stage is not None:
        stage.actor = stage.actor._replace(
            principal_id=principal_id, principal=principal, workspace=workspace
        )


def record_change(connection: Connection, action: str, resource: str, **details: object) -> None:
    """Adds a change of the metastore to the trail, in the transaction that makes it."""
    stage = _STAGE.get()
    actor = THE_SERVER if stage is None else stage.actor
    write_entries(connection, [AuditEntry(action, resource, actor, details=details)])


def write_entries(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Adds entries in the caller's transaction."""
    if entries:
        connection.execute(insert(audit), [_row(entry) for entry in entries])


class AuditTrail:
    """Takes entries from any thread and writes them in the background, none of them twice.

    Entries older than `seconds_max` are removed every `round_seconds`, which is recorded; 0 turns
    either off.
    """

    def __init__(self, metastore: Metastore, seconds_max: float = 0, round_seconds: float = 0):
        self._metastore = metastore
        self._seconds_max = seconds_max
        self._round_seconds = round_seconds
        self._waiting: deque[AuditEntry] = deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._taken = 0
        self._written = 0
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def record(self, entry: AuditEntry) -> None:
        """Adds an entry soon. Waits for room where many are under way; loses none in silence."""
        with self._changed:
            there_is_room = len(self._waiting) < WAITING_MAX or self._changed.wait_for(
                lambda: len(self._waiting) < WAITING_MAX, ROOM_SECONDS_MAX
            )
            if self._stopping.is_set() or not there_is_room:
                log.error("the audit trail has lost: %s", entry)
                return
            self._waiting.append(entry)
            self._taken += 1
            if len(self._waiting) == 1:
                self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many entries are not written yet."""
        return len(self._waiting)

    @property
    def is_crowded(self) -> bool:
        """Whether whoever records an entry may soon have to wait for room."""
        return len(self._waiting) > WAITING_MAX // 2

    def flush(self, seconds: float = 10.0) -> bool:
        """Waits until all that was recorded so far is written; False where that takes longer."""
        with self._changed:
            taken = self._taken
            return self._changed.wait_for(lambda: self._written >= taken, seconds)

    def expire(self) -> int:
        """Removes the entries that are older than they are to get, and records how many."""
        before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=self._seconds_max)
        is_old = audit.c.at < before
        with self._metastore.begin() as connection:
            old = connection.scalar(select(func.count()).select_from(audit).where(is_old)) or 0
            if old:
                # Recorded first: numbers go on from the largest that is there.
                details = {"entries": old, "before": before.isoformat()}
                write_entries(connection, [AuditEntry("expire_audit", "audit", details=details)])
                connection.execute(delete(audit).where(is_old))
        return old

    def close(self) -> None:
        """Writes what is waiting and ends. What cannot be written is put into the log."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        for entry in self._waiting:
            log.error("the audit trail has lost: %s", entry)

    def _run(self) -> None:
        next_round = time.monotonic() + self._round_seconds
        while not self._stopping.is_set():
            self._await_entries(next_round)
            self._write()
            if self._expires and time.monotonic() >= next_round:
                next_round = time.monotonic() + self._round_seconds
                self._expire_quietly()
        self._write()

    @property
    def _expires(self) -> bool:
        return self._seconds_max > 0 and self._round_seconds > 0

    def _await_entries(self, next_round: float) -> None:
        timeout = max(0.0, next_round - time.monotonic()) if self._expires else None
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping.is_set(), timeout)
        if self._waiting:
            self._stopping.wait(BATCH_SECONDS)

    def _write(self) -> None:
        with self._changed:
            batch = list(self._waiting)
        if not batch:
            return
        try:
            with self._metastore.begin() as connection:
                write_entries(connection, batch)
        except Exception as error:
            reason = error.message if isinstance(error, PixelflightError) else repr(error)
            log.warning("the audit trail waits to be written: %s", reason)
            self._stopping.wait(RETRY_SECONDS)
            return
        with self._changed:
            for _ in batch:
                self._waiting.popleft()
            self._written += len(batch)
            self._changed.notify_all()

    def _expire_quietly(self) -> None:
        try:
            self.expire()
        except PixelflightError as error:
            log.warning("old entries of the audit trail stay: %s", error.message)


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        **entry.actor._asdict(),
        "at": entry.at,
        "action": entry.action,
        "resource": entry.resource,
        "outcome": entry.outcome.value,
        "code": entry.code,
        "snapshot": entry.snapshot,
        "details": json.dumps(dict(entry.details), ensure_ascii=False, default=str),
    }
