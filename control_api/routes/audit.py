"""The audit trail: who did what, to what, from where, and how it ended."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from control_api.answers import rows_answer
from control_api.dependencies import Call, Services
from control_api.described import rows_of
from control_api.media_types import Form
from control_api.row_queries import Wanted
from flight_server.bodies.bookkeeping import ReadAudit
from flight_server.operations.audit_reading import export_audit

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("", response_class=Response, responses=rows_of("Entries of the audit trail."))
def list_entries(
    services: Services, call: Call, form: Wanted, query: Annotated[ReadAudit, Query()]
) -> Response:
    """Entries of the audit trail, the newest first: JSON page by page, other forms in a stream.

    Whoever may admin the server reads all of it, whoever manages a workspace what is of it.
    """
    if form is Form.JSON:
        return JSONResponse(query.page(services, call), headers={"vary": "accept"})
    every = export_audit(services, call, query.wanted(), query.cursor, query.limit)
    return rows_answer(every, form, call, services.settings.batch_bytes)
