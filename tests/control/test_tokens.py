"""Tokens over HTTP: logins, their renewal, their end, and everything that is not one."""

from __future__ import annotations

import base64
import hmac
import json
import time
import uuid
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flight_server.auth.signing import derived
from tests.control.test_users import ME, basic, refused
from tests.fix_http import TwoDoors
from tests.fix_identity import PASSWORD, new_user

pytestmark = pytest.mark.usefixtures("quick_passwords")

TOKEN = "/api/v1/auth/token"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def user(doors: TwoDoors) -> str:
    return new_user(doors, f"user {uuid.uuid4().hex[:8]}", "reader")


@pytest.fixture
def anybody(doors: TwoDoors) -> Any:
    with doors.client("") as client:
        yield client


def login(client: httpx.Client, user: str) -> dict[str, Any]:
    answer = client.post(TOKEN, json={"username": user, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def me(doors: TwoDoors, token: str) -> httpx.Response:
    with doors.client(token) as client:
        return client.get(ME)


def test_a_login_is_answered_with_tokens(doors: TwoDoors, anybody: httpx.Client, user: str) -> None:
    answer = anybody.post(TOKEN, json={"username": user, "password": PASSWORD})
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    told = me(doors, tokens["access_token"]).json()
    assert (told["id"], told["credential"]) == (f"user:{user}", "access_token")
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert 900 <= claims["exp"] - claims["iat"] <= 901
    assert (claims["sub"], claims["aud"], claims["iss"]) == (
        f"user:{user}", "pixelflight", "pixelflight"
    )  # fmt: skip
    assert "roles" not in claims


def test_forms_of_oauth_and_keys_log_in_as_well(
    doors: TwoDoors, anybody: httpx.Client, user: str
) -> None:
    form = {"grant_type": "password", "username": user, "password": PASSWORD}
    by_form = anybody.post(TOKEN, data=form)
    assert me(doors, by_form.json()["access_token"]).json()["name"] == user
    key = doors.key_of("reader", name="etl", scopes=["read"])
    for body in ({"api_key": key}, {"grant_type": "api_key", "api_key": key}):
        told = me(doors, anybody.post(TOKEN, json=body).json()["access_token"]).json()
        assert (told["name"], told["scopes"]) == ("etl", ["read"])
    refresh = {"grant_type": "refresh_token", "refresh_token": by_form.json()["refresh_token"]}
    assert anybody.post(TOKEN, data=refresh).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"username": "USER", "password": "wrong password"}, 401),
        ({"username": "nobody", "password": PASSWORD}, 401),
        ({"username": "USER"}, 400),
        ({"password": PASSWORD}, 400),
        ({}, 400),
        ({"api_key": "pf_nothing"}, 401),
        ({"api_key": PASSWORD}, 401),
        ({"api_key": "x", "username": "USER", "password": PASSWORD}, 400),
        ({"grant_type": "client_credentials", "api_key": "x"}, 400),
        ({"grant_type": "api_key", "username": "USER", "password": PASSWORD}, 400),
        ({"refresh_token": "pfr_x"}, 401),
        ({"username": "USER", "password": PASSWORD, "roles": ["admin"]}, 400),
        ({"username": "USER", "password": ["a"]}, 400),
    ],
)
def test_what_is_no_login(
    anybody: httpx.Client, user: str, body: dict[str, Any], status: int
) -> None:
    body = {key: user if value == "USER" else value for key, value in body.items()}
    answer = anybody.post(TOKEN, json=body)
    assert answer.status_code == status, answer.text
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[1]", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"username=a&password=%ff", FORM, 401),
        (b"", FORM, 400),
        (b"{" + b" " * 70_000, {}, 413),
    ],
)
def test_bodies_that_are_none(
    anybody: httpx.Client, content: bytes, headers: dict[str, str], status: int
) -> None:
    assert anybody.post(TOKEN, content=content, headers=headers).status_code == status


def test_a_refresh_token_is_good_for_one_use_and_a_second_ends_the_login(
    doors: TwoDoors, anybody: httpx.Client, user: str
) -> None:
    first = login(anybody, user)
    other = login(anybody, user)
    second = anybody.post(f"{TOKEN}/refresh", json={"refresh_token": first["refresh_token"]}).json()
    assert me(doors, second["access_token"]).status_code == 200
    again = anybody.post(f"{TOKEN}/refresh", json={"refresh_token": first["refresh_token"]})
    assert refused(again)[:2] == (401, "unauthenticated")
    assert "used before" in refused(again)[2]
    for tokens in (first, second):
        assert me(doors, tokens["access_token"]).status_code == 401
        body = {"refresh_token": tokens["refresh_token"]}
        assert anybody.post(f"{TOKEN}/refresh", json=body).status_code == 401
    assert me(doors, other["access_token"]).status_code == 200


