"""From the text of a credential to who shows it: the same on both doors.

A credential is the value of the header `authorization`: `Bearer` with an API key or a
handshake's token, or `Basic` with an API key as the password.
"""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass

from flight_server.auth.access import ANONYMOUS
from flight_server.auth.credentials import (
    TOKEN_PREFIX,
    HandshakeToken,
    sign_token,
    verify_token,
)
from flight_server.auth.store import KeyStore
from flight_server.errors import Unauthenticated
from flight_server.model import Principal

TOKEN_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Identity:
    """Who shows a credential, and the handshake's token if that is it."""

    principal: Principal
    token: HandshakeToken | None = None


class Authenticator:
    """Knows every kind of credential. `anyone` lets everybody in, as somebody who may do all."""

    def __init__(self, keys: KeyStore, secret: bytes, anyone: bool = False) -> None:
        self._keys = keys
        self._secret = secret
        self._anyone = anyone

    def identify(self, authorization: str) -> Identity:
        """Who shows the header's value. Unauthenticated says what is wrong with it."""
        scheme, _, credential = authorization.partition(" ")
        is_token = scheme.lower() == "bearer" and credential.startswith(TOKEN_PREFIX)
        if self._anyone:
            return Identity(ANONYMOUS, self._anonymous_token(credential) if is_token else None)
        if is_token:
            token = verify_token(self._secret, credential, time.time())
            return Identity(self._keys.principal(token.key_id), token)
        return Identity(self._keys.authenticate(_key(scheme, credential)))

    def session_token(self, principal: Principal) -> str:
        """The token that a handshake of the principal is answered with."""
        key_id = principal.id.removeprefix("key:")
        return sign_token(self._secret, key_id, time.time() + TOKEN_SECONDS)

    def _anonymous_token(self, credential: str) -> HandshakeToken | None:
        """The session's token where nobody has to show one; a foreign one does no harm."""
        try:
            return verify_token(self._secret, credential, time.time())
        except Unauthenticated:
            return None


def _key(scheme: str, credential: str) -> str:
    """The API key within a credential."""
    if scheme.lower() == "bearer":
        return credential
    if scheme and scheme.lower() != "basic":
        raise Unauthenticated(
            "The header 'authorization' begins with neither 'Bearer' nor 'Basic': send "
            "'Bearer <API key>', or 'Basic' with an API key as the password."
        )
    if not scheme:
        raise Unauthenticated(
            "This call shows no credential. Send the header 'authorization: Bearer <API key>', or "
            "do a Basic handshake with an API key as the password."
        )
    try:
        # Go's clients, ADBC's driver among them, leave the padding away.
        padded = credential.rstrip("=") + "=" * (-len(credential.rstrip("=")) % 4)
        text = base64.b64decode(padded, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Unauthenticated("The Basic credential is not base64 of 'user:password'.") from None
    return text.partition(":")[2]
