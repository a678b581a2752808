"""Roles and grants: made, listed and taken back, and what somebody may do somewhere.

Whoever may `admin` a workspace says in it what each role may do. Whoever may `grant` on something
may let others do there what it may do itself: the same actions, on no more columns and rows.
"""

from __future__ import annotations

import functools

from flight_server.auth import (
    BUILT_IN_ROLES,
    SERVER,
    Action,
    CatalogRef,
    Decision,
    Grant,
    Permit,
    Resource,
    Role,
    StoredGrant,
    folded,
    grant_not_found,
    workspace_not_found,
)
from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, NotFound, did_you_mean
from flight_server.model import (
    DEFAULT_CATALOG,
    DEFAULT_NAMESPACE,
    DEFAULT_WORKSPACE,
    NamespaceRef,
    Principal,
    TableRef,
)
from flight_server.operations.authorise import check_in_view, hide_internal, known_table
from flight_server.operations.authority import authority, required_authority
from flight_server.operations.services import Call, Services
from flight_server.query import (
    WORDS,
    Asker,
    bound_filter,
    check_row_filter,
    columns_named,
    mentions_asker,
)

_NOBODY = Principal("", "")


def bound_to(text: str, principal: Principal) -> str:
    """A grant's row filter with what it says of the principal filled in."""
    return bound_filter(text, _asker(principal))


@functools.lru_cache(maxsize=1024)
def _asker(principal: Principal) -> Asker:
    values = (principal.name, principal.id, principal.workspace)
    return Asker(tuple(zip(WORDS, values, strict=True)), principal.roles)


def list_roles(services: Services, call: Call, workspace: str | None = None) -> list[Role]:
    """The roles that were made in a workspace, the caller's unless another is named. Forbidden.

    Who manages nothing sees those it has.
    """
    place = _workspace(services, call, workspace)
    found = services.permissions.list_roles(place)
    if authority(services, call) is not None:
        return found
    return [role for role in found if role.name in call.principal.roles]


def create_role(
    services: Services, call: Call, name: str, description: str = "", workspace: str | None = None
) -> Role:
    """A new role that may do nothing yet. AlreadyExists; NotFound; InvalidRequest; Forbidden."""
    place = _administered(services, call, workspace)
    return services.permissions.create_role(place, name, description, call.principal.name)


def describe_role(
    services: Services, call: Call, name: str, description: str, workspace: str | None = None
) -> Role:
    """Gives a role another description. NotFound; Forbidden."""
    place = _administered(services, call, workspace)
    _check_made(name)
    return services.permissions.describe_role(place, name, description)


def drop_role(services: Services, call: Call, name: str, workspace: str | None = None) -> None:
    """Removes a role with its grants. NotFound; Conflict while somebody has it; Forbidden."""
    place = _administered(services, call, workspace)
    _check_made(name)
    services.permissions.drop_role(place, name)


def list_grants(services: Services, call: Call, workspace: str | None = None) -> list[StoredGrant]:
    """The grants of a workspace, the caller's unless another is named. Forbidden.

    Who does not manage them sees those of its own roles, and those it could have made.
    """
    place = _workspace(services, call, workspace)
    found = services.permissions.list_grants(place)
    manager = authority(services, call)
    if manager is not None and manager.is_workspace_admin:
        return found
    mine = call.principal.roles
    return [one for one in found if one.grant.role in mine or _may_hand_out(services, call, one)]


def create_grant(
    services: Services, call: Call, grant: Grant, workspace: str | None = None
) -> StoredGrant:
    """Lets a role do something. NotFound; InvalidRequest; Forbidden."""
    place = _workspace(services, call, workspace)
    resource = _resource(grant)
    if isinstance(resource, TableRef):
        hide_internal(resource)
    manager = authority(services, call)
    if isinstance(resource, CatalogRef):
        services.engine(resource.name)
    if manager is None or not manager.is_workspace_admin:
        _check_in_view(services, call, resource)
        _check_held(services, call, grant, resource)
    if isinstance(resource, TableRef | NamespaceRef) and services.access.owner(resource) != place:
        raise InvalidRequest(
            f"'{resource}' is nothing of the workspace '{place}': name what lies in its namespaces."
        )
    _check_limits(services, call, grant, resource)
    return services.permissions.create_grant(place, grant, call.principal.name)


def drop_grant(services: Services, call: Call, id: str) -> None:
    """Takes a grant back: who could have made it may. NotFound; Forbidden."""
    found = services.permissions.find_grant(id)
    manager = authority(services, call)
    if manager is not None and manager.is_workspace_admin and manager.sees(found.workspace):
        services.permissions.drop_grant(id)
        return
    if found.workspace != call.principal.workspace:
        raise grant_not_found(id)
    if not _may_hand_out(services, call, found):
        if found.grant.role in call.principal.roles:
            raise Forbidden(f"You may not take back the grant '{id}'.")
        raise grant_not_found(id)
    services.permissions.drop_grant(id)