def test_a_token_is_revoked(doors: TwoDoors, anybody: httpx.Client, user: str) -> None:
    tokens, other = login(anybody, user), login(anybody, user)
    access = tokens["access_token"]
    assert anybody.post(f"{TOKEN}/revoke", json={"token": access}).status_code == 204
    assert "was revoked" in refused(me(doors, access))[2]
    body = {"refresh_token": tokens["refresh_token"]}
    renewed = anybody.post(f"{TOKEN}/refresh", json=body).json()
    assert me(doors, renewed["access_token"]).status_code == 200
    form = {"token": renewed["refresh_token"], "token_type_hint": "refresh_token"}
    assert anybody.post(f"{TOKEN}/revoke", data=form).status_code == 204
    assert me(doors, renewed["access_token"]).status_code == 401
    assert me(doors, other["access_token"]).status_code == 200
    for nothing in ("", "pfr_x", "a.b.c", renewed["access_token"]):
        assert anybody.post(f"{TOKEN}/revoke", json={"token": nothing}).status_code == 204


def test_tokens_end_with_their_key(doors: TwoDoors, anybody: httpx.Client) -> None:
    text, info = doors.services.keys.create("etl", ["reader"], created_by="test")
    tokens = anybody.post(TOKEN, json={"api_key": text}).json()
    renewed, _ = doors.services.keys.rotate(info.id, overlap_seconds=60)
    assert me(doors, tokens["access_token"]).status_code == 200
    newer = anybody.post(TOKEN, json={"api_key": renewed}).json()
    doors.services.keys.rotate(info.id)
    assert me(doors, tokens["access_token"]).status_code == 401
    assert me(doors, newer["access_token"]).status_code == 401
    body = {"refresh_token": tokens["refresh_token"]}
    assert anybody.post(f"{TOKEN}/refresh", json=body).status_code == 401


def test_all_tokens_of_a_user_end_on_demand(
    doors: TwoDoors, api: httpx.Client, anybody: httpx.Client, user: str
) -> None:
    token = login(anybody, user)["access_token"]
    assert api.patch(f"/api/v1/auth/users/{user}", json={"end_tokens": True}).status_code == 200
    assert me(doors, token).status_code == 401
    with basic(doors, user) as client:
        assert client.get(ME).status_code == 200


def test_forged_tokens_are_refused(doors: TwoDoors, anybody: httpx.Client, user: str) -> None:
    real = login(anybody, user)["access_token"]
    header, payload, signature = real.split(".")
    claims = jwt.decode(real, options={"verify_signature": False})
    secret = derived(doors.services.signing_secret, "access tokens")
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    root = {**claims, "sub": "user:root", "bearer": "key:root"}
    forged = {
        "none": jwt.encode(claims, "", "none"),
        "none, in capitals": f"{part({'alg': 'NONE', 'typ': 'JWT'})}.{payload}.",
        "none, signed": f"{part({'alg': 'none'})}.{payload}.{signature}",
        "no signature": f"{header}.{payload}.",
        "other content": f"{header}.{part(root)}.{signature}",
        "other secret": jwt.encode(claims, b"x" * 32, "HS256"),
        "the tickets' secret": jwt.encode(claims, doors.services.signing_secret, "HS256"),
        "HS512": by_hs512(claims, secret),
        "RS256": jwt.encode(claims, pem, "RS256"),
        "another audience": jwt.encode({**claims, "aud": "other"}, secret, "HS256"),
        "another issuer": jwt.encode({**claims, "iss": "other"}, secret, "HS256"),
        "expired": jwt.encode({**claims, "exp": int(time.time())}, secret, "HS256"),
        "not yet": jwt.encode({**claims, "nbf": int(time.time()) + 60}, secret, "HS256"),
        "unknown user": jwt.encode({**claims, "bearer": "user:nobody"}, secret, "HS256"),
        "another generation": jwt.encode({**claims, "gen": "0"}, secret, "HS256"),
        "nothing": "..",
        "no base64": "a.b.c",
    }
    for missing in ("exp", "iat", "jti", "sub", "aud", "iss", "gen", "bearer", "sid"):
        kept = {name: value for name, value in claims.items() if name != missing}
        forged[f"no {missing}"] = jwt.encode(kept, secret, "HS256")
    statuses = {what: me(doors, token).status_code for what, token in forged.items()}
    assert {what: status for what, status in statuses.items() if status != 401} == {}
    # The same hand makes one that is taken, so that each of these was refused for its fault.
    assert me(doors, jwt.encode(claims, secret, "HS256")).status_code == 200


def by_hs512(claims: dict[str, Any], secret: bytes) -> str:
    """By the right secret and another algorithm, for which the library finds it short."""
    signed = f"{part({'alg': 'HS512', 'typ': 'JWT'})}.{part(claims)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha512'))}"


def part(value: dict[str, Any]) -> str:
    return encoded(json.dumps(value).encode())


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_refresh_token_opens_nothing(doors: TwoDoors, anybody: httpx.Client, user: str) -> None:
    answer = me(doors, login(anybody, user)["refresh_token"])
    assert refused(answer)[:2] == (401, "unauthenticated")
    assert "refresh token" in refused(answer)[2]


def test_tokens_last_as_long_as_the_settings_say(start_doors: Any) -> None:
    own = start_doors(access_token_seconds=1, refresh_token_seconds=1)
    key = own.key_of("reader")
    with own.client("") as client:
        tokens = client.post(TOKEN, json={"api_key": key}).json()
        deadline = time.monotonic() + 10
        while me(own, tokens["access_token"]).status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert "expired" in refused(me(own, tokens["access_token"]))[2]
        body = {"refresh_token": tokens["refresh_token"]}
        assert client.post(f"{TOKEN}/refresh", json=body).status_code == 401
