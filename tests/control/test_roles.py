"""Roles over HTTP: made, described, removed, and whose business they are."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.fix_http import TwoDoors
from tests.fix_permissions import V1, made, new_role, new_workspace, refused

ROLES = f"{V1}/auth/roles"
SignIn = Callable[..., httpx.Client]


def names(answer: httpx.Response) -> list[str]:
    return [role["name"] for role in answer.json()["roles"]]


def test_a_role_is_made_described_listed_and_removed(api: httpx.Client) -> None:
    body = {"name": "clerk", "description": "Sells."}
    told = made(api.post(ROLES, json=body))
    assert (told["name"], told["description"], told["workspace"]) == ("clerk", "Sells.", "default")
    assert told["created_by"]
    changed = api.patch(f"{ROLES}/clerk", json={"description": "Buys."})
    assert changed.json() == told | {"description": "Buys."}
    assert "clerk" in names(api.get(ROLES))
    assert api.delete(f"{ROLES}/clerk").status_code == 204
    assert "clerk" not in names(api.get(ROLES))


def test_a_role_that_is_not_there_is_missing_whatever_is_asked_of_it(api: httpx.Client) -> None:
    kept = new_role(api)
    asked = [
        api.patch(f"{ROLES}/{kept}x", json={"description": ""}),
        api.delete(f"{ROLES}/{kept}x"),
    ]
    for answer in asked:
        status, code, message = refused(answer)
        assert (status, code) == (404, "not_found")
        assert f"Did you mean '{kept}'?" in message
    elsewhere = api.post(ROLES, json={"name": "x", "workspace": "nowhere"})
    assert refused(elsewhere) == (404, "not_found", "There is no workspace 'nowhere'.")


def test_names_are_taken_once_in_each_workspace(api: httpx.Client) -> None:
    name = new_role(api)
    assert refused(api.post(ROLES, json={"name": name}))[:2] == (409, "already_exists")
    assert refused(api.post(ROLES, json={"name": "reader"}))[:2] == (409, "already_exists")
    workspace = new_workspace(api)
    made(api.post(ROLES, json={"name": name, "workspace": workspace}))
    assert names(api.get(ROLES, params={"workspace": workspace})) == [name]


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 300])
def test_names_that_are_none_are_refused(api: httpx.Client, name: str) -> None:
    assert refused(api.post(ROLES, json={"name": name}))[0] in (400, 422)


def test_unknown_fields_are_named(api: httpx.Client) -> None:
    status, _, message = refused(api.post(ROLES, json={"name": "x", "descripton": "y"}))
    assert status in (400, 422)
    assert "descripton" in message


@pytest.mark.parametrize("name", ["admin", "writer", "reader"])
def test_built_in_roles_stay_as_they_are(api: httpx.Client, name: str) -> None:
    asked = [api.patch(f"{ROLES}/{name}", json={"description": ""}), api.delete(f"{ROLES}/{name}")]
    for answer in asked:
        status, _, message = refused(answer)
        assert (status, message) == (400, f"The role '{name}' is built in and stays as it is.")


def test_a_role_goes_once_nobody_has_it(doors: TwoDoors, api: httpx.Client) -> None:
    name = new_role(api, {"actions": ["read"]})
    doors.key_of(name, name="its holder")
    status, code, message = refused(api.delete(f"{ROLES}/{name}"))
    assert (status, code) == (409, "conflict")
    assert "the key 'its holder'" in message
    assert api.get(f"{V1}/auth/grants").json()["grants"][-1]["role"] == name
    key = next(
        key["id"] for key in api.get(f"{V1}/auth/api-keys").json()["api_keys"]
        if key["name"] == "its holder"
    )  # fmt: skip
    assert api.delete(f"{V1}/auth/api-keys/{key}").status_code == 200
    assert api.delete(f"{ROLES}/{name}").status_code == 204
    # Its grants went with it: a role of the same name begins with nothing.
    assert name not in {one["role"] for one in api.get(f"{V1}/auth/grants").json()["grants"]}


def test_who_manages_nothing_sees_its_own_roles_and_makes_none(
    api: httpx.Client, sign_in: SignIn
) -> None:
    mine, other = new_role(api), new_role(api)
    client = sign_in(mine, "writer")
    assert names(client.get(ROLES)) == [mine]
    asked = [
        client.post(ROLES, json={"name": "x"}),
        client.patch(f"{ROLES}/{mine}", json={"description": "x"}),
        client.delete(f"{ROLES}/{mine}"),
    ]
    assert {refused(answer)[:2] for answer in asked} == {(403, "forbidden")}
    # Of another's role it is told as of one that there is not.
    assert refused(client.delete(f"{ROLES}/{other}")) == refused(client.delete(f"{ROLES}/absent"))


def test_who_may_grant_lists_roles_and_makes_none(api: httpx.Client, sign_in: SignIn) -> None:
    boss, other = new_role(api, {"actions": ["grant", "read"]}), new_role(api)
    client = sign_in(boss)
    assert other in names(client.get(ROLES))
    assert refused(client.post(ROLES, json={"name": "x"}))[:2] == (403, "forbidden")


def test_nobody_asks_without_a_credential_or_manages_with_scopes(
    doors: TwoDoors, sign_in: SignIn
) -> None:
    with doors.client("") as nobody:
        asked = [nobody.get(ROLES), nobody.post(ROLES, json={"name": "x"}),
                 nobody.patch(f"{ROLES}/x", json={"description": ""}),
                 nobody.delete(f"{ROLES}/x")]  # fmt: skip
    assert {answer.status_code for answer in asked} == {401}
    scoped = sign_in("admin", scopes=["read", "grant"])
    assert refused(scoped.post(ROLES, json={"name": "x"}))[:2] == (403, "forbidden")
