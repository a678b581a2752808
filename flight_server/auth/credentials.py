"""What a client shows to say who it is: API keys, and the tokens that a handshake answers with.

Pure: knows how credentials are written and read, not which of them are known. No message here
repeats a secret, and nothing here tells more about a credential than its bearer has shown.

An API key reads `pf_<id>_<secret><checksum>`: 12, 33 and 6 letters and digits. The secret holds
192 random bits; the checksum tells a mistyped key from a wrong one without asking the database.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
import re
import secrets
import string
import zlib
from collections.abc import Collection
from dataclasses import dataclass

from flight_server.auth.signing import derived, sign, verify
from flight_server.errors import Unauthenticated

# What the texts begin with, so that each is known for what it is.
KEY_PREFIX = "pf_"
TOKEN_PREFIX = "pft_"  # noqa: S105 - says what follows, is no secret
REFRESH_PREFIX = "pfr_"
SECRET_BITS = 192

# Changed where what is signed changes, so that no older token is misread.
_PURPOSE = "handshake of a bearer"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH = 12
_SECRET_LENGTH = 33  # 62 ** 33 > 2 ** 192
_CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32
_KEY = re.compile(
    rf"pf_([0-9A-Za-z]{{{_ID_LENGTH}}})"
    rf"_([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True)
class HandshakeToken:
    """What a handshake's token says.

    `bearer` is whose credential was shown: `key:ID` or `user:NAME`; what else was made for it
    before its `generation` changed has ended. `session` differs from handshake to handshake, so
    that two of them by the same key do not share temporary tables and transactions. `origins` are
    the ids of the access token that was shown, with which it ends.
    """

    bearer: str
    generation: str
    session: str
    expires_at: float
    origins: tuple[str, ...] = ()


def new_key() -> tuple[str, str, str]:
    """A new API key: its text, to be shown once; its id; the hash to keep."""
    key_id = "".join(secrets.choice(_DIGITS) for _ in range(_ID_LENGTH))
    text, secret_hash = renewed_key(key_id)
    return text, key_id, secret_hash


def renewed_key(key_id: str) -> tuple[str, str]:
    """Another API key with this id: its text, to be shown once, and the hash to keep."""
    secret = _new_secret()
    body = f"{KEY_PREFIX}{key_id}_{secret}"
    return body + _checksum(body), hash_secret(secret)


def new_refresh_token() -> tuple[str, str]:
    """A new refresh token: its text, to be shown once, and the hash to keep."""
    text = REFRESH_PREFIX + _new_secret()
    return text, hash_secret(text)


def parse_key(text: str) -> tuple[str, str]:
    """The id and the secret of an API key. Unauthenticated where it cannot be one."""
    text = text.strip()
    match = _KEY.fullmatch(text)
    if match is None:
        raise Unauthenticated(
            f"This is not an API key. A key starts with '{KEY_PREFIX}' and has "
            f"{len(KEY_PREFIX) + _ID_LENGTH + 1 + _SECRET_LENGTH + _CHECKSUM_LENGTH} characters; "
            "copy all of it."
        )
    key_id, secret, checksum = match.groups()
    if checksum != _checksum(text[:-_CHECKSUM_LENGTH]):
        raise Unauthenticated(
            f"The API key 'pf_{key_id}_…' is mistyped: its checksum does not fit. Copy it again."
        )
    return key_id, secret


def hash_secret(secret: str) -> str:
    """What is kept of a key's secret.

    One round of SHA-256 is enough: 192 random bits cannot be guessed however fast the guessing.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def sign_token(
    secret: bytes, bearer: str, generation: str, expires_at: float, origins: Collection[str] = ()
) -> str:
    """A token for a client that showed a credential; `expires_at` is a Unix time."""
    session = secrets.token_urlsafe(12)
    claims = json.dumps([bearer, generation, session, expires_at, list(origins)]).encode()
    return TOKEN_PREFIX + _encoded(sign(derived(secret, _PURPOSE), claims))


def verify_token(secret: bytes, text: str, now: float) -> HandshakeToken:
    """What the token says. Unauthenticated where it is forged, damaged or expired."""
    data = _decoded(text.strip())
    try:
        claims = verify(derived(secret, _PURPOSE), data)
    except Unauthenticated:
        raise _bad_token() from None
    bearer, generation, session, expires_at, origins = json.loads(claims)
    token = HandshakeToken(bearer, generation, session, expires_at, tuple(origins))
    if token.expires_at <= now:
        ended = dt.datetime.fromtimestamp(token.expires_at, dt.UTC)
        raise Unauthenticated(
            f"The token of this session expired at {ended:%Y-%m-%d %H:%M:%S} UTC: "
            "do the handshake again."
        )
    return token


def _new_secret() -> str:
    return _base62(secrets.randbits(SECRET_BITS), _SECRET_LENGTH)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    """The token's bytes; a text that `_encoded` would not have written is refused."""
    body = text.removeprefix(TOKEN_PREFIX)
    try:
        data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        raise _bad_token() from None
    # The decoder skips what is not its own and drops spare bits: many texts, the same bytes.
    if TOKEN_PREFIX + _encoded(data) != text:
        raise _bad_token()
    return data


def _bad_token() -> Unauthenticated:
    return Unauthenticated("The token is not one of this server's: do the handshake again.")
