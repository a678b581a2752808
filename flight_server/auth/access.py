"""Access: the policy with the grants that are in force.

Asked by operations and by the rewriting of SQL; knows neither tables nor protocols.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flight_server.auth.policy import BUILT_IN_ROLES, Action, Decision, Grant, Resource, may
from flight_server.model import Principal

# Who everybody is on a server that asks for no credential.
ANONYMOUS = Principal("anonymous", "anonymous", frozenset({"admin"}))


class Access:
    """Decides by the grants of roles; the built-in ones unless others are given."""

    def __init__(self, roles: Mapping[str, Collection[Grant]] = BUILT_IN_ROLES) -> None:
        self._roles = roles

    def may(self, principal: Principal, action: Action, resource: Resource) -> Decision:
        """Whether the principal may do it, with how much, and whether it may know of it."""
        grants = [grant for role in principal.roles for grant in self._roles.get(role, ())]
        return may(principal, action, resource, grants)
