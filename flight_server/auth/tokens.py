"""Access tokens and refresh tokens: what a login is answered with, and how it is kept up.

An access token is a JWT that this server signs and nobody else can: HS256 by a secret of its own.
It lives for minutes, says whose it is and no more; what its bearer may do is looked up as it is.
A refresh token is a random text, kept by its hash, good for one use. Its second use means that it
was stolen, by whichever of the two: all tokens of that login end.
"""

from __future__ import annotations

import datetime as dt
import math
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import jwt
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from flight_server.auth.credentials import REFRESH_PREFIX, hash_secret, new_refresh_token
from flight_server.auth.remembered import Remembered
from flight_server.auth.signing import derived
from flight_server.errors import Unauthenticated
from flight_server.metastore import Metastore
from flight_server.metastore.audit import record_change
from flight_server.metastore.tables import refresh_tokens, revoked_tokens

ISSUER = "pixelflight"
AUDIENCE = "pixelflight"
ALGORITHM = "HS256"
_CLAIMS = ("iss", "aud", "sub", "iat", "exp", "jti", "sid", "bearer", "gen")


@dataclass(frozen=True)
class AccessToken:
    """What an access token says; `expires_at` is a Unix time."""

    bearer: str
    generation: str
    expires_at: float
    id: str
    family: str

    @property
    def ids(self) -> tuple[str, str]:
        """What it can be revoked by."""
        return (self.id, self.family)