def permissions_on(services: Services, call: Call, resource: Resource) -> dict[Action, Decision]:
    """What the caller may do with something, action by action. NotFound where it is hidden."""
    if isinstance(resource, TableRef):
        resource = known_table(services, call, resource)
    may = services.access.may
    if isinstance(resource, NamespaceRef):
        check_in_view(services, call, resource)
    return {action: may(call.principal, action, resource) for action in Action}


def _workspace(services: Services, call: Call, workspace: str | None) -> str:
    """The workspace that is meant, once it is known that the caller may look into it."""
    mine = call.principal.workspace
    if workspace is None or workspace == mine:
        return mine
    if not services.access.may(call.principal, Action.ADMIN, SERVER).allowed:
        raise workspace_not_found(workspace)
    if workspace != DEFAULT_WORKSPACE:
        services.permissions.find_workspace(workspace)
    return workspace


def _administered(services: Services, call: Call, workspace: str | None) -> str:
    place = _workspace(services, call, workspace)
    manager = required_authority(services, call, "roles")
    if not manager.is_workspace_admin:
        raise Forbidden("You may not manage roles: it takes somebody who may admin the workspace.")
    return place


def _may_hand_out(services: Services, call: Call, stored: StoredGrant) -> bool:
    try:
        _check_held(services, call, stored.grant, _resource(stored.grant))
    except Forbidden:
        return False
    return True


def _check_held(services: Services, call: Call, grant: Grant, resource: Resource) -> None:
    """Forbidden where the grant lets anybody do what the caller may not do itself."""
    may, principal = services.access.may, call.principal
    if not may(principal, Action.GRANT, resource).allowed:
        raise Forbidden(f"You may not grant on {_named(resource)}.")
    # What is held is already said of the caller; a filter that is said of somebody else as well is
    # held by nobody who is limited to rows.
    rows = grant.rows
    if rows is not None and not mentions_asker(rows):
        rows = bound_to(rows, principal)
    wanted = Permit(grant.permit.columns, rows)
    for action in sorted(grant.actions):
        held = [one for one in may(principal, action, resource).permits if one.contains(wanted)]
        if not held or not (rows is None or _may_judge(services, call, resource, rows, held)):
            raise Forbidden(
                f"You may not let others {action.value} on {_named(resource)}: you may do less "
                "there yourself."
            )


def _may_judge(
    services: Services, call: Call, resource: Resource, rows: str, held: list[Permit]
) -> bool:
    """Whether the filter tells nothing that the caller may not read.

    Whoever sees which rows it leaves, learns of the columns in it.
    """
    if any(permit.rows == rows for permit in held):
        return True
    readable = services.access.may(call.principal, Action.READ, resource)
    return all(readable.permits_column(name) for name in columns_named(bound_to(rows, _NOBODY)))


def _check_in_view(services: Services, call: Call, resource: Resource) -> None:
    """NotFound where a table or namespace is missing, and alike where it is hidden."""
    if isinstance(resource, TableRef):
        known_table(services, call, resource)
    elif isinstance(resource, NamespaceRef):
        check_in_view(services, call, resource)


def _check_limits(services: Services, call: Call, grant: Grant, resource: Resource) -> None:
    """InvalidRequest where a table that is there has no such column, or the filter is none."""
    columns = _columns(services, call, resource)
    known = None if columns is None else {folded(name) for name in columns}
    for name in sorted(grant.columns or ()):
        if known is not None and folded(name) not in known:
            near = did_you_mean(name, columns or ())
            raise InvalidRequest(
                f"The table '{resource}' has no column '{name}'.{near}",
                code=ErrorCode.COLUMN_NOT_FOUND,
            )
    if grant.rows is not None:
        check_row_filter(grant.rows, columns)


def _check_made(role: str) -> None:
    if role in BUILT_IN_ROLES:
        raise InvalidRequest(f"The role '{role}' is built in and stays as it is.")


def _columns(services: Services, call: Call, resource: Resource) -> tuple[str, ...] | None:
    """The columns of a table that is there and known to the caller; None for all else."""
    if not isinstance(resource, TableRef):
        return None
    try:
        table = known_table(services, call, resource)
        return tuple(services.engine(table.catalog).resolve(table).schema.names)
    except NotFound:
        return None


def _resource(grant: Grant) -> Resource:
    """What a grant is about. InvalidRequest where a part is named without what it lies in."""
    if grant.table is not None:
        catalog = grant.catalog or DEFAULT_CATALOG
        return TableRef(catalog, grant.namespace or DEFAULT_NAMESPACE, grant.table)
    if grant.namespace is not None:
        return NamespaceRef(grant.catalog or DEFAULT_CATALOG, grant.namespace)
    return SERVER if grant.catalog is None else CatalogRef(grant.catalog)


def _named(resource: Resource) -> str:
    match resource:
        case TableRef() | NamespaceRef():
            return f"'{resource}'"
        case CatalogRef(name):
            return f"the catalog '{name}'"
    return "the server"
