"""Reading the audit trail: entries by filter, the newest first, page after page."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from flight_server.metastore.audit import Actor, AuditEntry, Outcome
from flight_server.metastore.tables import audit

_SEARCHED = (
    audit.c.principal,
    audit.c.action,
    audit.c.resource,
    audit.c.peer,
    audit.c.code,
    audit.c.details,
)


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are wanted; what is None is any.

    `principal` is an id or a name; a `resource` that ends in `*` stands for all that begin so.
    `text` is looked for anywhere, whatever its case.
    """

    principal: str | None = None
    workspace: str | None = None
    action: str | None = None
    resource: str | None = None
    outcome: Outcome | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    request_id: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Recorded:
    """An entry with its number: one that was recorded later has a larger one."""

    id: int
    entry: AuditEntry


def search(
    connection: Connection, wanted: AuditFilter, before: int | None, limit: int
) -> list[Recorded]:
    """At most `limit` entries, the newest first, that are older than the one with a number."""
    conditions = _conditions(wanted)
    if before is not None:
        at = select(audit.c.at).where(audit.c.id == before).scalar_subquery()
        conditions.append(or_(audit.c.at < at, (audit.c.at == at) & (audit.c.id < before)))
    newest_first = (audit.c.at.desc(), audit.c.id.desc())
    statement = select(audit).where(*conditions).order_by(*newest_first).limit(limit)
    return [_recorded(row) for row in connection.execute(statement).mappings()]


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    equal = {
        audit.c.workspace: wanted.workspace,
        audit.c.action: wanted.action,
        audit.c.outcome: wanted.outcome,
        audit.c.request_id: wanted.request_id,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if wanted.principal is not None:
        who = wanted.principal
        found.append(or_(audit.c.principal_id == who, audit.c.principal == who))
    if wanted.resource is not None:
        found.append(_named(wanted.resource))
    if wanted.since is not None:
        found.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        found.append(audit.c.at < wanted.until)
    if wanted.text is not None:
        text = wanted.text
        found.append(or_(*(column.icontains(text, autoescape=True) for column in _SEARCHED)))
    return found


def _named(resource: str) -> ColumnElement[bool]:
    if resource.endswith("*"):
        return audit.c.resource.startswith(resource[:-1], autoescape=True)
    return audit.c.resource == resource


def _recorded(row: Any) -> Recorded:
    actor = Actor(
        row["principal_id"],
        row["principal"],
        row["workspace"],
        row["door"],
        row["peer"],
        row["request_id"],
    )
    entry = AuditEntry(
        row["action"],
        row["resource"],
        actor,
        Outcome(row["outcome"]),
        row["code"],
        row["snapshot"],
        json.loads(row["details"]),
        row["at"],
    )
    return Recorded(row["id"], entry)
