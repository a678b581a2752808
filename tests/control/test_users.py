"""Users over HTTP: who may manage them, what a password opens, and what ends with them."""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from typing import Any

import httpx
import pytest

from tests.fix_http import TwoDoors
from tests.fix_identity import PASSWORD, new_user

pytestmark = pytest.mark.usefixtures("quick_passwords")

USERS = "/api/v1/auth/users"
ME = "/api/v1/auth/me"


@pytest.fixture
def name() -> str:
    return f"user {uuid.uuid4().hex[:8]}"


def basic(doors: TwoDoors, name: str, password: str = PASSWORD) -> httpx.Client:
    """A client that shows a user and a password on every call."""
    client = doors.client("")
    shown = base64.b64encode(f"{name}:{password}".encode()).decode()
    client.headers["authorization"] = f"Basic {shown}"
    return client


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_a_user_is_made_and_asks(doors: TwoDoors, api: httpx.Client, name: str) -> None:
    body = {"name": name, "password": PASSWORD, "roles": ["reader"]}
    made = api.post(USERS, json=body)
    assert made.status_code == 201
    told = made.json()
    assert (told["name"], told["roles"], told["has_password"]) == (name, ["reader"], True)
    assert PASSWORD not in made.text
    assert "argon2" not in made.text
    with basic(doors, name) as user:
        me = user.get(ME).json()
        assert (me["id"], me["roles"], me["credential"]) == (f"user:{name}", ["reader"], "password")
        assert user.get("/api/v1/namespaces").status_code == 200
        assert user.get(f"{USERS}/{name}").json() == told
    assert name in [user["name"] for user in api.get(USERS).json()["users"]]


def test_unknown_users_and_wrong_passwords_are_told_alike(
    doors: TwoDoors, api: httpx.Client, name: str
) -> None:
    new_user(doors, name, "reader")
    without = new_user(doors, f"{name} 2", "reader", password=None)
    disabled = new_user(doors, f"{name} 3", "reader")
    assert api.patch(f"{USERS}/{disabled}", json={"disabled": True}).status_code == 200
    told = set()
    for who, password in (
        (name, "wrong password"), ("nobody", PASSWORD), (without, PASSWORD), (disabled, PASSWORD),
        (name, "x" * 5000), (name, "\x00"), (name, ""),
    ):  # fmt: skip
        with basic(doors, who, password) as client:
            told.add(refused(client.get(ME)))
    assert [answer[:2] for answer in told] == [(401, "unauthenticated")]


def test_guessing_is_slowed_down_for_that_user_alone(doors: TwoDoors, name: str) -> None:
    new_user(doors, name, "reader")
    known = new_user(doors, f"{name} 2", "reader")
    with basic(doors, known) as other:
        assert other.get(ME).status_code == 200
        answers = []
        for attempt in range(14):
            with basic(doors, name, f"wrong {attempt}") as guesser:
                answers.append(guesser.get(ME))
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 4
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert answers[-1].json()["error"]["details"]["retry_after_seconds"] <= 60
        with basic(doors, name) as right:
            assert right.get(ME).status_code == 429
        assert other.get(ME).status_code == 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a:b"}, "holds a ':'"),
        ({"name": ""}, "must not be empty"),
        ({"name": " x"}, "begins or ends with a space"),
        ({"password": "short"}, "has 5 characters"),
        ({"password": "x" * 1001}, "has 1001 characters"),
        ({"password": "a user's name"}, "is the user's name"),
        ({"password": "pf_0123456789"}, "begins with 'pf_'"),
        ({"roles": ["raeder"]}, "Did you mean 'reader'"),
        ({"issuer": "https://example.org"}, "go together"),
        ({"is_admin": True}, "is_admin"),
        ({"password": 12}, "password"),
    ],
)
def test_what_cannot_be_a_user(api: httpx.Client, change: dict[str, Any], message: str) -> None:
    body = {"name": "A User's Name", "password": PASSWORD, "roles": ["reader"]} | change
    status, _, said = refused(api.post(USERS, json=body))
    assert (status, message in said) == (400, True), said
    assert "A User's Name" not in api.get(USERS).text


def test_names_are_one_user_s_alone(doors: TwoDoors, api: httpx.Client, name: str) -> None:
    new_user(doors, name, "reader")
    assert refused(api.post(USERS, json={"name": name}))[:2] == (409, "already_exists")
    assert refused(api.post(USERS, json={"name": name.upper()}))[:2] == (409, "already_exists")
    doors.key_of("reader", name=f"{name} key")
    assert refused(api.post(USERS, json={"name": f"{name} Key"}))[:2] == (409, "conflict")
    key = {"name": name, "roles": ["reader"]}
    assert refused(api.post("/api/v1/auth/api-keys", json=key))[:2] == (409, "conflict")


def test_a_user_changes_its_own_password_and_every_session_ends(doors: TwoDoors, name: str) -> None:
    new_user(doors, name, "reader")
    with basic(doors, name) as user:
        token = user.post(
            "/api/v1/auth/token", json={"username": name, "password": PASSWORD}
        ).json()["access_token"]
        path, new = f"{USERS}/{name}", "another good one"
        wrong = user.patch(path, json={"password": new, "current_password": "not this"})
        assert wrong.status_code == 401
        assert user.patch(path, json={"password": new}).status_code == 400
        assert user.patch(path, json={"password": new, "roles": ["admin"]}).status_code == 403
        changed = user.patch(path, json={"password": new, "current_password": PASSWORD})
        assert changed.status_code == 200
        assert user.get(ME).status_code == 401
    with doors.client(token) as before:
        assert before.get(ME).status_code == 401
    with basic(doors, name, new) as after:
        assert after.get(ME).status_code == 200


