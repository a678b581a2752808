"""Tokens of jobs: whose the job is, within what, for minutes, and signed by nobody else."""

from __future__ import annotations

import base64

import pytest

from flight_server.auth import Credential, JobToken, sign_job_token, verify_job_token
from flight_server.errors import Unauthenticated
from flight_server.testing.server import LocalServer

SECRET = bytes(range(32))
TOKEN = JobToken("user:ann", frozenset({"read:s.*", "insert"}), "j1", 1000.0)


@pytest.mark.parametrize("scopes", [None, frozenset({"read"}), TOKEN.scopes])
def test_a_token_says_what_it_was_made_of(scopes: frozenset[str] | None) -> None:
    token = JobToken("key:abc", scopes, "j1", 1000.0)
    assert verify_job_token(SECRET, sign_job_token(SECRET, token), 999.0) == token


def test_a_token_expires() -> None:
    with pytest.raises(Unauthenticated, match="has expired"):
        verify_job_token(SECRET, sign_job_token(SECRET, TOKEN), 1000.0)


def test_a_token_of_another_server_is_none() -> None:
    with pytest.raises(Unauthenticated):
        verify_job_token(bytes(32), sign_job_token(SECRET, TOKEN), 999.0)


@pytest.mark.parametrize("text", ["pfj_", "pfj_!!", "pfj_AAAA", "pfj_é"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        verify_job_token(SECRET, text, 0.0)


def test_no_byte_of_it_can_be_changed() -> None:
    signed = base64.urlsafe_b64decode(sign_job_token(SECRET, TOKEN).removeprefix("pfj_"))
    for at in range(len(signed)):
        changed = signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :]
        with pytest.raises(Unauthenticated):
            verify_job_token(SECRET, "pfj_" + base64.urlsafe_b64encode(changed).decode(), 0.0)


def test_whoever_shows_it_is_the_owner_within_the_scopes_and_gets_no_other_token(
    server: LocalServer,
) -> None:
    services = server.services
    owner = services.keys.check(server.key).principal
    token = JobToken(owner.id, frozenset({"read"}), "j1", 10**10)
    text = sign_job_token(services.signing_secret, token)
    identity = services.authenticator.identify(f"Bearer {text}")
    assert (identity.principal.id, identity.principal.roles) == (owner.id, owner.roles)
    assert (identity.principal.scopes, identity.credential) == (
        frozenset({"read"}),
        Credential.JOB_TOKEN,
    )
    with pytest.raises(Unauthenticated):
        services.authenticator.identify(f"Bearer {services.authenticator.session_token(identity)}")
