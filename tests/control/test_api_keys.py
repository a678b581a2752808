"""API keys over HTTP: made, scoped, rotated, revoked, and never more than their maker."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import httpx
import pytest

from tests.control.test_users import ME, basic, refused
from tests.fix_http import TwoDoors
from tests.fix_identity import new_user

pytestmark = pytest.mark.usefixtures("quick_passwords")

KEYS = "/api/v1/auth/api-keys"


@pytest.fixture
def name() -> str:
    return f"user {uuid.uuid4().hex[:8]}"


def made(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post(KEYS, json={"name": "laptop"} | body)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


def status(doors: TwoDoors, key: str) -> int:
    with doors.client(key) as client:
        return client.get(ME).status_code


def test_a_key_is_shown_once(doors: TwoDoors, api: httpx.Client) -> None:
    key = made(api, name="etl", roles=["writer"])
    assert key["key"].startswith(f"pf_{key['id']}_")
    with doors.client(key["key"]) as client:
        me = client.get(ME).json()
        assert (me["id"], me["name"], me["roles"]) == (f"key:{key['id']}", "etl", ["writer"])
        assert (me["credential"], me["expires_at"], me["scopes"]) == ("api_key", None, None)
        own = client.get(KEYS).json()["api_keys"]
        assert [one["id"] for one in own] == [key["id"]]
    listed = api.get(KEYS)
    secret = key["key"].split("_")[2]
    assert secret not in listed.text
    assert {k: v for k, v in key.items() if k != "key"} in listed.json()["api_keys"]
    assert secret not in api.get(f"{KEYS}/{key['id']}").text


def test_a_user_s_key_is_the_user(doors: TwoDoors, api: httpx.Client, name: str) -> None:
    new_user(doors, name, "reader")
    with basic(doors, name) as user:
        key = made(user, expires_at="2100-01-01T00:00:00Z")
    assert (key["owner"], key["roles"]) == (name, [])
    with doors.client(key["key"]) as client:
        me = client.get(ME).json()
        assert (me["id"], me["roles"]) == (f"user:{name}", ["reader"])
        assert me["expires_at"].startswith("2100-01-01T00:00:00")
        api.patch(f"/api/v1/auth/users/{name}", json={"roles": ["reader", "writer"]})
        assert client.get(ME).json()["roles"] == ["reader", "writer"]


def test_scopes_narrow_a_key(doors: TwoDoors, api: httpx.Client, name: str) -> None:
    namespace = f"n{uuid.uuid4().hex[:8]}"
    api.post("/api/v1/namespaces", json={"namespace": namespace})
    new_user(doors, name, "writer")
    with basic(doors, name) as user:
        key = made(user, scopes=[f"read:{namespace}.*"])["key"]
    with doors.client(key) as client:
        assert client.get(ME).json()["scopes"] == [f"read:{namespace}.*"]
        found = client.get("/api/v1/namespaces").json()["namespaces"]
        assert namespace in found
        assert refused(client.post("/api/v1/namespaces", json={"namespace": "x"}))[0] == 403
        # It makes keys that may as much, and none that may more.
        assert made(client, scopes=[f"read:{namespace}.t"])["owner"] == name
        for scopes in (None, ["read"], ["admin"], [f"insert:{namespace}.t"]):
            answer = client.post(KEYS, json={"name": "more", "scopes": scopes})
            assert refused(answer)[:2] == (403, "forbidden")


def test_a_key_with_scopes_gets_at_no_wider_key_of_its_user(doors: TwoDoors, name: str) -> None:
    new_user(doors, name, "writer")
    with basic(doors, name) as user:
        wide, narrow = made(user), made(user, scopes=["read"])
    with doors.client(narrow["key"]) as client:
        assert refused(client.post(f"{KEYS}/{wide['id']}/rotate"))[0] == 403
        assert refused(client.delete(f"{KEYS}/{wide['id']}"))[0] == 403
        assert client.post(f"{KEYS}/{narrow['id']}/rotate").status_code == 200
    path, body = f"/api/v1/auth/users/{name}", {"password": "x" * 12, "current_password": "y"}
    with doors.client(wide["key"]) as client:
        assert client.delete(f"{KEYS}/{narrow['id']}").status_code == 200
        scoped = made(client, scopes=["read"])["key"]
    with doors.client(scoped) as client:
        assert refused(client.patch(path, json=body))[:2] == (403, "forbidden")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"roles": ["admin"]}, "forbidden"),
        ({"roles": ["reader"]}, "forbidden"),
        ({"owner": "somebody else"}, "forbidden"),
        ({"roles": ["admin"], "owner": "SELF"}, "invalid_request"),
        ({"workspace": "another"}, "invalid_request"),
        ({"scopes": []}, "invalid_request"),
        ({"scopes": ["fly"]}, "invalid_request"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "invalid_request"),
        ({"expires_at": "2100-01-01T00:00:00"}, "invalid_request"),
        ({"name": ""}, "invalid_name"),
        ({"id": "mine", "created_by": "admin", "secret_hash": "x"}, "invalid_request"),
        ({"scopes": ["read"] * 1001}, "invalid_request"),
    ],
)
def test_what_a_user_cannot_give_itself(
    doors: TwoDoors, body: dict[str, Any], code: str, name: str
) -> None:
    new_user(doors, name, "reader")
    body = {key: name if value == "SELF" else value for key, value in body.items()}
    with basic(doors, name) as user:
        answer = user.post(KEYS, json={"name": "laptop"} | body)
        assert refused(answer)[1] == code, answer.text
        assert user.get(KEYS).json() == {"api_keys": []}


def test_a_service_key_needs_roles_and_manages_itself(doors: TwoDoors, api: httpx.Client) -> None:
    assert refused(api.post(KEYS, json={"name": "etl"}))[0] == 400
    key = made(api, name="etl", roles=["reader"])
    with doors.client(key["key"]) as client:
        assert refused(client.post(KEYS, json={"name": "x", "roles": ["reader"]}))[0] == 403
        renewed = client.post(f"{KEYS}/{key['id']}/rotate").json()["key"]
    assert (status(doors, key["key"]), status(doors, renewed)) == (401, 200)


def test_other_people_s_keys_are_not_there(doors: TwoDoors, api: httpx.Client, name: str) -> None:
    other = made(api, roles=["reader"])
    new_user(doors, name, "writer")
    with basic(doors, name) as user:
        answers = [
            request(f"{KEYS}/{key}{more}")
            for key in (other["id"], "000000000000")
            for request, more in ((user.get, ""), (user.delete, ""), (user.post, "/rotate"))
        ]
        assert {refused(answer)[:2] for answer in answers} == {(404, "not_found")}
        said = {refused(answer)[2].replace(other["id"], "000000000000") for answer in answers}
        assert len(said) == 1
    assert status(doors, other["key"]) == 200


def test_a_rotated_key_overlaps(doors: TwoDoors, api: httpx.Client) -> None:
    key = made(api, name="etl", roles=["reader"], scopes=["read"])
    answer = api.post(f"{KEYS}/{key['id']}/rotate", json={"overlap_seconds": 600}).json()
    assert (answer["id"], answer["scopes"]) == (key["id"], ["read"])
    until = dt.datetime.fromisoformat(answer["previous_until"]) - dt.datetime.now(dt.UTC)
    assert 500 < until.total_seconds() <= 600
    assert [status(doors, text) for text in (key["key"], answer["key"])] == [200, 200]
    again = api.post(f"{KEYS}/{key['id']}/rotate").json()["key"]
    assert [status(doors, text) for text in (key["key"], answer["key"], again)] == [401, 401, 200]
    for seconds in (-1, 1e9, "soon"):
        refusal = api.post(f"{KEYS}/{key['id']}/rotate", json={"overlap_seconds": seconds})
        assert refusal.status_code == 400


def test_a_revoked_key_is_out_at_once_and_stays_listed(doors: TwoDoors, api: httpx.Client) -> None:
    key = made(api, roles=["reader"])
    assert status(doors, key["key"]) == 200
    revoked = api.delete(f"{KEYS}/{key['id']}").json()
    assert revoked["revoked_at"] is not None
    assert status(doors, key["key"]) == 401
    assert revoked in api.get(KEYS).json()["api_keys"]
    assert refused(api.post(f"{KEYS}/{key['id']}/rotate"))[:2] == (409, "conflict")


def test_an_administrator_makes_a_key_for_a_user(
    doors: TwoDoors, api: httpx.Client, name: str
) -> None:
    new_user(doors, name, "reader")
    key = made(api, owner=name, scopes=["read"])
    with doors.client(key["key"]) as client:
        assert client.get(ME).json()["id"] == f"user:{name}"
    assert refused(api.post(KEYS, json={"name": "x", "owner": "nobody"}))[0] == 404
