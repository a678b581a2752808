"""Who may manage users and keys, and which of them: nobody gives away what they do not have.

Whoever may `admin` the server may do all of it, and whoever may `admin` a workspace, all of it
there. Whoever may `grant` on a workspace manages those users and keys of it that have no role
beyond its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from flight_server.auth import SERVER, Action, WorkspaceRef, is_everything
from flight_server.errors import Forbidden, NotFound
from flight_server.model import DEFAULT_WORKSPACE, Principal
from flight_server.operations.services import Call, Services


@dataclass(frozen=True)
class Authority:
    """What somebody who manages others may do with whom: on the server, or in a workspace."""

    principal: Principal
    is_admin: bool
    is_workspace_admin: bool

    def check_roles(self, roles: Collection[str]) -> None:
        """Forbidden where a role is to be handed out that the giver does not have."""
        beyond = sorted(set(roles) - self.principal.roles)
        if beyond and not self.is_workspace_admin:
            raise Forbidden(
                f"You may not hand out the role '{beyond[0]}': you do not have it yourself."
            )

    def check_workspace(self, workspace: str) -> None:
        """Forbidden where somebody is to be put into a workspace that is not the giver's."""
        if workspace != self.principal.workspace and not self.is_admin:
            raise Forbidden(
                f"You may not put anybody into the workspace '{workspace}': yours is "
                f"'{self.principal.workspace}'."
            )

    def sees(self, workspace: str) -> bool:
        """Whether users and keys of the workspace may be known of."""
        return self.is_admin or workspace == self.principal.workspace

    def check(self, what: str, roles: Collection[str], workspace: str, missing: NotFound) -> None:
        """`missing` where it is in another workspace; Forbidden where it may do more."""
        if not self.sees(workspace):
            raise missing.refusing("manage", what)
        if not self.is_workspace_admin and not set(roles) <= self.principal.roles:
            message = f"You may not manage {what}: it has roles that you do not have."
            raise Forbidden(message).refusing("manage", what)


def check_workspace(services: Services, manager: Authority, workspace: str) -> None:
    """Forbidden, or NotFound, where nobody can be put into the workspace by this manager."""
    manager.check_workspace(workspace)
    if workspace != DEFAULT_WORKSPACE:
        services.permissions.find_workspace(workspace)


def authority(services: Services, call: Call) -> Authority | None:
    """What the caller may manage; None is nothing. A credential with scopes manages nothing."""
    if not is_everything(call.principal.scopes):
        return None
    principal, may = call.principal, services.access.may
    mine = WorkspaceRef(principal.workspace)
    is_admin = may(principal, Action.ADMIN, SERVER).allowed
    is_workspace_admin = is_admin or may(principal, Action.ADMIN, mine).allowed
    if is_workspace_admin or may(principal, Action.GRANT, mine).allowed:
        return Authority(principal, is_admin, is_workspace_admin)
    return None


def required_authority(services: Services, call: Call, what: str) -> Authority:
    """As `authority`. Forbidden where it is none: `what` cannot be managed."""
    found = authority(services, call)
    if found is None:
        raise Forbidden(
            f"You may not manage {what}: it takes a credential without scopes of somebody who "
            "may admin the server or your workspace, or grant on it."
        ).refusing("manage", what)
    return found