def test_roles_count_at_once(doors: TwoDoors, api: httpx.Client, name: str) -> None:
    new_user(doors, name, "reader")
    namespace = {"namespace": f"n{uuid.uuid4().hex[:8]}"}
    with basic(doors, name) as user:
        assert user.post("/api/v1/namespaces", json=namespace).status_code == 403
        assert api.patch(f"{USERS}/{name}", json={"roles": ["writer"]}).json()["roles"] == [
            "writer"
        ]
        assert user.post("/api/v1/namespaces", json=namespace).status_code == 201


def test_a_disabled_user_is_out_with_keys_and_tokens(
    doors: TwoDoors, api: httpx.Client, name: str
) -> None:
    new_user(doors, name, "reader")
    with basic(doors, name) as user:
        key = user.post("/api/v1/auth/api-keys", json={"name": "laptop"}).json()["key"]
        login = {"username": name, "password": PASSWORD}
        tokens = user.post("/api/v1/auth/token", json=login).json()
        disabled = api.patch(f"{USERS}/{name}", json={"disabled": True}).json()["disabled_at"]
        assert dt.datetime.fromisoformat(disabled) <= dt.datetime.now(dt.UTC)
        for shown in (key, tokens["access_token"]):
            with doors.client(shown) as client:
                assert client.get(ME).status_code == 401
        assert user.get(ME).status_code == 401
        refresh = {"refresh_token": tokens["refresh_token"]}
        assert user.post("/api/v1/auth/token/refresh", json=refresh).status_code == 401
        api.patch(f"{USERS}/{name}", json={"disabled": False})
        assert user.get(ME).status_code == 200
        with doors.client(key) as client:
            assert client.get(ME).status_code == 200
        with doors.client(tokens["access_token"]) as client:
            assert client.get(ME).status_code == 401


def test_whoever_gets_a_deleted_user_s_name_gets_nothing_else(
    doors: TwoDoors, api: httpx.Client, name: str
) -> None:
    new_user(doors, name, "writer")
    with basic(doors, name) as user:
        key = user.post("/api/v1/auth/api-keys", json={"name": "laptop"}).json()["key"]
        login = {"username": name, "password": PASSWORD}
        tokens = user.post("/api/v1/auth/token", json=login).json()
    assert api.delete(f"{USERS}/{name}").status_code == 204
    assert refused(api.delete(f"{USERS}/{name}"))[:2] == (404, "not_found")
    new_user(doors, name, "reader")
    for shown in (key, tokens["access_token"]):
        with doors.client(shown) as client:
            assert client.get(ME).status_code == 401
            refresh = {"refresh_token": tokens["refresh_token"]}
            assert client.post("/api/v1/auth/token/refresh", json=refresh).status_code == 401


def test_those_who_may_not_manage_users_learn_nothing_of_them(
    doors: TwoDoors, api: httpx.Client, name: str
) -> None:
    new_user(doors, name, "reader")
    new_user(doors, f"{name} 2", "writer")
    with basic(doors, f"{name} 2") as writer:
        answers = [
            writer.get(USERS),
            writer.post(USERS, json={"name": "x", "roles": ["writer"]}),
            writer.patch(f"{USERS}/{name} 2", json={"roles": ["admin"]}),
        ]
        for who in (name, "nobody at all"):
            answers += [
                writer.get(f"{USERS}/{who}"),
                writer.patch(f"{USERS}/{who}", json={"password": "x" * 12}),
                writer.delete(f"{USERS}/{who}"),
            ]
    assert {refused(answer)[:2] for answer in answers} == {(403, "forbidden")}
    assert len({refused(answer)[2] for answer in answers}) == 1
    with doors.client("") as nobody:
        assert nobody.get(ME).status_code == 401
        assert nobody.get(USERS).status_code == 401


def test_an_administrator_cannot_shut_itself_out(doors: TwoDoors, name: str) -> None:
    new_user(doors, name, "admin")
    with basic(doors, name) as me:
        assert refused(me.delete(f"{USERS}/{name}"))[0] == 400
        assert refused(me.patch(f"{USERS}/{name}", json={"disabled": True}))[0] == 400
        assert me.patch(f"{USERS}/{name}", json={"roles": ["admin", "reader"]}).status_code == 200


def test_a_key_with_scopes_manages_nobody(doors: TwoDoors, name: str) -> None:
    new_user(doors, name, "reader")
    key = doors.key_of("admin", scopes=["read", "grant"])
    with doors.client(key) as client:
        assert client.get("/api/v1/namespaces").status_code == 200
        assert refused(client.get(USERS))[:2] == (403, "forbidden")
        body = {"name": "x", "roles": ["admin"]}
        assert refused(client.post("/api/v1/auth/api-keys", json=body))[:2] == (403, "forbidden")
        assert refused(client.patch(f"{USERS}/{name}", json={"roles": ["admin"]}))[0] == 403
