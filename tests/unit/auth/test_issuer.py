"""An issuer's keys: fetched when they are needed, kept, replaced, and never too often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from flight_server.auth import issuer as issuer_module
from flight_server.auth.issuer import FETCH_SECONDS, REFRESH_SECONDS, Issuer
from flight_server.errors import InvalidRequest, Unauthenticated, Unavailable
from flight_server.setting_values import is_confidential
from flight_server.settings import Settings, load
from tests.fix_issuer import AUDIENCE, LocalIssuer, jwk, serving
from tests.fix_metastore import Clock


@pytest.fixture
def own() -> Iterator[LocalIssuer]:
    """An issuer of a test's own."""
    made = LocalIssuer()
    with serving(made):
        yield made


def trusted(own: LocalIssuer, clock: Clock, **more: Any) -> Issuer:
    settings = {"oidc_issuer": own.url, "oidc_audience": AUDIENCE} | more
    return Issuer(Settings(**settings), clock)


def test_keys_are_fetched_once(own: LocalIssuer, clock: Clock) -> None:
    issuer = trusted(own, clock)
    for _ in range(3):
        assert issuer.verify(own.token("ann")).name == "ann"
    assert own.fetches == 2  # what it says of itself, and the keys


def test_keys_may_be_at_an_address_of_the_settings(own: LocalIssuer, clock: Clock) -> None:
    own.pages["/elsewhere"] = own.pages["/keys"]
    issuer = trusted(own, clock, oidc_jwks_url=f"{own.url}/elsewhere")
    assert issuer.verify(own.token("ann")).subject == "ann"
    assert own.fetches == 1


def test_both_kinds_of_keys_are_taken(own: LocalIssuer, clock: Clock) -> None:
    own.add_key("curve", ec.generate_private_key(ec.SECP256R1()))
    issuer = trusted(own, clock)
    assert issuer.verify(own.token("ann", key="curve")).name == "ann"
    mixed = own.token("ann", header={"kid": "curve"})
    with pytest.raises(Unauthenticated, match="is not one for 'RS256'"):
        issuer.verify(mixed)


def test_a_new_key_is_fetched_but_not_at_every_unknown_name(own: LocalIssuer, clock: Clock) -> None:
    issuer = trusted(own, clock)
    issuer.verify(own.token("ann"))
    own.add_key("second", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    for name in range(20):
        with pytest.raises(Unauthenticated, match="does not have"):
            issuer.verify(own.token("ann", header={"kid": f"unknown {name}"}))
    assert own.fetches == 2
    clock.seconds += FETCH_SECONDS + 1
    assert issuer.verify(own.token("ann", key="second")).name == "ann"
    assert own.fetches == 4


def test_an_issuer_that_is_down_keeps_out_only_whose_key_is_not_known(
    own: LocalIssuer, clock: Clock
) -> None:
    issuer = trusted(own, clock)
    shown, unknown = own.token("ann"), own.token("ann", header={"kid": "unknown"})
    issuer.verify(shown)
    own.pages["/keys"] = (503, b"")
    clock.seconds += REFRESH_SECONDS + 1
    assert issuer.verify(shown).name == "ann"
    with pytest.raises(Unavailable, match="answers with 503"):
        issuer.verify(unknown)
    asked = own.fetches
    with pytest.raises(Unavailable):
        issuer.verify(unknown)
    assert own.fetches == asked
    with pytest.raises(Unavailable, match="cannot be fetched"):
        trusted(own, clock).verify(shown)


def test_nobody_at_the_address(clock: Clock) -> None:
    made = LocalIssuer()
    with serving(made):
        shown = made.token("ann")
    with pytest.raises(Unavailable, match="cannot be fetched"):
        trusted(made, clock).verify(shown)


def test_a_withdrawn_key_ends(own: LocalIssuer, clock: Clock) -> None:
    own.add_key("second", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    issuer = trusted(own, clock)
    issuer.verify(own.token("ann"))
    own.publish("second")
    clock.seconds += REFRESH_SECONDS + 1
    with pytest.raises(Unauthenticated, match="does not have"):
        issuer.verify(own.token("ann"))
    assert issuer.verify(own.token("ann", key="second")).name == "ann"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"issuer": "https://other.example.org"}, "is that of"),
        ({"jwks_uri": "http://example.org/keys"}, "no https address"),
        ({"jwks_uri": "file:///etc/passwd"}, "no https address"),
        ({"jwks_uri": None}, "no https address"),
    ],
)
def test_a_discovery_document_that_leads_astray(
    own: LocalIssuer, clock: Clock, document: dict[str, Any], message: str
) -> None:
    own.discover(**document)
    with pytest.raises(Unavailable, match=message):
        trusted(own, clock).verify(own.token("ann"))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [1]}', b'{"keys": [{"kty": "RSA"}]}', b"\xff"],
)
def test_keys_that_are_none(own: LocalIssuer, clock: Clock, body: bytes) -> None:
    own.pages["/keys"] = (200, body)
    with pytest.raises(Unavailable):
        trusted(own, clock).verify(own.token("ann"))


