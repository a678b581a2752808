"""Workspaces: isolated sets of namespaces."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from control_api.dependencies import Call, Services
from flight_server import operations
from flight_server.bodies.permissions import ChangeWorkspace, CreateWorkspace, workspace_told

router = APIRouter(prefix="/workspaces", tags=["workspaces"])


@router.get("")
def list_workspaces(services: Services, call: Call) -> dict[str, Any]:
    """All workspaces for the server's admins, your own for you."""
    found = operations.list_workspaces(services, call)
    return {"workspaces": [workspace_told(workspace) for workspace in found]}


@router.post("", status_code=201)
def create_workspace(services: Services, call: Call, body: CreateWorkspace) -> dict[str, Any]:
    """Makes a workspace with a namespace of its own."""
    made = operations.create_workspace(services, call, body.name, body.description, body.place())
    return workspace_told(made)


@router.patch("/{name}")
def change_workspace(
    services: Services, call: Call, name: str, body: ChangeWorkspace
) -> dict[str, Any]:
    """Sets a workspace's description, limits, or the namespaces that are its own."""
    return workspace_told(operations.change_workspace(services, call, name, body.changes()))


@router.delete("/{name}", status_code=204, response_class=Response)
def drop_workspace(services: Services, call: Call, name: str) -> None:
    """Removes a workspace in which nobody and nothing is."""
    operations.drop_workspace(services, call, name)
