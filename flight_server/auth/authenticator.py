"""From a credential to who shows it: the same on both doors.

A credential is the value of the header `authorization`: `Bearer` with an API key, a handshake's
token, an access token or a token of the issuer of the settings; or `Basic` with a user and its
password, or with any user and an API key as the password. Where there is no header, it is the
client's certificate, if the settings say so.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from flight_server.auth.access import ANONYMOUS
from flight_server.auth.credentials import (
    KEY_PREFIX,
    REFRESH_PREFIX,
    TOKEN_PREFIX,
    HandshakeToken,
    sign_token,
    verify_token,
)
from flight_server.auth.external import external_user
from flight_server.auth.job_tokens import JOB_PREFIX, verify_job_token
from flight_server.auth.passwords import Passwords
from flight_server.auth.store import KEY, KeyStore
from flight_server.auth.tokens import ISSUER, Issued, TokenStore, unverified_issuer
from flight_server.auth.users import User, UserStore
from flight_server.errors import PixelflightError, Unauthenticated
from flight_server.metastore.audit import act_as
from flight_server.model import Principal

if TYPE_CHECKING:
    from flight_server.auth.issuer import Issuer

TOKEN_SECONDS = 12 * 3600


class Credential(StrEnum):
    """What somebody shows to say who they are."""

    NONE = "none"
    API_KEY = "api_key"
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    ACCESS_TOKEN = "access_token"  # noqa: S105
    REFRESH_TOKEN = "refresh_token"  # noqa: S105
    SESSION_TOKEN = "session_token"  # noqa: S105
    ISSUER_TOKEN = "issuer_token"  # noqa: S105
    CERTIFICATE = "certificate"
    JOB_TOKEN = "job_token"  # noqa: S105


@dataclass(frozen=True)
class Identity:
    """Who shows a credential, and what of it matters later.

    `bearer` is what tokens are made for: `key:ID` or `user:NAME`, of this `generation`. `token` is
    the handshake's, if that was shown; `origins` are ids with whose revocation this ends.
    """

    principal: Principal
    credential: Credential
    bearer: str = ""
    generation: str = field(default="", repr=False)
    expires_at: float | None = None
    token: HandshakeToken | None = None
    origins: tuple[str, ...] = ()


class Authenticator:
    """Knows every kind of credential. `anyone` lets everybody in, as somebody who may do all."""

    def __init__(
        self,
        keys: KeyStore,
        users: UserStore,
        passwords: Passwords,
        tokens: TokenStore,
        secret: bytes,
        issuer: Issuer | None = None,
        anyone: bool = False,
    ) -> None:
        self._keys = keys
        self._users = users
        self._passwords = passwords
        self._tokens = tokens
        self._secret = secret
        self._issuer = issuer
        self._anyone = anyone

    def identify(
        self, authorization: str, peer: str | None = None, certificate: str | None = None
    ) -> Identity:
        """Who shows the header's value, or this certificate. Unauthenticated says what is wrong.

        `peer` is the address that asks, where the door knows it. LimitExceeded after many wrong
        passwords; Unavailable where a token's issuer cannot be asked.
        """
        scheme, _, credential = authorization.partition(" ")
        if self._anyone:
            return self._anybody(scheme, credential)
        if not authorization and certificate:
            return self._told(Credential.CERTIFICATE, "", lambda: self._of_certificate(certificate))
        if scheme.lower() == "bearer":
            kind, shown = _kind(credential), _claimed(credential)
            return self._told(kind, shown, lambda: self._of_bearer(kind, credential.strip()))
        if scheme.lower() != "basic":
            return self._told(Credential.NONE, "", lambda: _refuse(scheme))
        return self._of_pair(*_basic(credential), peer)

    def login(self, name: str, password: str, peer: str | None) -> Issued:
        """Tokens for a user and its password, or an API key as the password. Unauthenticated."""
        return self._issued(_ANYBODY if self._anyone else self._of_pair(name, password, peer))

    def login_with_key(self, text: str) -> Issued:
        """Tokens for an API key. Unauthenticated."""
        return self._issued(_ANYBODY if self._anyone else self._of_shown_key(text))

    def refresh(self, text: str) -> Issued:
        """Tokens for a refresh token, which ends by it. Unauthenticated."""

        def subject(bearer: str, generation: str) -> str:
            principal = self._bearer(bearer, generation)
            _act_as(principal)
            return principal.id

        return self._tokens.refresh(text, subject)

    def principal_of(self, id: str) -> Principal:
        """Who somebody is now, for what is done in its name without it. Unauthenticated."""
        if id == ANONYMOUS.id and self._anyone:
            return ANONYMOUS
        if id.startswith(KEY):
            return self._keys.principal(id.removeprefix(KEY))
        return self._users.active(id.partition(":")[2]).principal

    def session_token(self, identity: Identity) -> str:
        """The token that a handshake is answered with; it outlives no credential that ends."""
        expires_at = time.time() + TOKEN_SECONDS
        if identity.expires_at is not None:
            expires_at = min(expires_at, identity.expires_at)
        return sign_token(
            self._secret, identity.bearer, identity.generation, expires_at, identity.origins
        )

    def _of_pair(self, name: str, password: str, peer: str | None) -> Identity:
        """A user and a password, which may be an API key, whoever the user is."""
        if password.startswith(KEY_PREFIX):
            return self._of_shown_key(password)

        def found() -> Identity:
            return _of_user(self._passwords.check(name, password, peer), Credential.PASSWORD)

        return self._told(Credential.PASSWORD, name, found)

    def _of_shown_key(self, text: str) -> Identity:
        return self._told(Credential.API_KEY, _claimed(text), lambda: self._of_key(text))

    def _issued(self, identity: Identity) -> Issued:
        _act_as(identity.principal)
        return self._tokens.issue(identity.principal.id, identity.bearer, identity.generation)

    def _told(self, kind: Credential, shown: str, found: Callable[[], Identity]) -> Identity:
        """Who that is; an error says whose credential was refused, for the audit trail."""
        try:
            return found()
        except PixelflightError as error:
            raise error.refusing("authenticate", self._whose(kind, shown)) from None

    def _whose(self, kind: Credential, shown: str) -> str:
        """What the audit trail calls the owner of a credential that is refused.

        Only where there is such a key or user: some type their password where a name belongs.
        """
        if kind is Credential.API_KEY:
            key = self._keys.find(shown.removeprefix(KEY_PREFIX)) if shown else None
            return "" if key is None else KEY + key.id
        user = self._users.find(shown) if kind is Credential.PASSWORD else None
        return "" if user is None else user.id

    def _of_bearer(self, kind: Credential, credential: str) -> Identity:
        match kind:
            case Credential.SESSION_TOKEN:
                return self._of_session(credential)
            case Credential.JOB_TOKEN:
                return self._of_job(credential)
            case Credential.ACCESS_TOKEN:
                return self._of_token(credential)
            case Credential.REFRESH_TOKEN:
                raise Unauthenticated(
                    "This is a refresh token: it is good for POST /api/v1/auth/token/refresh, and "
                    "the access token that comes back is good here."
                )
        return self._of_key(credential)

    def _of_key(self, text: str) -> Identity:
        checked = self._keys.check(text)
        expires_at = (
            None if checked.info.expires_at is None else checked.info.expires_at.timestamp()
        )
        bearer = KEY + checked.info.id
        return Identity(
            checked.principal, Credential.API_KEY, bearer, checked.generation, expires_at
        )

    def _of_session(self, text: str) -> Identity:
        token = verify_token(self._secret, text, time.time())
        principal = self._bearer(token.bearer, token.generation)
        self._tokens.check_alive(token.origins)
        return Identity(
            principal,
            Credential.SESSION_TOKEN,
            token.bearer,
            token.generation,
            token.expires_at,
            token,
            token.origins,
        )

    def _of_token(self, text: str) -> Identity:
        """An access token of ours, or one of the issuer: as it says itself, and is then held to."""
        if self._issuer is not None and unverified_issuer(text) == self._issuer.url != ISSUER:
            told = self._issuer.verify(text)
            user = external_user(self._users, told)
            return _of_user(user, Credential.ISSUER_TOKEN, told.expires_at)
        token = self._tokens.verify(text)
        principal = self._bearer(token.bearer, token.generation)
        return Identity(
            principal,
            Credential.ACCESS_TOKEN,
            token.bearer,
            token.generation,
            token.expires_at,
            origins=token.ids,
        )

    def _of_job(self, text: str) -> Identity:
        """A worker that does somebody's job. No other token can be had for this one."""
        token = verify_job_token(self._secret, text, time.time())
        owner = self.principal_of(token.principal_id)
        principal = replace(owner, scopes=token.scopes, job=token.job_id)
        return Identity(principal, Credential.JOB_TOKEN, expires_at=token.expires_at)

    def _of_certificate(self, certificate: str) -> Identity:
        user = self._users.of_certificate(certificate)
        if user is None or user.disabled_at is not None:
            raise Unauthenticated(
                f"The client certificate of '{certificate[:80]}' stands for no user here. Ask an "
                "administrator to name it at one, or show another credential."
            )
        return _of_user(user, Credential.CERTIFICATE)

    def _bearer(self, bearer: str, generation: str) -> Principal:
        """Who somebody is that showed its credential before. Unauthenticated."""
        if bearer.startswith(KEY):
            return self._keys.principal(bearer.removeprefix(KEY), generation)
        return self._users.active(bearer.partition(":")[2], generation).principal

    def _anybody(self, scheme: str, credential: str) -> Identity:
        if scheme.lower() != "bearer":
            return _ANYBODY
        if credential.startswith(JOB_PREFIX):
            with suppress(Unauthenticated):
                return self._of_job(credential)
        if not credential.startswith(TOKEN_PREFIX):
            return _ANYBODY
        return replace(_ANYBODY, token=self._anonymous_token(credential))

    def _anonymous_token(self, credential: str) -> HandshakeToken | None:
        """The session's token where nobody has to show one; a foreign one does no harm."""
        try:
            return verify_token(self._secret, credential, time.time())
        except Unauthenticated:
            return None


