"""Users: made, listed, changed, disabled and deleted by those who may; a password by its owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flight_server.auth import USER, User, is_everything, user_not_found
from flight_server.errors import Forbidden, InvalidRequest
from flight_server.model import check_name
from flight_server.operations.authority import Authority, check_workspace, required_authority
from flight_server.operations.services import Call, Services

_WHAT = "users"
# What a user may change of itself.
_OWN = frozenset({"password", "current_password"})


def create_user(
    services: Services,
    call: Call,
    name: str,
    *,
    roles: Sequence[str] = (),
    password: str | None = None,
    workspace: str | None = None,
    certificate: str | None = None,
    issuer: str | None = None,
    subject: str | None = None,
) -> User:
    """A new user. Forbidden; InvalidRequest; AlreadyExists; Conflict.

    In the caller's workspace unless another is given. Without a password it proves itself by a
    `certificate` of that name, by tokens of the `issuer` for the `subject`, or by keys.
    """
    manager = required_authority(services, call, _WHAT)
    manager.check_roles(roles)
    workspace = workspace or call.principal.workspace
    check_workspace(services, manager, workspace)
    more: dict[str, Any] = {"workspace": check_name(workspace, "workspace")}
    more |= _checked_links({"certificate": certificate, "issuer": issuer, "subject": subject})
    if password is not None:
        more["password_hash"] = services.passwords.hash(name, password)
    return services.users.create(name, roles, created_by=call.principal.name, **more)


def list_users(services: Services, call: Call) -> list[User]:
    """The users that the caller manages. Forbidden."""
    manager = required_authority(services, call, _WHAT)
    return [user for user in services.users.list() if manager.sees(user.workspace)]


def describe_user(services: Services, call: Call, name: str) -> User:
    """One user; everybody may see their own. Forbidden; NotFound."""
    if _is_self(call, name):
        return services.users.get(name)
    manager = required_authority(services, call, _WHAT)
    user = services.users.get(name)
    if not manager.sees(user.workspace):
        raise user_not_found(name)
    return user


def change_user(services: Services, call: Call, name: str, changes: Mapping[str, Any]) -> User:
    """Changes some of `password`, `roles`, `workspace`, `certificate`, `issuer` with `subject`.

    `disabled` keeps a user out or lets it in again, `end_tokens` ends its sessions and tokens, as
    a new password does. A user may change its own password by giving `current_password`.
    Forbidden; NotFound; InvalidRequest; Conflict.
    """
    if _is_self(call, name) and changes.keys() <= _OWN:
        return _change_own_password(services, call, name, changes)
    manager = required_authority(services, call, _WHAT)
    user = _managed(services, manager, name)
    if _is_self(call, name) and ("password" in changes or changes.get("disabled")):
        raise InvalidRequest(
            "Change your own password by 'password' and 'current_password' alone; you cannot "
            "disable yourself."
        )
    values = _checked(services, manager, name, changes)
    is_ended = bool(changes.get("end_tokens")) or "password_hash" in values
    if values or is_ended:
        user = services.users.change(name, values, ends_tokens=is_ended)
    if "disabled" in changes:
        user = services.users.set_disabled(name, bool(changes["disabled"]))
    return user


def delete_user(services: Services, call: Call, name: str) -> None:
    """Removes a user for good, with its keys, tokens and webhooks; its jobs and schedules end.

    Forbidden; NotFound; InvalidRequest.
    """
    manager = required_authority(services, call, _WHAT)
    _managed(services, manager, name)
    if _is_self(call, name):
        raise InvalidRequest("You cannot delete yourself.")
    services.keys.forget(services.users.delete(name))
    services.webhooks.refresh()


def managed_owner(services: Services, manager: Authority, name: str) -> User:
    """A user whose keys the manager may make. NotFound; Forbidden."""
    return _managed(services, manager, name)


def _change_own_password(
    services: Services, call: Call, name: str, changes: Mapping[str, Any]
) -> User:
    if "password" not in changes or "current_password" not in changes:
        raise InvalidRequest("Give both 'password', the new one, and 'current_password'.")
    if not is_everything(call.principal.scopes):
        raise Forbidden("A credential with scopes may not change a password.")
    services.passwords.check(name, changes["current_password"])
    kept = services.passwords.hash(name, changes["password"])
    return services.users.change(name, {"password_hash": kept}, ends_tokens=True)


def _managed(services: Services, manager: Authority, name: str) -> User:
    user = services.users.get(name)
    what = f"the user '{name}'"
    manager.check(what, user.all_roles, user.workspace, user_not_found(name))
    return user


def _checked(
    services: Services, manager: Authority, name: str, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """The columns to set, each of which the manager may."""
    if "current_password" in changes:
        raise InvalidRequest("'current_password' is for your own password: leave it out here.")
    values: dict[str, Any] = {}
    if "roles" in changes:
        manager.check_roles(changes["roles"])
        values["roles"] = changes["roles"]
    if "workspace" in changes:
        check_workspace(services, manager, changes["workspace"])
        values["workspace"] = check_name(changes["workspace"], "workspace")
    values |= _checked_links(changes)
    if "password" in changes:
        given = changes["password"]
        values["password_hash"] = None if given is None else services.passwords.hash(name, given)
    return values


def _checked_links(given: Mapping[str, Any]) -> dict[str, Any]:
    """What else a user may be known by: a certificate, or an issuer's subject."""
    links = {key: given[key] for key in ("certificate", "issuer", "subject") if key in given}
    if links.get("certificate") is not None:
        check_name(links["certificate"], "certificate's name")
    if (links.get("issuer") is None) != (links.get("subject") is None):
        raise InvalidRequest("'issuer' and 'subject' go together: give both, or neither.")
    return links


def _is_self(call: Call, name: str) -> bool:
    return call.principal.id == USER + name
