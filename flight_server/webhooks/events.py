"""Which events there are, which of them a commit is, and which of them a hook asks for."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.jobs import JobEvent
from flight_server.model import LogEntry, NamespaceRef, TableRef

EVENTS = (
    *(event.value for event in JobEvent),
    "table.created",
    "table.updated",
    "table.deleted",
    "data.inserted",
    "data.updated",
    "data.deleted",
)
# What is sent by the test button alone, whatever a hook asks for.
TEST = "webhook.test"
_FAMILIES = (*dict.fromkeys(event.partition(".")[0] + ".*" for event in EVENTS), "*")
_BY_CHANGE = {
    "created": "table.created",
    "altered": "table.updated",
    "dropped": "table.deleted",
    "inserted": "data.inserted",
    "updated": "data.updated",
    "deleted": "data.deleted",
}
# Views are kept beside the lake's own tables, where their commits show no change.
_BY_REASON = {
    "create view": "table.created",
    "drop view": "table.deleted",
    "rename table": "table.updated",
    "rename view": "table.updated",
}
_PREFIX = "table:"


@dataclass(frozen=True)
class Happened:
    """Something that happened to a table or to a job.

    `key` tells it from everything else that ever happens. `number` is its commit's or its own
    place in the log it comes from. `renamed_to` is a table's new name.
    """

    key: str
    number: int
    event: str
    at: dt.datetime
    data: Mapping[str, Any]
    table: TableRef | None = None
    renamed_to: TableRef | None = None
    job_owner: str | None = None
    workspace: str = ""

    def id_for(self, receiver: str) -> str:
        """The id under which a receiver hears of it, however often that takes."""
        text = "\0".join((receiver, self.event, self.key))
        return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def happenings(entries: Sequence[LogEntry], catalog: str) -> Iterator[Happened]:
    """What some entries of a commit log mean to who follows tables, in their order."""
    place, snapshot = 0, None
    for entry in entries:
        place = place + 1 if entry.snapshot == snapshot else 0
        snapshot = entry.snapshot
        if entry.resource.startswith(_PREFIX):
            yield from _of_entry(entry, catalog, place)


def _of_entry(entry: LogEntry, catalog: str, place: int) -> Iterator[Happened]:
    table = TableRef.parse(entry.resource.removeprefix(_PREFIX))
    events = [_BY_CHANGE[change] for change in entry.changes if change in _BY_CHANGE]
    if not events and entry.author.reason in _BY_REASON:
        events = [_BY_REASON[entry.author.reason]]
    is_rename = entry.author.reason.startswith("rename")
    to = str(entry.author.details["to"]) if is_rename and "to" in entry.author.details else None
    counted = _counted(entry, events)
    for event in dict.fromkeys(events):
        data: dict[str, Any] = {
            "table": str(table),
            "commit": entry.snapshot,
            "principal": entry.author.principal,
        }
        if event == counted:
            data["rows"] = entry.rows
        renamed_to = TableRef.parse(to) if to and event == "table.updated" else None
        if renamed_to is not None:
            data["renamed_to"] = str(renamed_to)
        moment = entry.committed_at
        yield Happened(
            f"{catalog}:{entry.snapshot}:{place}:{moment.timestamp()}",
            entry.snapshot,
            event,
            moment,
            data,
            table,
            renamed_to,
        )


def _counted(entry: LogEntry, events: Sequence[str]) -> str | None:
    """The event whose rows the entry counts; None where it counts several kinds together."""
    if entry.rows is None:
        return None
    of_rows = [event for event in events if event.startswith("data.")]
    if len(of_rows) == 1:
        return of_rows[0]
    is_ingest = entry.author.reason.startswith("ingest")
    return "data.inserted" if is_ingest and "data.inserted" in of_rows else None


def check_events(names: Sequence[str]) -> tuple[str, ...]:
    """The events that a hook may ask for, each once. InvalidRequest names one that is none."""
    if not names:
        raise InvalidRequest("A webhook needs at least one event, such as 'data.inserted'.")
    for name in names:
        if name not in EVENTS and name not in _FAMILIES:
            raise InvalidRequest(
                f"There is no event '{name}'.{did_you_mean(name, (*EVENTS, *_FAMILIES))} "
                f"The events are {', '.join(EVENTS)}; {', '.join(_FAMILIES)} are several at once."
            )
    return tuple(dict.fromkeys(names))


def asks_for(wanted: Sequence[str], event: str) -> bool:
    """Whether a hook that asks for `wanted` hears of such an event."""
    family = event.partition(".")[0] + ".*"
    return any(one in (event, family, "*") for one in wanted)


def check_tables(names: Sequence[str]) -> tuple[str, ...]:
    """Names of tables, or `namespace.*`, in one spelling. InvalidRequest."""
    if not names:
        raise InvalidRequest("'tables' is empty: leave it out to hear of all tables.")
    return tuple(dict.fromkeys(_pattern(name) for name in names))


def _pattern(name: str) -> str:
    if name.endswith(".*"):
        return f"{NamespaceRef.parse(name.removesuffix('.*'))}.*"
    return str(TableRef.parse(name))


def concerns(patterns: Sequence[str] | None, table: TableRef) -> bool:
    """Whether the patterns hold a table, whatever the case of its name."""
    if patterns is None:
        return True
    names = {str(table).lower()}
    namespace = table.namespace
    while namespace:
        names.add(f"{NamespaceRef(table.catalog, namespace)}.*".lower())
        namespace = namespace.rpartition("/")[0]
    return any(pattern.lower() in names for pattern in patterns)
