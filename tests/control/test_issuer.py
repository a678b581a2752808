"""Tokens of another issuer as credentials, on both doors."""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flight_server.testing.server import local_server
from tests.control.test_tokens import encoded, part
from tests.control.test_users import ME, refused
from tests.fix_client import Client, refusal
from tests.fix_http import TwoDoors, two_doors
from tests.fix_issuer import AUDIENCE, LocalIssuer
from tests.fix_server import QUIET

ROLE_MAP = "analysts=reader, data/ops=writer"


@pytest.fixture(scope="module")
def trusting(issuer: LocalIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoDoors]:
    """A server that trusts the issuer."""
    settings = {
        "oidc_issuer": issuer.url,
        "oidc_audience": AUDIENCE,
        "oidc_roles_claim": "realm.groups",
        "oidc_role_map": ROLE_MAP,
        "oidc_workspace_claim": "team",
    }
    folder = tmp_path_factory.mktemp("trusting")
    with local_server(folder, **QUIET, **settings) as server, two_doors(server) as opened:
        yield opened


@pytest.fixture
def subject() -> str:
    return f"ext {uuid.uuid4().hex[:8]}"


def token(issuer: LocalIssuer, subject: str, *groups: str, **more: Any) -> str:
    return issuer.token(subject, **{"realm": {"groups": list(groups)}, "team": "default"} | more)


def me(doors: TwoDoors, shown: str) -> httpx.Response:
    with doors.client(shown) as client:
        return client.get(ME)


def test_a_token_of_the_issuer_is_a_credential_on_both_doors(
    trusting: TwoDoors, issuer: LocalIssuer, subject: str, connect: Callable[..., Client]
) -> None:
    shown = token(issuer, subject, "analysts", "unknown")
    told = me(trusting, shown).json()
    assert (told["id"], told["roles"], told["credential"]) == (
        f"user:{subject}", ["reader"], "issuer_token"
    )  # fmt: skip
    client = connect(trusting.flight, shown)
    assert "main" in client.action("list_namespaces")["namespaces"]
    assert refusal(lambda: client.action("create_namespace", namespace="x")).code == "forbidden"
    user = trusting.services.users.get(subject)
    assert (user.issuer, user.subject, user.password_hash) == (issuer.url, subject, None)


def test_roles_and_workspace_follow_the_newest_token(
    trusting: TwoDoors, issuer: LocalIssuer, subject: str
) -> None:
    now = int(time.time())
    older = token(issuer, subject, "analysts", iat=now - 20)
    newer = token(issuer, subject, "data/ops", iat=now - 10, team="other")
    assert me(trusting, older).json()["roles"] == ["reader"]
    for shown in (newer, older, newer):
        told = me(trusting, shown).json()
        assert (told["roles"], told["workspace"]) == (["writer"], "other")
    trusting.services.users.change(subject, {"roles": ["admin"]})
    assert me(trusting, newer).json()["roles"] == ["admin", "writer"]
    assert me(trusting, token(issuer, subject, iat=now)).json()["roles"] == ["admin"]


def test_its_keys_are_the_user_s_and_end_with_it(
    trusting: TwoDoors, issuer: LocalIssuer, subject: str
) -> None:
    shown = token(issuer, subject, "analysts")
    with trusting.client(shown) as client:
        key = client.post("/api/v1/auth/api-keys", json={"name": "laptop"}).json()["key"]
    assert me(trusting, key).json()["roles"] == ["reader"]
    trusting.services.users.set_disabled(subject, True)
    for credential in (key, shown):
        assert me(trusting, credential).status_code == 401
    trusting.services.users.set_disabled(subject, False)
    assert me(trusting, shown).status_code == 200


def test_a_session_does_not_outlive_its_token(
    trusting: TwoDoors, issuer: LocalIssuer, subject: str
) -> None:
    authenticator = trusting.services.authenticator
    identity = authenticator.identify(f"Bearer {token(issuer, subject, 'analysts')}")
    session = authenticator.identify(f"Bearer {authenticator.session_token(identity)}")
    assert session.principal == identity.principal
    assert session.expires_at == identity.expires_at


def test_a_name_that_somebody_has_is_not_given_to_a_newcomer(
    trusting: TwoDoors, issuer: LocalIssuer, subject: str
) -> None:
    users = trusting.services.users
    users.create(subject, ["admin"], created_by="test")
    shown = token(issuer, "other subject", "analysts", preferred_username=subject)
    assert "somebody else has that name" in refused(me(trusting, shown))[2]
    key = token(issuer, "third subject", "analysts", preferred_username="admin")
    assert me(trusting, key).status_code == 401
    users.change(subject, {"issuer": issuer.url, "subject": "other subject"})
    assert me(trusting, shown).json()["roles"] == ["admin", "reader"]
    # Under another name it is still the same subject.
    renamed = token(issuer, "other subject", "analysts", preferred_username="new name")
    assert me(trusting, renamed).json()["name"] == subject


def test_what_is_wrong_with_a_token(trusting: TwoDoors, issuer: LocalIssuer, subject: str) -> None:
    now = int(time.time())
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(token(issuer, subject, "analysts"), options={"verify_signature": False})
    public = issuer.keys["first"].public_key()
    wrong = {
        "another audience": token(issuer, subject, aud="other"),
        "no audience": token(issuer, subject, aud=None),
        "another issuer": token(issuer, subject, iss=f"{issuer.url}/"),
        "our name": token(issuer, subject, iss="pixelflight"),
        "expired": token(issuer, subject, exp=now - 60),
        "not yet": token(issuer, subject, nbf=now + 120),
        "from the future": token(issuer, subject, iat=now + 120),
        "no expiry": token(issuer, subject, exp=None),
        "no subject": token(issuer, subject, sub=None),
        "no issue": token(issuer, subject, iat=None),
        "no name": token(issuer, subject, preferred_username=None),
        "a name that cannot be": token(issuer, "colon", preferred_username="a:b"),
        "no workspace": token(issuer, subject, team=None),
        "unknown key": token(issuer, subject, header={"kid": "another"}),
        "no key's name": token(issuer, subject, header={"kid": ""}),
        "a stranger's": jwt.encode(claims, stranger, "RS256", headers={"kid": "first"}),
        "none": jwt.encode(claims, "", "none", headers={"kid": "first"}),
        "RS512": jwt.encode(claims, issuer.keys["first"], "RS512", headers={"kid": "first"}),
        # The public key taken for a shared secret: the classic confusion.
        "HS256 by the public key": by_hs256(claims, public),
    }
    told = {what: me(trusting, shown).status_code for what, shown in wrong.items()}
    assert {what: status for what, status in told.items() if status != 401} == {}
    assert me(trusting, token(issuer, subject, "analysts")).status_code == 200


def by_hs256(claims: dict[str, Any], public: Any) -> str:
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{part({'alg': 'HS256', 'kid': 'first', 'typ': 'JWT'})}.{part(claims)}"
    return f"{signed}.{encoded(hmac.digest(pem, signed.encode(), 'sha256'))}"


def test_without_an_issuer_no_foreign_token_is_taken(
    doors: TwoDoors, issuer: LocalIssuer, subject: str
) -> None:
    assert me(doors, token(issuer, subject, "analysts")).status_code == 401
