"""What is asked of the audit trail and of usage, and how it is told: alike on both doors."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from pydantic import Field

from flight_server.bodies.requests import AsOf, Body
from flight_server.metastore.audit import Outcome
from flight_server.metastore.audit_search import AuditFilter, Recorded
from flight_server.operations import Call, Services
from flight_server.operations.audit_reading import read_audit
from flight_server.operations.limits import Quota
from flight_server.operations.usage_reading import Whose, read_usage

PAGE, PAGE_MAX = 100, 1_000


class ReadAudit(Body):
    """Which entries of the audit trail are wanted, the newest first."""

    principal: Annotated[str | None, Field(description="An id or a name.")] = None
    workspace: str | None = None
    action: str | None = None
    resource: Annotated[
        str | None, Field(description="Such as table:sales.daily; one that ends in * is a prefix.")
    ] = None
    outcome: Outcome | None = None
    since: Annotated[AsOf | None, Field(alias="from", description="With its zone.")] = None
    until: Annotated[AsOf | None, Field(alias="to", description="With its zone.")] = None
    request_id: str | None = None
    text: Annotated[str | None, Field(description="Looked for in every part of an entry.")] = None
    limit: Annotated[
        int | None,
        Field(ge=1, description=f"Of a page {PAGE} where it is left out, and at most {PAGE_MAX}."),
    ] = None
    cursor: Annotated[
        int | None, Field(ge=1, description="The `cursor` of the page before this one.")
    ] = None

    def wanted(self) -> AuditFilter:
        """What is looked for."""
        names = ("principal", "workspace", "action", "resource", "outcome", "since", "until")
        given = {name: getattr(self, name) for name in (*names, "request_id", "text")}
        return AuditFilter(**given)

    def page(self, services: Services, call: Call) -> dict[str, Any]:
        """The answer: a page, and what asks for the next one. Forbidden."""
        size = min(self.limit or PAGE, PAGE_MAX)
        found = read_audit(services, call, self.wanted(), self.cursor, size)
        more = found[-1].id if len(found) == size else None
        return {"entries": [_recorded(one) for one in found], "cursor": more}


class ReadUsage(Body):
    """Whose usage is wanted, of which days of UTC."""

    of: Annotated[Whose, Field(description="Yours, your workspace's, or everybody's.")] = Whose.MINE
    since: Annotated[dt.date | None, Field(alias="from", description="The first day.")] = None
    until: Annotated[
        dt.date | None, Field(alias="to", description="The day after the last one.")
    ] = None

    def report(self, services: Services, call: Call) -> dict[str, Any]:
        """The answer: usage by day, and the quotas of the caller's workspace. Forbidden."""
        found = read_usage(services, call, self.of, self.since, self.until)
        quotas = [_quota(quota) for quota in found.quotas]
        return {"usage": found.rows, "workspace": found.workspace, "quotas": quotas}


def _recorded(one: Recorded) -> dict[str, Any]:
    entry = one.entry
    return {
        "id": one.id,
        "at": entry.at.isoformat(),
        **entry.actor._asdict(),
        "action": entry.action,
        "resource": entry.resource,
        "outcome": entry.outcome.value,
        "code": entry.code,
        "snapshot": entry.snapshot,
        "details": dict(entry.details),
    }


def _quota(quota: Quota) -> dict[str, Any]:
    return {
        "quota": quota.name,
        "limit": quota.limit,
        "used": quota.used,
        "remaining": quota.remaining,
        "resets_at": quota.resets_at.isoformat(),
    }
