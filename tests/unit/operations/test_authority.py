"""Who manages whom: holders of `grant` give away nothing that they do not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flight_server import operations
from flight_server.auth import (
    BUILT_IN_ROLES,
    Access,
    Action,
    Grant,
    KeyStore,
    UserStore,
)
from flight_server.auth.permissions import Permissions
from flight_server.errors import Forbidden, NotFound, PixelflightError
from flight_server.model import DEFAULT_CATALOG, NamespaceRef, Principal
from flight_server.operations import Call, Services
from flight_server.testing.server import LocalServer

ROLES = {
    "boss": (Grant("boss", frozenset({Action.GRANT, Action.READ})),),
    "lake boss": (Grant("lake boss", frozenset({Action.GRANT}), catalog="lake"),),
}
PERMISSIONS = Permissions(grants={("team", role): grants for role, grants in ROLES.items()})
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def services(server: LocalServer) -> Services:
    def role_names(_: str) -> list[str]:
        return [*BUILT_IN_ROLES, *ROLES]

    users = UserStore(server.services.metastore, role_names)
    keys = KeyStore(server.services.metastore, role_names, users=users)
    access = Access(lambda: PERMISSIONS)
    found = replace(server.services, access=access, users=users, keys=keys)
    for name in ("team", "other"):
        place = NamespaceRef(DEFAULT_CATALOG, name)
        found.permissions.create_workspace(name, "", place, "test")
    for name, roles, workspace in (
        ("peer", ["reader"], "team"), ("higher", ["writer"], "team"), ("root", ["admin"], "team"),
        ("elsewhere", ["reader"], "other"),
    ):  # fmt: skip
        users.create(name, roles, created_by="test", workspace=workspace)
        keys.create(f"key of {name}", owner=name, created_by="test", workspace=workspace)
        keys.create(f"service {name}", roles, created_by="test", workspace=workspace)
    return found


def caller(*roles: str, workspace: str = "team", scopes: Any = None) -> Call:
    return Call(Principal("user:me", "me", frozenset(roles), workspace, scopes), "request")


BOSS = caller("boss", "reader")


def key_id(services: Services, name: str) -> str:
    (found,) = (key.id for key in services.keys.list() if key.name == name)
    return found


def outcome(call: Callable[[], object]) -> type[PixelflightError] | None:
    try:
        call()
    except PixelflightError as error:
        return type(error)
    return None


@pytest.mark.parametrize("who", ["higher", "root"])
def test_whoever_has_more_is_not_managed(services: Services, who: str) -> None:
    attempts: list[dict[str, Any]] = [
        {"password": PASSWORD}, {"disabled": True}, {"certificate": "mine"}, {"roles": []},
        {"end_tokens": True}, {"issuer": "https://example.org", "subject": "mine"},
    ]  # fmt: skip
    for changes in attempts:
        with pytest.raises(Forbidden):
            operations.change_user(services, BOSS, who, changes)
    for call in (
        lambda: operations.delete_user(services, BOSS, who),
        lambda: operations.create_key(services, BOSS, "mine", owner=who),
        lambda: operations.rotate_key(services, BOSS, key_id(services, f"key of {who}"), 0),
        lambda: operations.rotate_key(services, BOSS, key_id(services, f"service {who}"), 0),
        lambda: operations.revoke_key(services, BOSS, key_id(services, f"service {who}")),
    ):
        assert outcome(call) is Forbidden


def test_whoever_has_no_more_is_managed(services: Services) -> None:
    assert operations.describe_user(services, BOSS, "peer").name == "peer"
    operations.change_user(services, BOSS, "peer", {"roles": ["reader", "boss"]})
    operations.change_user(services, BOSS, "peer", {"roles": ["reader"]})
    text, _ = operations.create_key(services, BOSS, "another", owner="peer")
    assert services.keys.authenticate(text).name == "peer"
    text, _ = operations.rotate_key(services, BOSS, key_id(services, "service peer"), 0)
    assert services.keys.authenticate(text).roles == {"reader"}


@pytest.mark.parametrize("roles", [["writer"], ["admin"], ["reader", "admin"], ["lake boss"]])
def test_no_role_is_handed_out_that_the_giver_has_not(services: Services, roles: list[str]) -> None:
    for call in (
        lambda: operations.create_user(services, BOSS, "new", roles=roles),
        lambda: operations.change_user(services, BOSS, "peer", {"roles": roles}),
        lambda: operations.create_key(services, BOSS, "new", roles=roles),
    ):
        assert outcome(call) is Forbidden
    assert services.users.find("new") is None


def test_other_workspaces_are_not_there(services: Services) -> None:
    assert "elsewhere" not in [user.name for user in operations.list_users(services, BOSS)]
    seen = {key.name for key in operations.list_keys(services, BOSS)}
    assert {"service peer", "service root"} <= seen
    assert not {"service elsewhere", "key of elsewhere"} & seen
    for who in ("elsewhere", "nobody"):
        attempts: list[Callable[[str], object]] = [
            lambda who: operations.describe_user(services, BOSS, who),
            lambda who: operations.change_user(services, BOSS, who, {"disabled": True}),
            lambda who: operations.delete_user(services, BOSS, who),
            lambda who: operations.create_key(services, BOSS, "mine", owner=who),
        ]
        for attempt in attempts:
            with pytest.raises(NotFound) as caught:
                attempt(who)
            assert caught.value.message == f"There is no user '{who}'."
    hidden = key_id(services, "service elsewhere")
    assert outcome(lambda: operations.rotate_key(services, BOSS, hidden, 0)) is NotFound
    assert outcome(lambda: operations.describe_key(services, BOSS, hidden)) is NotFound
    for call in (
        lambda: operations.create_user(services, BOSS, "new", workspace="other"),
        lambda: operations.change_user(services, BOSS, "peer", {"workspace": "other"}),
        lambda: operations.create_key(services, BOSS, "new", roles=["reader"], workspace="other"),
    ):
        assert outcome(call) is Forbidden


@pytest.mark.parametrize(
    "call",
    [
        caller("reader"),
        caller("writer"),
        caller("lake boss"),
        caller(),
        caller("boss", "reader", workspace="default"),
        caller("admin", scopes=frozenset({"grant"})),
        caller("admin", scopes=frozenset({"admin:lake:*"})),
        caller("boss", "reader", scopes=frozenset({"grant", "read"})),
    ],
)
def test_nobody_else_manages_anybody(services: Services, call: Call) -> None:
    for attempt in (
        lambda: operations.list_users(services, call),
        lambda: operations.create_user(services, call, "new"),
        lambda: operations.change_user(services, call, "peer", {"roles": []}),
        lambda: operations.delete_user(services, call, "peer"),
        lambda: operations.create_key(services, call, "new", roles=["reader"], scopes=["grant"]),
        lambda: operations.create_key(services, call, "new", owner="peer", scopes=["grant"]),
    ):
        assert outcome(attempt) is Forbidden
    assert operations.list_keys(services, call) == []


def test_an_administrator_of_the_server_manages_all(services: Services) -> None:
    admin = caller("admin", workspace="default", scopes=frozenset({"admin"}))
    operations.change_user(services, admin, "elsewhere", {"workspace": "team"})
    operations.change_user(services, admin, "elsewhere", {"workspace": "other"})
    made = operations.create_user(services, admin, "made", roles=["writer"], workspace="team")
    assert (made.workspace, made.created_by) == ("team", "me")
    operations.delete_user(services, admin, "made")
    with pytest.raises(NotFound, match="no workspace 'third'"):
        operations.create_user(services, admin, "made", workspace="third")


def test_an_administrator_of_a_workspace_manages_all_of_it(services: Services) -> None:
    admin = caller("admin")
    made = operations.create_user(services, admin, "made", roles=["writer", "lake boss"])
    assert made.workspace == "team"
    operations.delete_user(services, admin, "made")
    assert operations.describe_user(services, admin, "root").name == "root"
    for attempt, error in (
        (lambda: operations.describe_user(services, admin, "elsewhere"), NotFound),
        (lambda: operations.create_user(services, admin, "new", workspace="other"), Forbidden),
        (lambda: operations.create_user(services, admin, "new", workspace="default"), Forbidden),
        (lambda: operations.change_user(services, admin, "peer", {"workspace": "default"}),
         Forbidden),
    ):  # fmt: skip
        assert outcome(attempt) is error
