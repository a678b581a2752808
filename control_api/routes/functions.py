"""What expressions of computed columns may call."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from control_api.dependencies import Call, Services
from flight_server import operations
from flight_server.model import PIXELTABLE_CATALOG

router = APIRouter(prefix="/functions", tags=["functions"])


@router.get("")
def list_functions(
    services: Services, call: Call, catalog: str = PIXELTABLE_CATALOG
) -> dict[str, Any]:
    """The functions of a catalog, with their signatures.

    `withheld` says what keeps one from being called, if anything does; types are told by the
    engine's names and by Arrow's.
    """
    return {"functions": operations.list_functions(services, call, catalog)}
