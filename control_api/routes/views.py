"""Views: SELECTs under a name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from control_api.dependencies import Call, Services
from control_api.paths import Table
from flight_server import operations
from flight_server.bodies.answers import committed
from flight_server.bodies.views import CreateView, view_described
from flight_server.model import TableRef

router = APIRouter(prefix="/views", tags=["views"])


@router.get("")
def list_views(
    services: Services, call: Call, catalog: str | None = None, namespace: str | None = None
) -> dict[str, Any]:
    """The views that you may know of."""
    found = operations.list_views(services, call, catalog, namespace)
    return {"views": [str(view) for view in found]}


@router.post("", status_code=201)
def create_view(services: Services, call: Call, body: CreateView) -> dict[str, Any]:
    """Keeps a SELECT under a name; it is run when it is read, with the rights of its reader."""
    view = TableRef.parse(body.view)
    return committed(
        operations.create_view(
            services, call, view, body.sql, body.columns, body.replace, body.comment
        )
    )


@router.get("/{table:table}")
def describe_view(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """A view with its columns and, where you may read all that it names, what it says."""
    return view_described(operations.describe_view(services, call, table))


@router.delete("/{table:table}")
def drop_view(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """Removes a view, and nothing of what it reads."""
    return committed(operations.drop_view(services, call, table))
