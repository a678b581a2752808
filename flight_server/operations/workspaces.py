"""Workspaces: isolated sets of namespaces with users, keys, roles and grants of their own.

The server's admins make them and say which namespaces are whose. What belongs to one does not
exist for principals of another, the server's own workspace among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flight_server.auth import SERVER, Action, Workspace, folded, is_everything
from flight_server.engines.base import SupportsNamespaces
from flight_server.errors import Conflict, Forbidden, InvalidRequest
from flight_server.model import (
    DEFAULT_CATALOG,
    DEFAULT_NAMESPACE,
    HIDDEN_PREFIX,
    NamespaceRef,
    check_name,
)
from flight_server.operations.services import Call, Services
from flight_server.operations.tables import check_namespace_name
from flight_server.operations.workspace_limits import parse_workspace_limits


def list_workspaces(services: Services, call: Call) -> list[Workspace]:
    """All of them for the server's admins; one's own for everybody else."""
    found = services.permissions.list_workspaces()
    if _is_admin(services, call):
        return found
    return [one for one in found if one.name == call.principal.workspace]


def create_workspace(
    services: Services,
    call: Call,
    name: str,
    description: str = "",
    namespace: NamespaceRef | None = None,
) -> Workspace:
    """A new workspace, with a namespace of its name unless another is given.

    A namespace that is not there yet is made. AlreadyExists; Conflict where the namespace is
    another workspace's; InvalidRequest; Forbidden.
    """
    _require_admin(services, call)
    check_name(name, "workspace")
    place = namespace or NamespaceRef(DEFAULT_CATALOG, name)
    _check_assignable(services, place)
    made = services.permissions.create_workspace(name, description, place, call.principal.name)
    _make_namespace(services, call, place)
    return made


def change_workspace(
    services: Services, call: Call, name: str, changes: Mapping[str, Any]
) -> Workspace:
    """Sets `description`, `limits`, or `namespaces`: those that it is to have from now on.

    NotFound; Conflict; InvalidRequest; Forbidden.
    """
    _require_admin(services, call)
    values = {key: changes[key] for key in ("description", "limits") if key in changes}
    if "limits" in values:
        parse_workspace_limits(values["limits"])
    for place in changes.get("namespaces", ()):
        _check_assignable(services, place)
    changed = services.permissions.change_workspace(name, values)
    services.limits.forget(name)
    if "namespaces" in changes:
        _set_namespaces(services, call, changed, changes["namespaces"])
        changed = services.permissions.find_workspace(name)
    return changed


def drop_workspace(services: Services, call: Call, name: str) -> None:
    """Removes a workspace that nobody and nothing is in. NotFound; Conflict; Forbidden."""
    _require_admin(services, call)
    found = services.permissions.find_workspace(name)
    for place in found.namespaces:
        for one in services.engine(place.catalog).namespaces():
            there = NamespaceRef(place.catalog, one)
            if services.access.owner(there) != name:
                continue
            raise Conflict(
                f"The workspace '{name}' has the namespace '{there}': drop it, or give it to "
                "another workspace, first."
            )
    services.permissions.drop_workspace(name)


def _set_namespaces(
    services: Services, call: Call, workspace: Workspace, wanted: Sequence[NamespaceRef]
) -> None:
    places = {(folded(one.catalog), folded(one.name)): one for one in wanted}
    had = {(one.catalog, one.name) for one in workspace.namespaces}
    for key in places.keys() - had:
        _make_namespace(services, call, places[key])
    services.permissions.assign_all(workspace.name, [places[key] for key in sorted(places)])


def _check_assignable(services: Services, place: NamespaceRef) -> None:
    """InvalidRequest, or NotFound, where it can be no workspace's, before anything is changed."""
    services.engine(place.catalog)
    check_namespace_name(place)
    if place.name.lower() == DEFAULT_NAMESPACE or place.name.lower().startswith(HIDDEN_PREFIX):
        raise InvalidRequest(f"The namespace '{place}' is the server's own and stays with it.")


def _make_namespace(services: Services, call: Call, place: NamespaceRef) -> None:
    """Makes the namespace where it is missing and the engine can."""
    engine = services.engine(place.catalog)
    known = {name.lower() for name in engine.namespaces()}
    if place.name.lower() not in known and isinstance(engine, SupportsNamespaces):
        engine.create_namespace(place, call.author("create namespace"))


def _is_admin(services: Services, call: Call) -> bool:
    allowed = services.access.may(call.principal, Action.ADMIN, SERVER).allowed
    return allowed and is_everything(call.principal.scopes)


def _require_admin(services: Services, call: Call) -> None:
    if not _is_admin(services, call):
        raise Forbidden("You may not manage workspaces: it takes an admin of the server.")
