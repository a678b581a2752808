"""API keys: made, listed, rotated and revoked, by those who manage keys and by their owners."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from flight_server.auth import KEY, USER, KeyInfo, key_not_found, within
from flight_server.errors import Forbidden, InvalidRequest
from flight_server.operations.authority import (
    Authority,
    authority,
    check_workspace,
    required_authority,
)
from flight_server.operations.services import Call, Services
from flight_server.operations.users import managed_owner

_WHAT = "API keys"


def create_key(
    services: Services,
    call: Call,
    name: str,
    *,
    roles: Sequence[str] = (),
    owner: str | None = None,
    scopes: Collection[str] | None = None,
    expires_at: dt.datetime | None = None,
    workspace: str | None = None,
) -> tuple[str, KeyInfo]:
    """A new key: its text, shown this once, and what is known of it.

    With `roles` it is a principal of its own; without, it is a key of its `owner`, who is the
    caller unless somebody else is named. Its scopes are no wider than those of the credential
    that it is made with. Forbidden; NotFound; InvalidRequest; Conflict.
    """
    if not within(None if scopes is None else frozenset(scopes), call.principal.scopes):
        raise Forbidden("A key may not have wider scopes than the credential it is made with.")
    me = _name_of_user(call)
    if owner is None and not roles:
        if me is None:
            raise InvalidRequest("Name the key's 'roles', or the user that is its 'owner'.")
        owner = me
    if owner is not None and owner == me:
        workspace = _only(workspace, call.principal.workspace)
    else:
        manager = required_authority(services, call, _WHAT)
        if owner is not None:
            workspace = _only(workspace, managed_owner(services, manager, owner).workspace)
        else:
            manager.check_roles(roles)
            workspace = workspace or call.principal.workspace
            check_workspace(services, manager, workspace)
    return services.keys.create(
        name,
        roles,
        created_by=call.principal.name,
        expires_at=expires_at,
        workspace=workspace,
        owner=owner,
        scopes=scopes,
    )


def list_keys(services: Services, call: Call) -> list[KeyInfo]:
    """The keys that the caller manages, or just its own."""
    manager = authority(services, call)
    return [key for key in services.keys.list() if _may_see(services, call, manager, key)]


def describe_key(services: Services, call: Call, key_id: str) -> KeyInfo:
    """One key. NotFound where it is none of those that the caller may see."""
    key = services.keys.find(key_id)
    if key is None or not _may_see(services, call, authority(services, call), key):
        raise key_not_found(key_id)
    return key


def revoke_key(services: Services, call: Call, key_id: str) -> KeyInfo:
    """Ends a key. NotFound; Forbidden."""
    _check_mine(services, call, key_id)
    return services.keys.revoke(key_id)


def rotate_key(
    services: Services, call: Call, key_id: str, overlap_seconds: float
) -> tuple[str, KeyInfo]:
    """A new secret for a key, shown this once; the old one works for so long beside it.

    NotFound; Forbidden; Conflict; InvalidRequest.
    """
    _check_mine(services, call, key_id)
    return services.keys.rotate(key_id, overlap_seconds)


def _check_mine(services: Services, call: Call, key_id: str) -> None:
    """NotFound for a key that the caller does not see; Forbidden for one that may do more."""
    key = describe_key(services, call, key_id)
    scopes = None if key.scopes is None else frozenset(key.scopes)
    if _is_own(call, key):
        if not within(scopes, call.principal.scopes):
            raise Forbidden("That key may do more than the credential you show: use another.")
        return
    manager = required_authority(services, call, _WHAT)
    roles, workspace = _rights(services, key)
    manager.check("this key", roles, workspace, key_not_found(key_id))


def _may_see(services: Services, call: Call, manager: Authority | None, key: KeyInfo) -> bool:
    if _is_own(call, key):
        return True
    return manager is not None and manager.sees(_rights(services, key)[1])


def _rights(services: Services, key: KeyInfo) -> tuple[Collection[str], str]:
    """The roles and the workspace of whoever shows the key: its own, or its owner's now."""
    owner = services.users.find(key.owner) if key.owner is not None else None
    return (key.roles, key.workspace) if owner is None else (owner.all_roles, owner.workspace)


def _is_own(call: Call, key: KeyInfo) -> bool:
    if key.owner is not None:
        return call.principal.id == USER + key.owner
    return call.principal.id == KEY + key.id


def _name_of_user(call: Call) -> str | None:
    """The name of the user that the caller is; None where it is none."""
    kind, name = call.principal.id[: len(USER)], call.principal.id[len(USER) :]
    return name if kind == USER else None


def _only(given: str | None, workspace: str) -> str:
    """The workspace of a user's key. InvalidRequest where another one is asked for."""
    if given is not None and given != workspace:
        raise InvalidRequest(f"A user's key is in the user's workspace, '{workspace}'.")
    return workspace