@dataclass(frozen=True)
class Issued:
    """The answer to a login."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


class TokenStore:
    """Makes, checks, renews and ends tokens. Every method may be called from any thread.

    `now` is Unix time.
    """

    def __init__(
        self,
        metastore: Metastore,
        secret: bytes,
        access_seconds: float,
        refresh_seconds: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._metastore = metastore
        self._secret = derived(secret, "access tokens")
        self._access_seconds = access_seconds
        self._refresh_seconds = refresh_seconds
        self._now = now
        self._revoked: Remembered[None, frozenset[str]] = Remembered(self._read_revoked)

    def issue(self, subject: str, bearer: str, generation: str) -> Issued:
        """The tokens of a new login. `subject` is the principal's id."""
        family = secrets.token_hex(12)
        with self._metastore.begin() as connection:
            self._tidy(connection)
            refresh = self._new_refresh(connection, family, bearer, generation)
            record_change(connection, "issue_token", bearer)
        return self._issued(subject, bearer, generation, family, refresh)

    def refresh(self, text: str, subject_of: Callable[[str, str], str]) -> Issued:
        """New tokens for a refresh token, which ends by it. Unauthenticated.

        `subject_of` gives the principal's id of a bearer and its generation, or raises.
        """
        self._check_known(text)
        with self._metastore.begin() as connection:
            found = _refresh_row(connection, text)
            is_first = self._used_first(connection, found)
            if is_first:
                subject = subject_of(found["bearer"], found["generation"])
                whose = (found["family"], found["bearer"], found["generation"])
                refresh = self._new_refresh(connection, *whose)
                record_change(connection, "refresh_token", found["bearer"])
            else:
                self._end_family(connection, found["family"])
                record_change(connection, "end_login", found["bearer"], reused=True)
        if not is_first:
            self._revoked.forget(None)
            raise Unauthenticated(
                "This refresh token was used before, so somebody else may have it: the login that "
                "it belongs to has ended. Log in again."
            )
        return self._issued(subject, found["bearer"], found["generation"], found["family"], refresh)

    def verify(self, text: str) -> AccessToken:
        """What an access token says. Unauthenticated where it is not ours, expired or revoked."""
        try:
            claims = jwt.decode(
                text,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise _bad_access() from None
        token = AccessToken(
            claims["bearer"], claims["gen"], claims["exp"], claims["jti"], claims["sid"]
        )
        if token.expires_at <= self._now():
            raise Unauthenticated("The access token has expired: refresh it, or log in again.")
        self.check_alive(token.ids)
        return token

    def check_alive(self, ids: Collection[str]) -> None:
        """Unauthenticated where one of the ids was revoked, of a token or of a login."""
        if not self._revoked.get(None).isdisjoint(ids):
            raise Unauthenticated("The token was revoked: log in again.")

    def revoke(self, text: str) -> None:
        """Ends an access token, or all tokens of the login that a refresh token belongs to.

        One that has ended already, or never was, is as good as revoked.
        """
        try:
            if text.startswith(REFRESH_PREFIX):
                self._end_login(text)
            else:
                self._end_access(self.verify(text))
        except Unauthenticated:
            return
        self._revoked.forget(None)

    def _end_login(self, text: str) -> None:
        self._check_known(text)
        with self._metastore.begin() as connection:
            row = _refresh_row(connection, text)
            self._end_family(connection, row["family"])
            record_change(connection, "end_login", row["bearer"])

    def _end_access(self, token: AccessToken) -> None:
        with self._metastore.begin() as connection:
            self._revoke(connection, token.id, token.expires_at)
            record_change(connection, "revoke_token", token.bearer)

    def _check_known(self, text: str) -> None:
        """Unauthenticated for what was never a refresh token: nobody else waits for it then."""
        with self._metastore.read() as connection:
            _refresh_row(connection, text)

    def _used_first(self, connection: Connection, found: RowMapping) -> bool:
        """Uses a refresh token up; False where it has been. Unauthenticated once it has expired."""
        if found["used_at"] is None and found["expires_at"].timestamp() <= self._now():
            raise _bad_refresh()
        unused = (refresh_tokens.c.hash == found["hash"]) & refresh_tokens.c.used_at.is_(None)
        using = update(refresh_tokens).where(unused).values(used_at=_moment(self._now()))
        return connection.execute(using).rowcount == 1

    def _issued(
        self, subject: str, bearer: str, generation: str, family: str, refresh: str
    ) -> Issued:
        now = self._now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": int(now),
            "exp": math.ceil(now + self._access_seconds),
            "jti": secrets.token_hex(12),
            "sid": family,
            "bearer": bearer,
            "gen": generation,
        }
        text = jwt.encode(claims, self._secret, ALGORITHM)
        return Issued(text, refresh, int(self._access_seconds))

    def _new_refresh(
        self, connection: Connection, family: str, bearer: str, generation: str
    ) -> str:
        text, kept = new_refresh_token()
        row = {
            "hash": kept,
            "family": family,
            "bearer": bearer,
            "generation": generation,
            "created_at": _moment(self._now()),
            "expires_at": _moment(self._now() + self._refresh_seconds),
        }
        connection.execute(insert(refresh_tokens).values(row))
        return text

    def _end_family(self, connection: Connection, family: str) -> None:
        connection.execute(delete(refresh_tokens).where(refresh_tokens.c.family == family))
        self._revoke(connection, family, self._now() + self._access_seconds)

    def _revoke(self, connection: Connection, id: str, until: float) -> None:
        connection.execute(delete(revoked_tokens).where(revoked_tokens.c.id == id))
        row = {"id": id, "expires_at": _moment(until)}
        connection.execute(insert(revoked_tokens).values(row))

    def _tidy(self, connection: Connection) -> None:
        """Forgets what has expired by itself, a little at each login."""
        now = _moment(self._now())
        for table in (refresh_tokens, revoked_tokens):
            connection.execute(delete(table).where(table.c.expires_at <= now))

    def _read_revoked(self, _: None) -> frozenset[str]:
        with self._metastore.read() as connection:
            current = revoked_tokens.c.expires_at > _moment(self._now())
            return frozenset(connection.scalars(select(revoked_tokens.c.id).where(current)))


def unverified_issuer(text: str) -> str | None:
    """Who a JWT says it comes from; None where the text is no JWT. Nothing of it is to be trusted.

    It only tells whose key and whose algorithms the token has to be checked with.
    """
    try:
        claims = jwt.decode(text, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else ""


def _refresh_row(connection: Connection, text: str) -> RowMapping:
    statement = select(refresh_tokens).where(refresh_tokens.c.hash == hash_secret(text))
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise _bad_refresh()
    return row


def _bad_access() -> Unauthenticated:
    return Unauthenticated("The access token is not one of this server's: log in again.")


def _bad_refresh() -> Unauthenticated:
    return Unauthenticated(
        "The refresh token is not valid: it has expired, was revoked, or is another server's. "
        "Log in again."
    )


def _moment(unix: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(unix, dt.UTC)
