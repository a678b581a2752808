"""Tokens in the store: one use of each refresh token whoever is quicker, and what is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from flight_server.auth import TokenStore
from flight_server.auth import remembered as remembered_module
from flight_server.errors import Forbidden, Unauthenticated
from flight_server.metastore import Metastore
from flight_server.metastore.tables import refresh_tokens, revoked_tokens
from tests.fix_metastore import Clock

SECRET = bytes(range(32))


@pytest.fixture
def tokens(metastore: Metastore, clock: Clock) -> TokenStore:
    return TokenStore(metastore, SECRET, 900, 3600, clock)


def anybody(bearer: str, generation: str) -> str:
    return bearer


def issue(tokens: TokenStore) -> tuple[str, str]:
    issued = tokens.issue("user:ann", "user:ann", "g")
    return issued.access_token, issued.refresh_token


def test_an_access_token_ends_at_its_expiry(tokens: TokenStore, clock: Clock) -> None:
    access, _ = issue(tokens)
    clock.seconds += 899
    token = tokens.verify(access)
    assert (token.bearer, token.generation) == ("user:ann", "g")
    clock.seconds += 1
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.verify(access)


def test_a_refresh_token_ends_at_its_expiry(tokens: TokenStore, clock: Clock) -> None:
    _, refresh = issue(tokens)
    clock.seconds += 3599
    renewed = tokens.refresh(refresh, anybody).refresh_token
    clock.seconds += 3600
    with pytest.raises(Unauthenticated, match="has expired"):
        tokens.refresh(renewed, anybody)


def test_of_many_at_once_one_refreshes_and_the_login_ends(tokens: TokenStore) -> None:
    access, refresh = issue(tokens)

    def refreshed(_: int) -> bool:
        try:
            tokens.refresh(refresh, anybody)
        except Unauthenticated:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(refreshed, range(8))) == 1
    with pytest.raises(Unauthenticated, match="revoked"):
        tokens.verify(access)


def test_a_bearer_that_is_out_does_not_use_its_token_up(tokens: TokenStore) -> None:
    _, refresh = issue(tokens)

    def nobody(bearer: str, generation: str) -> str:
        raise Forbidden("out")

    with pytest.raises(Forbidden):
        tokens.refresh(refresh, nobody)
    assert tokens.refresh(refresh, anybody).refresh_token != refresh


def test_no_token_is_stored_or_shown(tokens: TokenStore, metastore: Metastore) -> None:
    issued = tokens.issue("user:ann", "user:ann", "g")
    tokens.revoke(issued.access_token)
    with metastore.read() as connection:
        stored = "".join(
            str(connection.execute(text(f"SELECT * FROM {table}")).all())
            for table in ("refresh_tokens", "revoked_tokens")
        )
    for told in (stored, repr(issued), str(issued), repr(tokens.verify)):
        assert issued.refresh_token[4:] not in told
        assert issued.access_token not in told


def test_what_has_expired_is_forgotten(
    tokens: TokenStore, metastore: Metastore, clock: Clock
) -> None:
    for _ in range(5):
        access, refresh = issue(tokens)
        tokens.revoke(access)
        tokens.refresh(refresh, anybody)
    clock.seconds += 10_000
    issue(tokens)
    with metastore.read() as connection:
        assert connection.scalar(select(func.count()).select_from(refresh_tokens)) == 1
        assert connection.scalar(select(func.count()).select_from(revoked_tokens)) == 0


def test_a_revocation_elsewhere_counts_soon(
    tokens: TokenStore, metastore: Metastore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    access, _ = issue(tokens)
    tokens.verify(access)
    TokenStore(metastore, SECRET, 900, 3600, clock).revoke(access)
    assert remembered_module.REMEMBERED_SECONDS <= 5
    monkeypatch.setattr(remembered_module, "REMEMBERED_SECONDS", 0.0)
    with pytest.raises(Unauthenticated, match="revoked"):
        tokens.verify(access)


def test_tokens_of_another_server_are_not_taken(
    tokens: TokenStore, metastore: Metastore, clock: Clock
) -> None:
    foreign = TokenStore(metastore, bytes(32), 900, 3600, clock)
    with pytest.raises(Unauthenticated, match="not one of this server's"):
        tokens.verify(issue(foreign)[0])
