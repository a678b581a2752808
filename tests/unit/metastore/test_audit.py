"""The audit trail's queue, and the entries that go with a change."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from flight_server.errors import Unavailable
from flight_server.metastore import Metastore
from flight_server.metastore import audit as trail
from flight_server.metastore.audit import (
    Actor,
    AuditEntry,
    AuditTrail,
    Outcome,
    Stage,
    act_as,
    enter_stage,
    record_change,
)
from flight_server.metastore.audit_search import AuditFilter, search

ADA = Actor("key:1", "ada", "films", "http", "127.0.0.1:1", "r-1")


@pytest.fixture(autouse=True)
def nobody_acts() -> Iterator[None]:
    yield
    trail._STAGE.set(None)


def found(metastore: Metastore, **wanted: Any) -> list[AuditEntry]:
    """The entries, the oldest first."""
    with metastore.read() as connection:
        entries = search(connection, AuditFilter(**wanted), None, 10_000)
    return [one.entry for one in reversed(entries)]


def test_what_is_recorded_is_read_again(metastore: Metastore) -> None:
    given = AuditEntry(
        "drop", "table:t", ADA, Outcome.REFUSED, "forbidden", 7, {"a": [1, "ü"], "b": None}
    )
    opened = AuditTrail(metastore)
    opened.record(given)
    opened.close()
    assert found(metastore) == [given]


def test_entries_of_many_threads_are_all_there_once(
    metastore: Metastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "WAITING_MAX", 20)
    monkeypatch.setattr(trail, "BATCH_SECONDS", 0.001)
    opened = AuditTrail(metastore)

    def record(thread: int) -> None:
        for number in range(100):
            opened.record(AuditEntry(f"{thread}", f"{number}"))

    threads = [threading.Thread(target=record, args=(thread,)) for thread in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened.flush()
    opened.close()
    entries = [(entry.action, entry.resource) for entry in found(metastore)]
    assert len(entries) == 500
    assert sorted(entries) == sorted((f"{t}", f"{n}") for t in range(5) for n in range(100))


class Failing:
    """A metastore that refuses for a while."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore
        self.is_failing = True
        self.attempts = 0

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        self.attempts += 1
        if self.is_failing:
            raise Unavailable("The metastore is busy or out of reach: try again.")
        with self._metastore.begin() as connection:
            yield connection


@pytest.fixture
def failing(metastore: Metastore, monkeypatch: pytest.MonkeyPatch) -> Failing:
    monkeypatch.setattr(trail, "RETRY_SECONDS", 0.01)
    return Failing(metastore)


def wait_for(holds: Callable[[], bool]) -> None:
    until = dt.datetime.now() + dt.timedelta(seconds=20)
    while not holds():
        assert dt.datetime.now() < until


def test_what_cannot_be_written_waits(metastore: Metastore, failing: Failing) -> None:
    opened = AuditTrail(failing)  # type: ignore[arg-type]
    opened.record(AuditEntry("first"))
    wait_for(lambda: failing.attempts > 1)
    assert not opened.flush(0.01)
    opened.record(AuditEntry("second"))
    failing.is_failing = False
    assert opened.flush()
    opened.close()
    assert [entry.action for entry in found(metastore)] == ["first", "second"]


def test_what_is_lost_is_in_the_log(
    failing: Failing, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "WAITING_MAX", 1)
    monkeypatch.setattr(trail, "ROOM_SECONDS_MAX", 0.01)
    opened = AuditTrail(failing)  # type: ignore[arg-type]
    opened.record(AuditEntry("kept"))
    assert opened.is_crowded
    opened.record(AuditEntry("too much", actor=ADA))
    assert "too much" in caplog.text
    assert "ada" in caplog.text
    opened.close()
    assert "kept" in caplog.text
    opened.record(AuditEntry("too late"))
    assert "too late" in caplog.text


def test_a_change_and_its_entry_are_both_there_or_neither(metastore: Metastore) -> None:
    enter_stage(Stage(ADA))
    with metastore.begin() as connection:
        record_change(connection, "create_key", "key:1", roles=["reader"])

    def fail() -> None:
        with metastore.begin() as connection:
            record_change(connection, "create_key", "key:2")
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError):
        fail()
    (entry,) = found(metastore)
    assert (entry.actor, entry.resource, entry.details) == (ADA, "key:1", {"roles": ["reader"]})


def test_who_acts_is_the_thread_s_own(metastore: Metastore) -> None:
    enter_stage(Stage(ADA))
    act_as("user:bob", "bob", "books")

    def in_another_thread() -> None:
        act_as("user:eve", "eve", "books")
        with metastore.begin() as connection:
            record_change(connection, "other", "x")

    thread = threading.Thread(target=in_another_thread)
    thread.start()
    thread.join()
    with metastore.begin() as connection:
        record_change(connection, "mine", "x")
    other, mine = found(metastore)
    assert other.actor == trail.THE_SERVER
    assert mine.actor == ADA._replace(principal_id="user:bob", principal="bob", workspace="books")


def test_old_entries_go_in_the_background(metastore: Metastore) -> None:
    opened = AuditTrail(metastore, seconds_max=60, round_seconds=0.01)
    opened.record(AuditEntry("old", at=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=2)))
    opened.record(AuditEntry("young"))
    wait_for(lambda: [e.action for e in found(metastore)] == ["young", "expire_audit"])
    opened.close()
    assert found(metastore, action="expire_audit")[0].details["entries"] == 1


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:80", "[::1]"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("", ""),
    ],
)
def test_the_host_of_a_peer(peer: str, host: str) -> None:
    assert Actor(peer=peer).host == host
