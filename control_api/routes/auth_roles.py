"""Roles, grants, and what one may do."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from control_api.dependencies import Call, Services
from flight_server import operations
from flight_server.auth import SERVER
from flight_server.bodies.permissions import (
    ChangeRole,
    CreateGrant,
    CreateRole,
    grant_told,
    permissions_told,
    role_told,
)
from flight_server.errors import InvalidRequest
from flight_server.model import NamespaceRef, TableRef

router = APIRouter(prefix="/auth", tags=["auth"])


@router.get("/roles")
def list_roles(services: Services, call: Call, workspace: str | None = None) -> dict[str, Any]:
    """The roles of your workspace that were made; built in are admin, writer and reader."""
    found = operations.list_roles(services, call, workspace)
    return {"roles": [role_told(role) for role in found]}


@router.post("/roles", status_code=201)
def create_role(services: Services, call: Call, body: CreateRole) -> dict[str, Any]:
    """Makes a role, which may do nothing until it is granted something."""
    made = operations.create_role(services, call, body.name, body.description, body.workspace)
    return role_told(made)


@router.patch("/roles/{name}")
def change_role(
    services: Services, call: Call, name: str, body: ChangeRole, workspace: str | None = None
) -> dict[str, Any]:
    """Gives a role another description."""
    changed = operations.describe_role(services, call, name, body.description, workspace)
    return role_told(changed)


@router.delete("/roles/{name}", status_code=204, response_class=Response)
def drop_role(services: Services, call: Call, name: str, workspace: str | None = None) -> None:
    """Removes a role that nobody has, with its grants."""
    operations.drop_role(services, call, name, workspace)


@router.get("/grants")
def list_grants(services: Services, call: Call, workspace: str | None = None) -> dict[str, Any]:
    """The grants that you manage, and those of your own roles."""
    found = operations.list_grants(services, call, workspace)
    return {"grants": [grant_told(grant) for grant in found]}


@router.post("/grants", status_code=201)
def create_grant(services: Services, call: Call, body: CreateGrant) -> dict[str, Any]:
    """Lets a role do something: with all of it, or with some columns and rows of tables."""
    return grant_told(operations.create_grant(services, call, body.grant(), body.workspace))


@router.delete("/grants/{id}", status_code=204, response_class=Response)
def drop_grant(services: Services, call: Call, id: str) -> None:
    """Takes a grant back."""
    operations.drop_grant(services, call, id)


@router.get("/permissions")
def my_permissions(
    services: Services, call: Call, table: str | None = None, namespace: str | None = None
) -> dict[str, Any]:
    """What you may do with a table, in a namespace, or with the server as a whole."""
    if table is not None and namespace is not None:
        raise InvalidRequest("Give 'table' or 'namespace', not both.")
    resource: Any = SERVER
    if table is not None:
        resource = TableRef.parse(table)
    elif namespace is not None:
        resource = NamespaceRef.parse(namespace)
    decisions = operations.permissions_on(services, call, resource)
    return {"permissions": permissions_told(decisions)}
