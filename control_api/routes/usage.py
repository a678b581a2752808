"""What was used, and how far the quotas are."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Query

from control_api.dependencies import Call, Services
from flight_server.operations.usage_reading import Whose, read_usage

router = APIRouter(prefix="/usage", tags=["usage"])


@router.get("")
def list_usage(
    services: Services,
    call: Call,
    of: Annotated[Whose, Query(description="Yours, your workspace's, or everybody's.")] = (
        Whose.MINE
    ),
    since: Annotated[dt.date | None, Query(alias="from", description="The first day.")] = None,
    until: Annotated[
        dt.date | None, Query(alias="to", description="The day after the last one.")
    ] = None,
) -> dict[str, Any]:
    """Requests, rows, bytes and errors by day of UTC, and the quotas of your workspace."""
    report = read_usage(services, call, of, since, until)
    quotas = [
        {
            "quota": quota.name,
            "limit": quota.limit,
            "used": quota.used,
            "remaining": quota.remaining,
            "resets_at": quota.resets_at.isoformat(),
        }
        for quota in report.quotas
    ]
    return {"usage": report.rows, "workspace": report.workspace, "quotas": quotas}
