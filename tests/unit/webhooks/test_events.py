"""Which events commits are, who asks for them, and under which id each is told."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from flight_server.errors import InvalidRequest
from flight_server.model import Author, LogEntry, TableRef
from flight_server.webhooks.events import (
    EVENTS,
    Happened,
    asks_for,
    check_events,
    check_tables,
    concerns,
    happenings,
)

NOON = dt.datetime(2031, 5, 1, 12, tzinfo=dt.UTC)


def entry(
    *changes: str,
    snapshot: int = 7,
    table: str = "sales.daily",
    rows: int | None = None,
    reason: str = "insert",
    at: dt.datetime = NOON,
    **details: Any,
) -> LogEntry:
    author = Author("ann", reason=reason, details=details)
    return LogEntry(snapshot, at, author, f"table:{table}", changes, rows)


def told(*entries: LogEntry) -> list[Happened]:
    return list(happenings(entries, "lake"))


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        (("created",), ["table.created"]),
        (("created", "inserted"), ["table.created", "data.inserted"]),
        (("altered",), ["table.updated"]),
        (("dropped",), ["table.deleted"]),
        (("inserted", "updated", "deleted"), ["data.inserted", "data.updated", "data.deleted"]),
        (("compacted",), []),
        ((), []),
    ],
)
def test_each_kind_of_change_is_an_event(changes: tuple[str, ...], events: list[str]) -> None:
    assert [one.event for one in told(entry(*changes))] == events


@pytest.mark.parametrize(
    ("reason", "events"),
    [
        ("create view", ["table.created"]),
        ("drop view", ["table.deleted"]),
        ("rename table", ["table.updated"]),
        ("create tag v1", []),
    ],
)
def test_what_no_change_tells_the_reason_does(reason: str, events: list[str]) -> None:
    assert [one.event for one in told(entry(reason=reason))] == events


def test_a_renamed_table_has_two_names() -> None:
    (one,) = told(entry(reason="rename table", to="sales.weekly"))
    assert (one.table, one.renamed_to) == (
        TableRef.parse("sales.daily"),
        TableRef.parse("sales.weekly"),
    )
    assert one.data == {
        "table": "sales.daily",
        "commit": 7,
        "principal": "ann",
        "renamed_to": "sales.weekly",
    }


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        (entry("inserted", rows=3), {"data.inserted": 3}),
        (entry("created", "inserted", rows=3), {"data.inserted": 3}),
        (entry("deleted", "inserted", rows=3, reason="ingest (overwrite)"), {"data.inserted": 3}),
        (entry("inserted", "updated", rows=3, reason="merge"), {}),
        (entry("updated"), {}),
    ],
)
def test_rows_are_told_where_it_is_known_what_they_count(
    given: LogEntry, counted: dict[str, int]
) -> None:
    found = {one.event: one.data["rows"] for one in told(given) if "rows" in one.data}
    assert found == counted


def test_namespaces_are_no_tables() -> None:
    author = Author("ann", reason="create namespace")
    assert told(LogEntry(7, NOON, author, "namespace:sales", ("created",))) == []


def test_ids_are_the_same_again_and_never_two_events() -> None:
    entries = [
        entry("inserted"),
        entry("inserted"),
        entry("inserted", table="sales.weekly"),
        entry("created", "inserted", snapshot=8),
        # Another lake in the place of this one counts anew.
        entry("inserted", at=NOON + dt.timedelta(seconds=1)),
    ]
    ids = [one.id_for(hook) for one in told(*entries) for hook in ("wh_1", "wh_2")]
    assert len(set(ids)) == len(ids) == 12
    assert ids == [one.id_for(hook) for one in told(*entries) for hook in ("wh_1", "wh_2")]


def test_several_events_can_be_asked_for_at_once() -> None:
    assert {event for event in EVENTS if asks_for(["data.*"], event)} == {
        "data.inserted",
        "data.updated",
        "data.deleted",
    }
    assert all(asks_for(["*"], event) for event in EVENTS)
    assert not asks_for(["data.inserted"], "data.updated")
    assert check_events(["*", "data.*", "*"]) == ("*", "data.*")
    for wrong in ("data.", "data", "inserted", "DATA.*", "media.uploaded", ""):
        with pytest.raises(InvalidRequest, match="There is no event"):
            check_events([wrong])


@pytest.mark.parametrize(
    ("patterns", "table", "is_meant"),
    [
        (None, "x", True),
        (["daily"], "daily", True),
        (["daily"], "main.daily", True),
        (["DAILY"], "daily", True),
        (["daily"], "sales.daily", False),
        (["sales.*"], "sales.daily", True),
        (["sales.*"], "sales/eu.daily", True),
        (["sales.*"], "sales2.daily", False),
        (["sales/eu.*"], "sales.daily", False),
        (["main.*"], "daily", True),
        (["films:main.*"], "daily", False),
        (["films:main.*"], "films:daily", True),
        (['"a.b".*'], '"a.b".c', True),
        (["a", "b"], "b", True),
    ],
)
def test_tables_are_named_or_their_namespace_is(
    patterns: list[str] | None, table: str, is_meant: bool
) -> None:
    checked = None if patterns is None else check_tables(patterns)
    assert concerns(checked, TableRef.parse(table)) == is_meant
