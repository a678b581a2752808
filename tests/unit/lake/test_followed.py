"""The commit log as followers read it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.model import (
    AddColumn,
    Author,
    IngestRequest,
    LogEntry,
    NamespaceRef,
    TableRef,
    TableSpec,
)
from flight_server.testing.conformance.handles import AUTHOR, SCHEMA, TableHandle, table_of
from tests.fix_lake import EAGER, OpenLake, wait_until

ADA = Author(
    "ada",
    "r-1",
    "ingest (append)",
    "key:1",
    "films",
    "flight",
    "127.0.0.1:1",
    "table:t",
    {"to": 'it\'s "x"'},
)


def since(lake: LakeEngine, snapshot: int) -> list[LogEntry]:
    """All entries after a snapshot, read in small portions."""
    found: list[LogEntry] = []
    while True:
        entries, reached = lake.entries(snapshot, 2)
        found += entries
        if reached == snapshot:
            return found
        snapshot = reached


def told(entries: list[LogEntry]) -> list[tuple[str, tuple[str, ...], int | None]]:
    return [(entry.resource, entry.changes, entry.rows) for entry in entries]


def test_everything_that_is_known_of_an_author_comes_back(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    before = lake.snapshot()
    done = table.put([{"id": 1}, {"id": 2}], author=ADA)
    (entry,) = since(lake, before)
    assert (entry.author, entry.author.details) == (ADA, ADA.details)
    assert (entry.snapshot, entry.rows) == (done.snapshot, 2)
    assert entry.changes == ("inserted",)
    assert entry.committed_at == lake.versions(table.ref, 1)[0].committed_at


def test_one_commit_of_many_tables_has_an_entry_for_each(lake: LakeEngine) -> None:
    kept, dropped = TableHandle(lake, "kept").create(), TableHandle(lake, "dropped").create()
    kept.put([{"id": 1}])
    before = lake.snapshot()
    with lake.transaction(AUTHOR) as transaction:
        transaction.create_namespace(NamespaceRef("lake", "a/b"), AUTHOR)
        made = TableRef("lake", "a/b", "made.here")
        transaction.create_table(made, TableSpec(SCHEMA), AUTHOR)
        transaction.drop_table(dropped.ref, AUTHOR)
        transaction.alter_table(kept.ref, [AddColumn(SCHEMA.field("name").with_name("x"))], AUTHOR)
        rows = table_of([{"id": 2}]).to_reader()
        transaction.ingest(kept.ref, IngestRequest(), rows, AUTHOR)
        transaction.delete(kept.ref, "id = 1", AUTHOR)
    entries = since(lake, before)
    assert {entry.resource: set(entry.changes) for entry in entries} == {
        "namespace:a/b": {"created"},
        "table:kept": {"altered", "inserted", "deleted"},
        "table:dropped": {"dropped"},
        'table:a/b."made.here"': {"created"},
    }
    assert {entry.author.principal for entry in entries} == {AUTHOR.principal}


def test_a_table_is_told_of_under_the_name_it_had(lake: LakeEngine) -> None:
    before = lake.snapshot()
    table = TableHandle(lake).create()
    lake.rename_table(table.ref, TableRef("lake", "main", "later"), AUTHOR)
    lake.drop_table(TableRef("lake", "main", "later"), AUTHOR)
    lake.create_namespace(NamespaceRef("lake", "n"), AUTHOR)
    lake.drop_namespace(NamespaceRef("lake", "n"), AUTHOR)
    assert told(since(lake, before)) == [
        ("table:t", ("created",), None),
        ("table:later", ("altered",), None),
        ("table:later", ("dropped",), None),
        ("namespace:n", ("created",), None),
        ("namespace:n", ("dropped",), None),
    ]


def test_what_the_server_keeps_for_itself_is_no_entry(lake: LakeEngine) -> None:
    assert since(lake, -1) == []
    table = TableHandle(lake).create()
    table.put([{"id": 1}], token="once", author=replace(ADA, resource=""))
    lake.create_tag(table.ref, "first", None, ADA)
    before = lake.snapshot()
    assert lake.housekeep().rows_flushed > 0
    assert lake.snapshot() > before
    assert told(since(lake, -1)) == [
        ("table:t", ("created",), None),
        ("table:t", ("inserted",), 1),
        ("table:t", (), None),
    ]


def test_puts_that_share_a_commit_have_an_entry_each(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    before = lake.snapshot()
    people = [replace(ADA, principal=f"p{n}", request_id=f"r-{n}") for n in range(5)]

    def put(number: int) -> None:
        rows = [{"id": row} for row in range(number + 1)]
        table.put(rows, author=people[number])

    threads = [threading.Thread(target=put, args=(number,)) for number in range(5)]
    with lake._log.lock:
        for thread in threads:
            thread.start()
        wait_until(lambda: len(lake._groups._waiting) == 5, "all of them wait")
    for thread in threads:
        thread.join()
    entries = sorted(since(lake, before), key=lambda entry: entry.author.principal)
    assert lake.snapshot() < before + 5, "some were together"
    assert [entry.author for entry in entries] == people
    assert [entry.rows for entry in entries] == [1, 2, 3, 4, 5]


def test_a_follower_is_woken_and_kept_from_missing_anything(open_lake: OpenLake) -> None:
    lake = open_lake(**EAGER)
    table = TableHandle(lake).create()
    position, woken = lake.snapshot(), threading.Event()
    end = lake.follow(woken.set, lambda: position)
    made = [table.put([{"id": number}]).snapshot for number in range(4)]
    assert woken.is_set()

    def expired() -> int:
        wait_until(lambda: not lake._pins.is_quiet, "tickets of before have expired")
        # The newest moment that a ticket may be for has passed.
        threading.Event().wait(EAGER["ticket_seconds"] * 2)
        return lake.housekeep().snapshots_expired

    expired()
    assert [entry.snapshot for entry in since(lake, position)] == made
    position = made[1]
    assert expired() > 0
    assert [entry.snapshot for entry in since(lake, position)] == made[2:]
    end()
    expired()
    assert [entry.snapshot for entry in since(lake, position)] != made[2:]


@pytest.mark.parametrize("name", ["a,b", 'q"q', "two words", "ü:1"])
def test_awkward_names(lake: LakeEngine, name: str) -> None:
    before = lake.snapshot()
    with lake.transaction(AUTHOR) as transaction:
        transaction.create_table(TableRef("lake", "main", name), TableSpec(SCHEMA), AUTHOR)
    (entry,) = since(lake, before)
    assert entry.resource == f"table:{TableRef('lake', 'main', name)}"
    assert entry.changes == ("created",)
