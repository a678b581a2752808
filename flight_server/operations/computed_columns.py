"""Columns that an engine computes, and the functions that it has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flight_server.auth import Action, CatalogRef
from flight_server.engines.base import require
from flight_server.engines.computed import SupportsFunctions
from flight_server.errors import ErrorCode, NotFound
from flight_server.operations.services import Call, Services, engine_of


def list_functions(services: Services, call: Call, catalog: str) -> list[Mapping[str, Any]]:
    """What expressions over tables of a catalog may call. NotFound (catalog_not_found)."""
    engine = engine_of(services, call, catalog)
    if not services.access.may(call.principal, Action.READ, CatalogRef(catalog)).visible:
        raise NotFound(f"There is no catalog '{catalog}'.", code=ErrorCode.CATALOG_NOT_FOUND)
    return require(engine, SupportsFunctions).functions()
