"""Access: the policy with the grants that are in force.

Asked by operations and by the rewriting of SQL; knows neither tables nor protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from flight_server.auth.permissions import Permissions
from flight_server.auth.policy import Action, Decision, Grant, Permit, Resource, may
from flight_server.model import DEFAULT_WORKSPACE, Principal

# Who everybody is on a server that asks for no credential.
ANONYMOUS = Principal("anonymous", "anonymous", frozenset({"admin"}))

# A row filter with what it says of its principal filled in.
Bind = Callable[[str, Principal], str]


class Access:
    """Decides by the permissions that `current` gives, each question once for as long as they last.

    `bind` makes of a grant's row filter the one for a principal.
    """

    def __init__(
        self,
        current: Callable[[], Permissions] | None = None,
        bind: Bind = lambda text, principal: text,
    ) -> None:
        self._current = current or fixed({})
        self._bind = bind

    def may(self, principal: Principal, action: Action, resource: Resource) -> Decision:
        """Whether the principal may do it, with how much, and whether it may know of it."""
        permissions = self._current()
        asked = (principal, action, resource)
        decision = permissions.decisions.get(asked)
        if decision is None:
            decision = self._decided(permissions, *asked)
            permissions.remember(asked, decision)
        return decision

    def role_names(self, workspace: str) -> Collection[str]:
        """The roles that there are in a workspace."""
        return self._current().role_names(workspace)

    def owner(self, resource: Resource) -> str:
        """The workspace that a table or namespace belongs to."""
        return self._current().owner(resource)

    def _decided(
        self, permissions: Permissions, principal: Principal, action: Action, resource: Resource
    ) -> Decision:
        grants = permissions.granted(principal.workspace, principal.roles, resource)
        decision = may(principal, action, resource, grants, permissions.owner(resource))
        return replace(
            decision, permits=tuple(self._bound(permit, principal) for permit in decision.permits)
        )

    def _bound(self, permit: Permit, principal: Principal) -> Permit:
        if permit.rows is None:
            return permit
        return replace(permit, rows=self._bind(permit.rows, principal))


def fixed(roles: Mapping[str, Collection[Grant]]) -> Callable[[], Permissions]:
    """What gives permissions of the default workspace that nobody changes."""
    found = Permissions(grants={(DEFAULT_WORKSPACE, role): tuple(of) for role, of in roles.items()})
    return lambda: found
