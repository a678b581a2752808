"""Views: SELECTs under a name."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from control_api.dependencies import NO_BODY, Call, Services
from control_api.paths import CASCADE, Table
from flight_server import operations
from flight_server.bodies.answers import committed
from flight_server.bodies.views import CreateView, refreshed, view_described
from flight_server.model import TableRef

_OF = "A table, a view or a snapshot: what is made of it, as far as you are told of what."

router = APIRouter(prefix="/views", tags=["views"])


@router.get("")
def list_views(
    services: Services,
    call: Call,
    catalog: str | None = None,
    namespace: str | None = None,
    of: Annotated[str | None, Query(description=_OF)] = None,
) -> dict[str, Any]:
    """The views that you may know of: everywhere, in one place, or those made of a table."""
    if of is not None:
        found = operations.views_of(services, call, TableRef.parse(of))
    else:
        found = operations.list_views(services, call, catalog, namespace)
    return {"views": [str(view) for view in found]}


@router.post("", status_code=201)
def create_view(services: Services, call: Call, body: CreateView) -> dict[str, Any]:
    """Keeps a SELECT under a name; it is run when it is read, with the rights of its reader.

    With `materialized` its rows are kept, which are computed with the rights of its maker, when
    it is made and whenever it is refreshed.
    """
    return committed(body.create(services, call))


@router.get("/{table:table}")
def describe_view(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """A view with its columns and, where you may read all that it names, what it says."""
    info = operations.describe_view(services, call, table)
    return view_described(info, operations.freshness(services, call, info))


@router.post("/{table:table}/refresh", dependencies=[NO_BODY])
def refresh_view(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """Brings the rows of a materialised view up to date.

    `mode` is `incremental` where only new rows had to be added, and null where nothing had to.
    """
    return refreshed(operations.refresh_view(services, call, table))


@router.delete("/{table:table}")
def drop_view(
    services: Services,
    call: Call,
    table: Table,
    cascade: Annotated[bool, Query(description=CASCADE)] = False,
) -> dict[str, Any]:
    """Removes a view, and nothing of what it reads."""
    return committed(operations.drop_view(services, call, table, cascade))