def test_answers_of_any_size_are_not_read(
    own: LocalIssuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_module, "DOCUMENT_BYTES_MAX", 100)
    with pytest.raises(Unavailable, match="more than 100 bytes"):
        trusted(own, clock).verify(own.token("ann"))


def test_redirects_are_not_followed(own: LocalIssuer, clock: Clock) -> None:
    own.pages["/keys"] = (302, b"")
    with pytest.raises(Unavailable, match="302"):
        trusted(own, clock).verify(own.token("ann"))


def test_weak_keys_and_keys_for_other_uses_are_left_out(own: LocalIssuer, clock: Clock) -> None:
    own.keys["weak"] = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    shown = [
        jwk("weak", own.keys["weak"]),
        jwk("first", own.keys["first"]) | {"use": "enc"},
        jwk("other", own.keys["first"]) | {"alg": "PS256"},
    ]
    own.pages["/keys"] = (200, json.dumps({"keys": shown}).encode())
    with pytest.raises(Unavailable, match="has none that could be used"):
        trusted(own, clock).verify(own.token("ann"))


@pytest.mark.parametrize(
    ("claims", "path", "roles"),
    [
        ({"groups": ["a", "b", "x"]}, "groups", {"reader", "writer"}),
        ({"groups": "a x"}, "groups", {"reader"}),
        ({"realm": {"roles": ["b"]}}, "realm.roles", {"writer"}),
        ({"https://example.org/roles": ["a"]}, "https://example.org/roles", {"reader"}),
        ({"groups": 12}, "groups", set()),
        ({"groups": [1, None, {"a": "b"}]}, "groups", set()),
        ({"groups": {"a": True}}, "groups", {"reader"}),
        ({}, "groups", set()),
        ({"realm": "flat"}, "realm.roles", set()),
    ],
)
def test_roles_of_a_claim(
    own: LocalIssuer, clock: Clock, claims: dict[str, Any], path: str, roles: set[str]
) -> None:
    issuer = trusted(own, clock, oidc_roles_claim=path, oidc_role_map="a=reader, b=writer")
    assert issuer.verify(own.token("ann", **claims)).roles == roles


@pytest.mark.parametrize("claim", ["sub", "preferred_username"])
def test_names_that_are_no_text(own: LocalIssuer, clock: Clock, claim: str) -> None:
    with pytest.raises(Unauthenticated, match="no text"):
        trusted(own, clock).verify(own.token("ann", **{claim: "\ud800"}))


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("https://example.org", True),
        ("http://example.org", False),
        ("http://127.0.0.1:1", True),
        ("http://localhost:1", True),
        ("http://[::1]:1/x", True),
        ("http://127.0.0.1.example.org", False),
        ("https://", False),
        ("ftp://127.0.0.1", False),
        ("", False),
    ],
)
def test_addresses_that_nobody_can_listen_in_on(url: str, is_so: bool) -> None:
    assert is_confidential(url) is is_so


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"OIDC_ISSUER": "http://example.org", "OIDC_AUDIENCE": "x"}, "must begin with https://"),
        ({"OIDC_ISSUER": "https://example.org"}, "needs oidc_audience"),
        ({"OIDC_ROLE_MAP": "analysts"}, "'analysts=reader, ops=admin'"),
        ({"TLS_CLIENT_IDENTITY": "true"}, "needs tls_client_ca"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        load(environment={f"PIXELFLIGHT_{name}": value for name, value in settings.items()})


def test_a_role_map_of_the_environment() -> None:
    text = " cn=ops,dc=x = admin"
    found, _ = load(environment={"PIXELFLIGHT_OIDC_ROLE_MAP": "a=reader, data ops = writer"})
    assert found.oidc_role_map == {"a": "reader", "data ops": "writer"}
    with pytest.raises(InvalidRequest):
        load(environment={"PIXELFLIGHT_OIDC_ROLE_MAP": text + ", broken"})
