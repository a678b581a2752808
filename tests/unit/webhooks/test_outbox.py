"""The outbox: the position and the deliveries move together, and a new hook begins at now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, select

from flight_server.jobs import JobEvent, JobSpec, JobStore, JobType, Owner
from flight_server.jobs.events import record_event
from flight_server.metastore import Metastore
from flight_server.metastore.tables import followers, webhook_deliveries
from flight_server.model import Author, LogEntry, TableRef
from flight_server.webhooks import Hearing, Hook, HookOwner, WebhookStore, outbox, positions
from flight_server.webhooks.outbox import Outbox
from flight_server.webhooks.positions import COMMITS
from tests.fix_webhooks import eventually

NOON = dt.datetime(2031, 5, 1, 12, tzinfo=dt.UTC)
OWNER = HookOwner("user:ann", "ann")
GIVEN: dict[str, Any] = {
    "url": "http://127.0.0.1:9/",
    "events": ["data.*"],
    "headers": {},
    "tables": None,
}


@dataclass
class Log:
    """A commit log that a test writes."""

    newest: int = 0
    of: list[LogEntry] = field(default_factory=list)
    wake: Callable[[], object] = lambda: None
    position: Callable[[], int] = lambda: -1

    def commit(self, table: str = "t") -> None:
        self.newest += 1
        author = Author("ann", reason="insert")
        self.of.append(LogEntry(self.newest, NOON, author, f"table:{table}", ("inserted",), 1))
        self.wake()

    def snapshot(self) -> int:
        return self.newest

    def entries(self, after: int, limit: int) -> tuple[list[LogEntry], int]:
        found = [entry for entry in self.of if entry.snapshot > after][:limit]
        return found, found[-1].snapshot if found else after

    def follow(self, wake: Callable[[], object], position: Callable[[], int]) -> Callable[[], None]:
        self.wake, self.position = wake, position
        return lambda: None


class Rights:
    """Everything but the table `hidden`."""

    def of_table(self, owner: HookOwner, table: TableRef) -> Hearing:
        return Hearing.NOTHING if table.name == "hidden" else Hearing.ALL

    def of_job(self, owner: HookOwner, job_owner: str, workspace: str) -> bool:
        return job_owner == owner.principal_id


@pytest.fixture
def log() -> Log:
    return Log(newest=5)


@pytest.fixture
def store(metastore: Metastore) -> WebhookStore:
    return WebhookStore(metastore)


@contextmanager
def running(metastore: Metastore, log: Log) -> Iterator[list[str]]:
    """The outbox; gives who was stirred."""
    stirred: list[str] = []
    followed = Outbox(metastore, log, Rights(), stirred.extend)
    try:
        yield stirred
    finally:
        followed.close()


def make(store: WebhookStore, log: Log, **more: Any) -> Hook:
    return store.create(OWNER, GIVEN | more, log.snapshot(), 10)


def commits(metastore: Metastore) -> list[tuple[str, str]]:
    """The deliveries in their order: to whom, of which table."""
    of = webhook_deliveries.c
    with metastore.read() as connection:
        rows = connection.execute(select(of.webhook_id, of.table_name).order_by(of.number))
        return [(row[0], row[1]) for row in rows]


def position(metastore: Metastore) -> int | None:
    with metastore.read() as connection:
        found: int | None = connection.scalar(
            select(followers.c.snapshot).where(followers.c.name == COMMITS)
        )
        return found


def test_each_hook_hears_from_when_it_was_made(
    metastore: Metastore, store: WebhookStore, log: Log
) -> None:
    log.commit("before")
    first = make(store, log)
    with running(metastore, log) as stirred:
        log.commit("a")
        log.commit("hidden")
        eventually(lambda: position(metastore) == 8, "it is dealt with")
        second = make(store, log)
        log.commit("b")
        eventually(lambda: position(metastore) == 9, "it is dealt with")
        assert log.position() == 9
    assert commits(metastore) == [(first.id, "a"), (first.id, "b"), (second.id, "b")]
    assert set(stirred) == {first.id, second.id}


def test_what_was_committed_while_nobody_ran_is_found(
    metastore: Metastore, store: WebhookStore, log: Log
) -> None:
    hook = make(store, log)
    for _ in range(3):
        log.commit()
    with running(metastore, log):
        eventually(lambda: position(metastore) == 8, "it is dealt with")
    with running(metastore, log):
        log.commit("last")
        eventually(lambda: position(metastore) == 9, "it is dealt with")
    assert commits(metastore) == [(hook.id, "t")] * 3 + [(hook.id, "last")]


def test_a_failure_in_between_leaves_neither(
    metastore: Metastore, store: WebhookStore, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = make(store, log)
    whole, failures = positions.move, [OSError("the disk is full"), OSError("still")]

    def failing(*given: Any) -> None:
        if failures:
            # The deliveries are inserted by now.
            assert len(commits_in(given[0])) == 2
            raise failures.pop()
        whole(*given)

    monkeypatch.setattr(outbox, "move", failing)
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.05)
    log.commit()
    log.commit()
    with running(metastore, log):
        eventually(lambda: position(metastore) == 7, "it is dealt with")
    assert failures == []
    assert commits(metastore) == [(hook.id, "t")] * 2


def commits_in(connection: Any) -> list[Any]:
    return list(connection.execute(select(webhook_deliveries.c.number)))


def test_a_hook_at_rest_hears_of_nothing_until_it_is_active(
    metastore: Metastore, store: WebhookStore, log: Log
) -> None:
    hook = make(store, log)
    store.change(hook.id, {"active": False}, log.snapshot())
    with running(metastore, log):
        log.commit("unheard")
        eventually(lambda: position(metastore) == 6, "it is dealt with")
        store.change(hook.id, {"active": True}, log.snapshot())
        log.commit("heard")
        eventually(lambda: position(metastore) == 7, "it is dealt with")
    assert commits(metastore) == [(hook.id, "heard")]


def test_a_lake_that_is_older_is_followed_from_now_on(
    metastore: Metastore, store: WebhookStore, log: Log
) -> None:
    hook = make(store, log)
    log.newest, log.of = 2, []
    with running(metastore, log):
        eventually(lambda: position(metastore) == 2, "it goes on from now")
        log.commit("new")
        eventually(lambda: position(metastore) == 3, "it is dealt with")
    assert [table for _, table in commits(metastore)] == ["new"]
    assert hook.after_snapshot == 5


def test_an_event_of_a_job_that_comes_in_between_is_told_once(
    metastore: Metastore, store: WebhookStore, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came after the newest was looked up, and before that was dealt with."""
    hook = make(store, log, events=["job.*"])
    job = JobStore(metastore).submit(Owner("user:ann", "ann"), JobSpec(JobType.CUSTOM))
    whole, extra = outbox._job_events, [1, 2]

    def late(connection: Connection, after: int) -> Any:
        if extra:
            extra.pop()
            record_event(connection, JobEvent.PROGRESS, job, NOON)
        return whole(connection, after)

    monkeypatch.setattr(outbox, "_job_events", late)
    with metastore.begin() as connection:
        record_event(connection, JobEvent.STARTED, job, NOON)
    with running(metastore, log):
        eventually(lambda: len(commits(metastore)) >= 2, "the first are told")
        with metastore.begin() as connection:
            record_event(connection, JobEvent.COMPLETED, job, NOON)
        eventually(lambda: len(commits(metastore)) >= 4, "the others are told")
    assert [receiver for receiver, _ in commits(metastore)] == [hook.id] * 4
