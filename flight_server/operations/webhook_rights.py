"""What the owner of a webhook may hear: what it could see if it asked now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flight_server.auth import Access, Action, WorkspaceRef, is_everything
from flight_server.errors import PixelflightError
from flight_server.model import HIDDEN_PREFIX, Principal, TableRef
from flight_server.webhooks import Hearing, HookOwner


class HookRights:
    """Judges by the grants that are in force; `principal_of` is the authenticator's."""

    def __init__(self, access: Access, principal_of: Callable[[str], Principal]) -> None:
        self._access = access
        self._principal_of = principal_of

    def of_table(self, owner: HookOwner, table: TableRef) -> Hearing:
        """See `Rights.of_table`."""
        principal = self._principal(owner)
        if principal is None or table.namespace.lower().startswith(HIDDEN_PREFIX):
            return Hearing.NOTHING
        decision = self._access.may(principal, Action.READ, table)
        if not decision.visible:
            return Hearing.NOTHING
        is_all = decision.allowed and decision.row_filter is None
        return Hearing.ALL if is_all else Hearing.PART

    def of_job(self, owner: HookOwner, job_owner: str, workspace: str) -> bool:
        """See `Rights.of_job`: one's own jobs, and an administrator's workspace's."""
        principal = self._principal(owner)
        if principal is None:
            return False
        if principal.id == job_owner:
            return True
        if not is_everything(principal.scopes) or principal.workspace != workspace:
            return False
        return self._access.may(principal, Action.ADMIN, WorkspaceRef(workspace)).allowed

    def _principal(self, owner: HookOwner) -> Principal | None:
        """Who the owner is now; None where it is nobody any more."""
        try:
            principal = self._principal_of(owner.principal_id)
        except PixelflightError:
            return None
        if owner.scopes is None:
            return principal
        if principal.scopes is None:
            return replace(principal, scopes=owner.scopes)
        # A key whose scopes were narrowed since is held to both by the narrower of the two.
        return principal if principal.scopes <= owner.scopes else None
