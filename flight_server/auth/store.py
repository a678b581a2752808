"""The store of API keys: made, shown once, checked on every call, revoked.

Only hashes are kept. Checked keys are remembered for a moment, because every call of every
method is checked; a revocation in this process counts at once, one in another within
`REMEMBERED_SECONDS`.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from flight_server.auth.credentials import hash_secret, new_key, parse_key
from flight_server.auth.policy import BUILT_IN_ROLES
from flight_server.errors import InvalidRequest, NotFound, Unauthenticated, did_you_mean
from flight_server.metastore import Metastore
from flight_server.metastore.tables import api_keys
from flight_server.model import Principal, check_name

REMEMBERED_SECONDS = 2.0
# Compared against where there is no such key, so that the answer takes the same steps.
_NO_HASH = "0" * 64


@dataclass(frozen=True)
class KeyInfo:
    """What may be told of an API key: everything but its secret."""

    id: str
    name: str
    roles: tuple[str, ...]
    workspace: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    created_by: str

    @property
    def principal(self) -> Principal:
        """Who asks when this key is shown."""
        return Principal(f"key:{self.id}", self.name, frozenset(self.roles), self.workspace)


@dataclass(frozen=True)
class _Known:
    """A key as it is remembered; `read_at` is a moment of `time.monotonic`."""

    info: KeyInfo
    principal: Principal
    secret_hash: str = field(repr=False)
    expires_at: float | None
    read_at: float


class KeyStore:
    """API keys in the metastore. Every method may be called from any thread.

    `now` is the Unix time; it is asked for expiry only.
    """

    def __init__(
        self,
        metastore: Metastore,
        roles: Collection[str] = BUILT_IN_ROLES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._metastore = metastore
        self._roles = roles
        self._now = now
        self._remembered: dict[str, _Known] = {}
        self._revocations = 0
        self._lock = threading.Lock()

    def create(
        self,
        name: str,
        roles: Collection[str],
        *,
        created_by: str,
        expires_at: dt.datetime | None = None,
        workspace: str = "default",
    ) -> tuple[str, KeyInfo]:
        """A new key: its text, which is shown this once, and what is known of it.

        InvalidRequest for a bad name, no role or an unknown one, an expiry that has passed.
        """
        text, info, row = self._new(name, roles, created_by, expires_at, workspace)
        with self._metastore.begin() as connection:
            connection.execute(insert(api_keys).values(row))
        return text, info

    def create_first(
        self, name: str, roles: Collection[str], deliver: Callable[[str], None]
    ) -> KeyInfo | None:
        """The first key, or None where there is one already, be it revoked.

        `deliver` gets the text before the key is committed: a key that reached nobody must not
        exist, since it would keep the next attempt from making one.
        """
        text, info, row = self._new(name, roles, "bootstrap", None, "default")
        with self._metastore.begin() as connection:
            if connection.scalar(select(api_keys.c.id).limit(1)) is not None:
                return None
            deliver(text)
            connection.execute(insert(api_keys).values(row))
        return info

    def authenticate(self, text: str) -> Principal:
        """Who shows this API key. Unauthenticated where it is not valid.

        Unknown, revoked and wrong keys are told alike; that a key has expired is told only to
        somebody who has shown that the key is theirs.
        """
        key_id, secret = parse_key(text)
        known = self._known(key_id)
        expected = _NO_HASH if known is None else known.secret_hash
        fits = hmac.compare_digest(hash_secret(secret), expected)
        if known is None or not fits or known.info.revoked_at is not None:
            raise Unauthenticated(
                f"The API key 'pf_{key_id}_…' is not valid here. "
                "Check that it is this server's, or ask its administrator for a new one."
            )
        return self._unexpired(known)

    def principal(self, key_id: str) -> Principal:
        """Who has the key of this id, for somebody who showed it before. Unauthenticated."""
        known = self._known(key_id)
        if known is None or known.info.revoked_at is not None:
            raise Unauthenticated("The API key of this session is no longer valid.")
        return self._unexpired(known)

    def list(self) -> list[KeyInfo]:
        """All keys, the oldest first, those revoked and expired included."""
        with self._metastore.read() as connection:
            statement = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
            return [_info(row) for row in connection.execute(statement).mappings()]

    def revoke(self, key_id: str) -> KeyInfo:
        """Ends a key, at once in this process. A second time changes nothing. NotFound."""
        with self._metastore.begin() as connection:
            row = _row(connection, key_id)
            if row is None:
                raise NotFound(f"There is no API key with the id '{key_id}'.")
            if row["revoked_at"] is None:
                this = api_keys.c.id == key_id
                connection.execute(
                    update(api_keys).where(this).values(revoked_at=_moment(self._now()))
                )
                row = _row(connection, key_id)
                assert row is not None, "the row was there in this transaction"
        with self._lock:
            self._revocations += 1
            self._remembered.pop(key_id, None)
        return _info(row)

    def _new(
        self,
        name: str,
        roles: Collection[str],
        created_by: str,
        expires_at: dt.datetime | None,
        workspace: str,
    ) -> tuple[str, KeyInfo, dict[str, Any]]:
        check_name(name, "key's name")
        self._check_roles(roles)
        created_at = _moment(self._now())
        _check_expiry(expires_at, created_at)
        text, key_id, secret_hash = new_key()
        names = tuple(sorted(set(roles)))
        info = KeyInfo(key_id, name, names, workspace, created_at, expires_at, None, created_by)
        row = vars(info) | {"roles": json.dumps(names), "secret_hash": secret_hash}
        return text, info, row

    def _check_roles(self, roles: Collection[str]) -> None:
        if not roles:
            known = ", ".join(sorted(self._roles))
            raise InvalidRequest(f"A key needs a role: {known}.")
        for role in roles:
            if role not in self._roles:
                near = did_you_mean(role, self._roles)
                raise InvalidRequest(f"There is no role '{role}'.{near}")

    def _known(self, key_id: str) -> _Known | None:
        with self._lock:
            known = self._remembered.get(key_id)
            revocations = self._revocations
        if known is not None and time.monotonic() - known.read_at < REMEMBERED_SECONDS:
            return known
        read_at = time.monotonic()
        with self._metastore.read() as connection:
            row = _row(connection, key_id)
        if row is None:
            return None
        known = _remembered(row, read_at)
        with self._lock:
            # A revocation may have come between reading and here: then this is old news.
            if revocations == self._revocations:
                self._remembered[key_id] = known
        return known

    def _unexpired(self, known: _Known) -> Principal:
        if known.expires_at is not None and known.expires_at <= self._now():
            raise Unauthenticated(
                f"The API key '{known.info.name}' expired at "
                f"{_moment(known.expires_at):%Y-%m-%d %H:%M:%S} UTC: ask for a new one."
            )
        return known.principal


def _check_expiry(expires_at: dt.datetime | None, now: dt.datetime) -> None:
    if expires_at is None:
        return
    if expires_at.tzinfo is None:
        raise InvalidRequest(f"The expiry '{expires_at}' has no time zone: write …Z for UTC.")
    if expires_at <= now:
        raise InvalidRequest(f"The expiry '{expires_at}' has passed: the key would be useless.")


def _row(connection: Connection, key_id: str) -> RowMapping | None:
    statement = select(api_keys).where(api_keys.c.id == key_id)
    return connection.execute(statement).mappings().one_or_none()


def _remembered(row: RowMapping, read_at: float) -> _Known:
    info = _info(row)
    expires_at = None if info.expires_at is None else info.expires_at.timestamp()
    return _Known(info, info.principal, row["secret_hash"], expires_at, read_at)


def _info(row: RowMapping) -> KeyInfo:
    told = {name: value for name, value in row.items() if name != "secret_hash"}
    return KeyInfo(**told | {"roles": tuple(json.loads(row["roles"]))})


def _moment(unix: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(unix, dt.UTC)
