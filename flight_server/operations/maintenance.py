"""Keeping well: housekeeping on demand, holds for tickets, what the server can do."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from flight_server.auth import SERVER, Action
from flight_server.engines.base import (
    Engine,
    SupportsRest,
    abilities,
    require,
)
from flight_server.engines.history import SupportsTimeline
from flight_server.engines.upkeep import SupportsHousekeeping, SupportsPins
from flight_server.errors import Forbidden
from flight_server.model import DEFAULT_CATALOG, Housekeeping, TableRef
from flight_server.operations.authorise import permitted, refuse_views
from flight_server.operations.services import Call, Services


def optimize(services: Services, call: Call, table: TableRef | None) -> Housekeeping:
    """A round of housekeeping: for one table, or, for admins, for the whole lake."""
    if table is None:
        if not services.access.may(call.principal, Action.ADMIN, SERVER).allowed:
            raise Forbidden("Only an admin may optimize the whole lake. Name a table.")
        return require(services.engine(DEFAULT_CATALOG), SupportsHousekeeping).housekeep()
    allowed = permitted(services, call, table, Action.ALTER)
    refuse_views(allowed, "has no files to tend")
    return require(allowed.engine, SupportsHousekeeping).housekeep([allowed.table])


def hold(services: Services, catalog: str, snapshot: int, sliced: TableRef | None = None) -> None:
    """Keeps a snapshot readable for as long as a ticket that is made now can be redeemed.

    `sliced` is the table that the ticket is for a part of.
    """
    engine = services.engine(catalog)
    if isinstance(engine, SupportsPins):
        engine.hold(snapshot, services.settings.ticket_seconds, sliced)


def pinned(services: Services, catalog: str, snapshot: int | None) -> AbstractContextManager[None]:
    """Keeps a snapshot readable while the block runs."""
    engine = services.engine(catalog)
    if snapshot is None or not isinstance(engine, SupportsPins):
        return nullcontext()
    return engine.pinned(snapshot)


def health(services: Services) -> dict[str, Any]:
    """What is mounted, and the newest snapshot of each: proof that the engines answer."""
    return {
        "status": "ready",
        "catalogs": {
            name: {
                "abilities": abilities(engine),
                "snapshot": engine.snapshot() if isinstance(engine, SupportsTimeline) else None,
            }
            | _of_rest(engine)
            for name, engine in services.engines.items()
        },
    }


def _of_rest(engine: Engine) -> dict[str, Any]:
    """How an engine is that is started when it is asked something; what it does not do, and why."""
    if not isinstance(engine, SupportsRest):
        return {}
    return {"awake": engine.is_awake, "notice": engine.notice}
