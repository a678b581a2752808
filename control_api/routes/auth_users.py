"""Users, and who asks."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from control_api.dependencies import Call, Identity, Services
from flight_server import operations
from flight_server.bodies.identity import ChangeUser, CreateUser, identity_told, user_told

router = APIRouter(prefix="/auth", tags=["auth"])


@router.get("/me")
def who_am_i(identity: Identity) -> dict[str, Any]:
    """Who you are here: roles, scopes, workspace, and how long your credential lasts."""
    return identity_told(identity)


@router.get("/users")
def list_users(services: Services, call: Call) -> dict[str, Any]:
    """The users that you manage."""
    return {"users": [user_told(user) for user in operations.list_users(services, call)]}


@router.post("/users", status_code=201)
def create_user(services: Services, call: Call, body: CreateUser) -> dict[str, Any]:
    """Makes a user."""
    given = body.model_dump(exclude={"name", "password"})
    password = body.password.get_secret_value() if body.password is not None else None
    made = operations.create_user(services, call, body.name, password=password, **given)
    return user_told(made)


@router.get("/users/{name}")
def describe_user(services: Services, call: Call, name: str) -> dict[str, Any]:
    """One user. Everybody may see their own."""
    return user_told(operations.describe_user(services, call, name))


@router.patch("/users/{name}")
def change_user(services: Services, call: Call, name: str, body: ChangeUser) -> dict[str, Any]:
    """Changes a user; your own password with `password` and `current_password`."""
    return user_told(operations.change_user(services, call, name, body.changes()))


@router.delete("/users/{name}", status_code=204, response_class=Response)
def delete_user(services: Services, call: Call, name: str) -> None:
    """Removes a user with its keys and tokens."""
    operations.delete_user(services, call, name)
