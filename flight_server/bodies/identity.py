"""Users, API keys and tokens as JSON: what is asked for, and what is told of them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from pydantic import Field, SecretStr

from flight_server.auth import Identity, Issued, KeyInfo, User
from flight_server.bodies.requests import AsOf, Body

Name = Annotated[str, Field(max_length=255)]
Names = Annotated[list[Name], Field(max_length=1000)]
# Kept out of logs, of errors and of what pydantic quotes.
Secret = Annotated[SecretStr, Field(max_length=10_000)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CreateUser(Body):
    """A new user. Without a password it proves itself by a certificate, an issuer or keys."""

    name: Name
    password: Secret | None = None
    roles: Names = Field(default_factory=list)
    workspace: Name | None = None
    certificate: Name | None = None
    issuer: Name | None = None
    subject: Name | None = None


class ChangeUser(Body):
    """What of a user is to be otherwise; what is left out stays."""

    password: Secret | None = None
    current_password: Secret | None = None
    roles: Names | None = None
    workspace: Name | None = None
    certificate: Name | None = None
    issuer: Name | None = None
    subject: Name | None = None
    disabled: bool | None = None
    end_tokens: bool | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given. A null takes away what can be missing, and else is none."""
        given = {name: _plain(getattr(self, name)) for name in self.model_fields_set}
        may_be_null = {"password", "certificate", "issuer", "subject"}
        return {k: v for k, v in given.items() if v is not None or k in may_be_null}


class CreateKey(Body):
    """A new API key: one with `roles` of its own, or one of a user, the caller or `owner`."""

    name: Name
    roles: Names = Field(default_factory=list)
    owner: Name | None = None
    scopes: Names | None = None
    expires_at: AsOf | None = None
    workspace: Name | None = None


class RotateKey(Body):
    """A new secret for a key; the old one works for so long."""

    overlap_seconds: Seconds = 0


class TakeToken(Body):
    """A login, in the fields of OAuth 2: a user's password, an API key, or a refresh token."""

    grant_type: Annotated[str, Field(max_length=100)] | None = None
    username: Name | None = None
    password: Secret | None = None
    api_key: Secret | None = None
    refresh_token: Secret | None = None


class RefreshToken(Body):
    """A login goes on."""

    grant_type: Annotated[str, Field(max_length=100)] | None = None
    refresh_token: Secret


class RevokeToken(Body):
    """A token ends: an access token alone, or with a refresh token the whole login."""

    token: Secret
    token_type_hint: Annotated[str, Field(max_length=100)] | None = None


def user_told(user: User) -> dict[str, Any]:
    """A user, without anything secret."""
    return {
        "name": user.name,
        "roles": list(user.roles),
        "external_roles": list(user.external_roles),
        "workspace": user.workspace,
        "has_password": user.password_hash is not None,
        "certificate": user.certificate,
        "issuer": user.issuer,
        "subject": user.subject,
        "created_at": user.created_at,
        "created_by": user.created_by,
        "disabled_at": user.disabled_at,
    }


def key_told(key: KeyInfo) -> dict[str, Any]:
    """A key, without its secret."""
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "roles": list(key.roles),
        "scopes": None if key.scopes is None else list(key.scopes),
        "workspace": key.workspace,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "previous_until": key.previous_until,
    }


def key_shown(text: str, key: KeyInfo) -> dict[str, Any]:
    """A key with its text, which is shown this once."""
    return {"key": text, **key_told(key)}


def tokens_told(issued: Issued) -> dict[str, Any]:
    """The answer to a login, as OAuth 2 has it."""
    return {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "refresh_token": issued.refresh_token,
    }


def identity_told(identity: Identity) -> dict[str, Any]:
    """Who asks, and by which credential."""
    principal = identity.principal
    return {
        "id": principal.id,
        "name": principal.name,
        "roles": sorted(principal.roles),
        "scopes": None if principal.scopes is None else sorted(principal.scopes),
        "workspace": principal.workspace,
        "credential": identity.credential,
        "expires_at": _moment(identity.expires_at),
    }


def _moment(unix: float | None) -> dt.datetime | None:
    return None if unix is None else dt.datetime.fromtimestamp(unix, dt.UTC)


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
