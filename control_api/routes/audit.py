"""The audit trail: who did what, to what, from where, and how it ended."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime

from control_api.answers import rows_answer
from control_api.dependencies import Call, Services
from control_api.media_types import Form
from control_api.row_queries import Wanted
from flight_server.bodies.answers import recorded
from flight_server.metastore.audit import Outcome
from flight_server.metastore.audit_search import AuditFilter
from flight_server.operations.audit_reading import export_audit, read_audit

router = APIRouter(prefix="/audit", tags=["audit"])

PAGE, PAGE_MAX = 100, 1_000


@router.get("", response_class=Response)
def list_entries(
    services: Services,
    call: Call,
    form: Wanted,
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
    limit: Annotated[
        int | None, Query(ge=1, description=f"Of a page {PAGE} where it is left out.")
    ] = None,
    cursor: Annotated[
        int | None, Query(ge=1, description="The `cursor` of the page before this one.")
    ] = None,
) -> Response:
    """Entries of the audit trail, the newest first: JSON page by page, other forms in a stream.

    Whoever may admin the server reads all of it, whoever manages a workspace what is of it.
    """
    wanted = AuditFilter(
        principal, workspace, action, resource, outcome, since, until, request_id, text
    )
    if form is not Form.JSON:
        every = export_audit(services, call, wanted, cursor, limit)
        return rows_answer(every, form, call, services.settings.batch_bytes)
    size = min(limit or PAGE, PAGE_MAX)
    found = read_audit(services, call, wanted, cursor, size)
    more = found[-1].id if len(found) == size else None
    entries = [recorded(one) for one in found]
    return JSONResponse({"entries": entries, "cursor": more}, headers={"vary": "accept"})
