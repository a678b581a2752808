"""The audit trail: who did what, to what, from where, and how it ended."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from control_api.dependencies import Call, Services
from flight_server.bodies.answers import recorded
from flight_server.metastore.audit import Outcome
from flight_server.metastore.audit_search import AuditFilter
from flight_server.operations.audit_reading import read_audit

router = APIRouter(prefix="/audit", tags=["audit"])

PAGE_MAX = 1_000


@router.get("")
def list_entries(
    services: Services,
    call: Call,
    principal: Annotated[str | None, Query(description="An id or a name.")] = None,
    workspace: str | None = None,
    action: str | None = None,
    resource: Annotated[
        str | None, Query(description="Such as table:sales.daily; one that ends in * is a prefix.")
    ] = None,
    outcome: Outcome | None = None,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    request_id: str | None = None,
    text: Annotated[str | None, Query(description="Looked for in every part of an entry.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    cursor: Annotated[
        int | None, Query(ge=1, description="The `cursor` of the page before this one.")
    ] = None,
) -> dict[str, Any]:
    """Entries of the audit trail, the newest first."""
    wanted = AuditFilter(
        principal, workspace, action, resource, outcome, since, until, request_id, text
    )
    found = read_audit(services, call, wanted, cursor, limit)
    more = found[-1].id if len(found) == limit else None
    return {"entries": [recorded(one) for one in found], "cursor": more}
