"""Logins: tokens for a credential, their renewal and their end.

The one family of operations that nobody has to be known for: its input is the credential.
"""

from __future__ import annotations

from flight_server.auth import Issued
from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.operations.services import Services

# How OAuth 2 calls what is shown, and what it needs.
GRANTS = {
    "password": ("username", "password"),
    "api_key": ("api_key",),
    "refresh_token": ("refresh_token",),
}


def take_token(
    services: Services,
    peer: str | None,
    *,
    grant: str | None = None,
    username: str | None = None,
    password: str | None = None,
    api_key: str | None = None,
    refresh_token: str | None = None,
) -> Issued:
    """Tokens for a user's password, an API key or a refresh token, whichever is given.

    InvalidRequest; Unauthenticated; LimitExceeded.
    """
    given = {
        "username": username,
        "password": password,
        "api_key": api_key,
        "refresh_token": refresh_token,
    }
    match _grant(grant, {name for name, value in given.items() if value is not None}):
        case "refresh_token":
            return refresh_login(services, refresh_token or "")
        case "api_key":
            return services.authenticator.login_with_key(api_key or "")
    return services.authenticator.login(username or "", password or "", peer)


def refresh_login(services: Services, token: str) -> Issued:
    """New tokens for a refresh token, which is good for one use. Unauthenticated."""
    return services.authenticator.refresh(token.strip())


def revoke_token(services: Services, token: str) -> None:
    """Ends an access token, or with a refresh token the whole login; others are none."""
    services.tokens.revoke(token.strip())


def _grant(grant: str | None, given: set[str]) -> str:
    """Which kind of grant is meant. InvalidRequest where what is given is not what it needs."""
    if grant is not None and grant not in GRANTS:
        raise InvalidRequest(
            f"There is no 'grant_type' '{grant[:40]}': it is one of {', '.join(GRANTS)}."
            f"{did_you_mean(grant, GRANTS)}"
        )
    for name, fields in GRANTS.items():
        if given == set(fields) and grant in (None, name):
            return name
    raise InvalidRequest(
        "Give 'username' and 'password', or 'api_key', or 'refresh_token', and no other of these."
    )