_ANYBODY = Identity(ANONYMOUS, Credential.NONE, ANONYMOUS.id)


def _act_as(principal: Principal) -> None:
    act_as(principal.id, principal.name, principal.workspace)


def _of_user(user: User, kind: Credential, expires_at: float | None = None) -> Identity:
    return Identity(user.principal, kind, user.id, user.generation, expires_at)


def _kind(credential: str) -> Credential:
    """What a bearer shows, by how it begins and by nothing else."""
    if credential.startswith(TOKEN_PREFIX):
        return Credential.SESSION_TOKEN
    if credential.startswith(JOB_PREFIX):
        return Credential.JOB_TOKEN
    if credential.startswith(REFRESH_PREFIX):
        return Credential.REFRESH_TOKEN
    is_token = credential.count(".") == 2 and not credential.startswith(KEY_PREFIX)
    return Credential.ACCESS_TOKEN if is_token else Credential.API_KEY


def _claimed(credential: str) -> str:
    """The part of a key that may be told: its id."""
    return credential[:15] if credential.startswith(KEY_PREFIX) else ""


def _refuse(scheme: str) -> Identity:
    """Unauthenticated: there is nothing that could be checked."""
    if scheme:
        raise Unauthenticated(
            "The header 'authorization' begins with neither 'Bearer' nor 'Basic': send "
            "'Bearer <API key>', or 'Basic' with a user and a password."
        )
    raise Unauthenticated(
        "This call shows no credential. Send the header 'authorization: Bearer <API key>', or "
        "do a Basic handshake with an API key as the password."
    )


def _basic(credential: str) -> tuple[str, str]:
    """User and password."""
    try:
        # Go's clients, ADBC's driver among them, leave the padding away.
        padded = credential.rstrip("=") + "=" * (-len(credential.rstrip("=")) % 4)
        text = base64.b64decode(padded, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Unauthenticated("The Basic credential is not base64 of 'user:password'.") from None
    name, _, password = text.partition(":")
    return name, password
