"""The store of API keys: made, shown once, checked on every call, rotated, revoked.

Only hashes are kept. A key either has roles of its own, and is a principal by itself, or it has an
owner, and whoever shows it is that user, with the roles that the user has at that moment. Checked
keys are remembered for a moment; see `remembered`.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from flight_server.auth.credentials import hash_secret, new_key, parse_key, renewed_key
from flight_server.auth.remembered import Remembered
from flight_server.auth.scopes import parse_scopes
from flight_server.auth.users import (
    RoleNames,
    UserStore,
    built_in_roles,
    check_roles,
    folded,
    new_generation,
)
from flight_server.errors import Conflict, InvalidRequest, NotFound, Unauthenticated
from flight_server.metastore import Metastore
from flight_server.metastore.audit import record_change
from flight_server.metastore.tables import api_keys, users
from flight_server.model import Principal, check_name

KEY = "key:"
# A secret that does not fit has the key read anew where it was read longer ago than this.
ROTATED_SECONDS = 0.5
# How long an old secret may work beside the new one.
OVERLAP_SECONDS_MAX = 90 * 24 * 3600
# Compared against where there is no such key, so that the answer takes the same steps.
_NO_HASH = "0" * 64
_TOLD = (
    "id", "name", "workspace", "created_at", "expires_at", "revoked_at", "created_by", "owner",
    "previous_until",
)  # fmt: skip


@dataclass(frozen=True)
class KeyInfo:
    """What may be told of an API key: everything but its secret.

    The secret before the last rotation works until `previous_until`.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    workspace: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    created_by: str
    owner: str | None = None
    scopes: tuple[str, ...] | None = None
    previous_until: dt.datetime | None = None

    @property
    def principal(self) -> Principal:
        """Who asks when this key is shown, where it has no owner."""
        scopes = None if self.scopes is None else frozenset(self.scopes)
        return Principal(
            f"{KEY}{self.id}", self.name, frozenset(self.roles), self.workspace, scopes
        )


@dataclass(frozen=True)
class CheckedKey:
    """A key that was shown: who that is, and the generation of the secret that was."""

    principal: Principal
    info: KeyInfo
    generation: str = field(repr=False)


@dataclass(frozen=True)
class _Secret:
    """One of a key's secrets as it is remembered; moments are Unix times."""

    hash: str = field(repr=False)
    generation: str
    until: float


@dataclass(frozen=True)
class _Known:
    """A key as it is remembered, the newest secret first."""

    info: KeyInfo
    principal: Principal
    secrets: tuple[_Secret, ...]
    expires_at: float | None


class KeyStore:
    """API keys in the metastore. Every method may be called from any thread.

    `now` is the Unix time; it is asked for expiry only.
    """

    def __init__(
        self,
        metastore: Metastore,
        role_names: RoleNames = built_in_roles,
        now: Callable[[], float] = time.time,
        users: UserStore | None = None,
    ) -> None:
        self._metastore = metastore
        self._role_names = role_names
        self._now = now
        self._users = users or UserStore(metastore, role_names, now)
        self._remembered: Remembered[str, _Known | None] = Remembered(self._read)

    def create(
        self,
        name: str,
        roles: Collection[str] = (),
        *,
        created_by: str,
        expires_at: dt.datetime | None = None,
        workspace: str = "default",
        owner: str | None = None,
        scopes: Collection[str] | None = None,
    ) -> tuple[str, KeyInfo]:
        """A new key: its text, which is shown this once, and what is known of it.

        InvalidRequest for a bad name, roles or scopes, an expiry that has passed; NotFound for an
        owner who does not exist; Conflict for the name of a user.
        """
        self._check_rights(roles, owner, workspace)
        scopes = None if scopes is None else sorted(parse_scopes(scopes))
        text, info, row = self._new(
            name, roles, created_by, expires_at, workspace, owner=owner, scopes=scopes
        )
        with self._metastore.begin() as connection:
            if owner is None:
                _check_free(connection, name)
            connection.execute(insert(api_keys).values(row))
            _record(connection, "create_key", info)
        self._remembered.forget(info.id)
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
            _record(connection, "create_key", info)
        return info

    def authenticate(self, text: str) -> Principal:
        """Who shows this API key. Unauthenticated where it is not valid."""
        return self.check(text).principal

    def check(self, text: str) -> CheckedKey:
        """Who shows this API key. Unauthenticated where it is not valid.

        Unknown, revoked and wrong keys are told alike; that a key has expired is told only to
        somebody who has shown that the key is theirs.
        """
        key_id, secret = parse_key(text)
        shown = hash_secret(secret)
        known = self._remembered.get(key_id)
        fitting = _fitting(shown, known, self._now())
        if known is not None and fitting is None:
            # It may have been rotated by another process a moment ago.
            known = self._remembered.get(key_id, ROTATED_SECONDS)
            fitting = _fitting(shown, known, self._now())
        if known is None or fitting is None or known.info.revoked_at is not None:
            raise Unauthenticated(
                f"The API key 'pf_{key_id}_…' is not valid here. "
                "Check that it is this server's, or ask its administrator for a new one."
            )
        return CheckedKey(self._unexpired(known), known.info, fitting.generation)

    def principal(self, key_id: str, generation: str | None = None) -> Principal:
        """Who has the key of this id, for somebody who showed it before. Unauthenticated.

        `generation` is that of the secret that was shown, which must still work.
        """
        known = self._remembered.get(key_id)
        if known is None or known.info.revoked_at is not None:
            raise Unauthenticated("The API key of this session is no longer valid.")
        now = self._now()
        alive = {secret.generation for secret in known.secrets if now < secret.until}
        if generation is not None and generation not in alive:
            raise Unauthenticated("The API key of this session was rotated: show the new one.")
        return self._unexpired(known)

    def find(self, key_id: str) -> KeyInfo | None:
        """What is known of the key of this id, as it was a moment ago."""
        known = self._remembered.get(key_id)
        return None if known is None else known.info

    def list(self) -> list[KeyInfo]:
        """All keys, the oldest first, those revoked and expired included."""
        with self._metastore.read() as connection:
            statement = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
            return [_info(row) for row in connection.execute(statement).mappings()]

    def revoke(self, key_id: str) -> KeyInfo:
        """Ends a key, at once in this process. A second time changes nothing. NotFound."""
        with self._metastore.begin() as connection:
            row = _existing(connection, key_id)
            if row["revoked_at"] is None:
                row = _changed(connection, key_id, {"revoked_at": _moment(self._now())})
                _record(connection, "revoke_key", _info(row))
        self._remembered.forget(key_id)
        return _info(row)

    def rotate(self, key_id: str, overlap_seconds: float = 0) -> tuple[str, KeyInfo]:
        """A new secret for a key, whose text is shown this once; the old one works for so long.

        What was made from a secret ends with it: sessions and tokens. The one before the old one
        ends at once. NotFound; Conflict where the key has been revoked; InvalidRequest.
        """
        if not 0 <= overlap_seconds <= OVERLAP_SECONDS_MAX:
            raise InvalidRequest(
                f"'overlap_seconds' is {overlap_seconds:g}: give 0 to {OVERLAP_SECONDS_MAX}."
            )
        text, secret_hash = renewed_key(key_id)
        with self._metastore.begin() as connection:
            row = _existing(connection, key_id)
            if row["revoked_at"] is not None:
                raise Conflict(f"The API key '{key_id}' has been revoked: make a new one.")
            values = {
                "secret_hash": secret_hash,
                "generation": new_generation(),
                "previous_hash": row["secret_hash"],
                "previous_generation": row["generation"] or "",
                "previous_until": _moment(self._now() + overlap_seconds),
            }
            row = _changed(connection, key_id, values)
            _record(connection, "rotate_key", _info(row))
        self._remembered.forget(key_id)
        return text, _info(row)

    def forget(self, key_ids: Collection[str]) -> None:
        """Keys that were changed otherwise are read anew."""
        for key_id in key_ids:
            self._remembered.forget(key_id)

    def _new(
        self,
        name: str,
        roles: Collection[str],
        created_by: str,
        expires_at: dt.datetime | None,
        workspace: str,
        **more: Any,
    ) -> tuple[str, KeyInfo, dict[str, Any]]:
        check_name(name, "key's name")
        created_at = _moment(self._now())
        _check_expiry(expires_at, created_at)
        text, key_id, secret_hash = new_key()
        row = {
            "id": key_id,
            "name": name,
            "roles": json.dumps(sorted(set(roles))),
            "workspace": workspace,
            "created_at": created_at,
            "expires_at": expires_at,
            "revoked_at": None,
            "created_by": created_by,
            "secret_hash": secret_hash,
            "generation": new_generation(),
            "previous_until": None,
        } | {"owner": None, "scopes": None, **more}
        row["scopes"] = None if row["scopes"] is None else json.dumps(row["scopes"])
        return text, _info(row), row

    def _check_rights(self, roles: Collection[str], owner: str | None, workspace: str) -> None:
        if owner is not None:
            self._users.get(owner)
            if roles:
                raise InvalidRequest(
                    f"A key of '{owner}' has the roles that '{owner}' has: leave 'roles' out, and "
                    "narrow the key with 'scopes'."
                )
            return
        known = self._role_names(workspace)
        if not roles:
            raise InvalidRequest(f"A key needs a role: {', '.join(sorted(known))}.")
        check_roles(roles, known)

    def _read(self, key_id: str) -> _Known | None:
        with self._metastore.read() as connection:
            row = _row(connection, key_id)
        return None if row is None else _known(row)

    def _unexpired(self, known: _Known) -> Principal:
        if known.expires_at is not None and known.expires_at <= self._now():
            raise Unauthenticated(
                f"The API key '{known.info.name}' expired at "
                f"{_moment(known.expires_at):%Y-%m-%d %H:%M:%S} UTC: ask for a new one."
            )
        if known.info.owner is None:
            return known.principal
        owner = self._users.active(known.info.owner)
        return replace(owner.principal, scopes=known.principal.scopes)


def key_not_found(key_id: str) -> NotFound:
    """There is no such key, or none that may be known of."""
    return NotFound(f"There is no API key with the id '{key_id[:80]}'.")


def _record(connection: Connection, action: str, key: KeyInfo) -> None:
    told = {"name": key.name, "roles": list(key.roles), "workspace": key.workspace}
    if key.owner is not None:
        told["owner"] = key.owner
    if key.scopes is not None:
        told["scopes"] = list(key.scopes)
    record_change(connection, action, KEY + key.id, **told)


def _check_expiry(expires_at: dt.datetime | None, now: dt.datetime) -> None:
    if expires_at is None:
        return
    if expires_at.tzinfo is None:
        raise InvalidRequest(f"The expiry '{expires_at}' has no time zone: write …Z for UTC.")
    if expires_at <= now:
        raise InvalidRequest(f"The expiry '{expires_at}' has passed: the key would be useless.")


def _check_free(connection: Connection, name: str) -> None:
    same = connection.scalar(select(users.c.name).where(users.c.folded == folded(name)))
    if same is not None:
        raise Conflict(
            f"A user is called '{same}', and commits would not tell the two apart: call the key "
            f"otherwise, or make it a key of '{same}'."
        )


def _fitting(shown: str, known: _Known | None, now: float) -> _Secret | None:
    """The secret of a key that was shown. Takes the same steps where there is no such key."""
    expected = known.secrets[0].hash if known is not None else _NO_HASH
    if hmac.compare_digest(shown, expected) and known is not None:
        return known.secrets[0]
    for secret in known.secrets[1:] if known is not None else ():
        if hmac.compare_digest(shown, secret.hash) and now < secret.until:
            return secret
    return None


def _existing(connection: Connection, key_id: str) -> RowMapping:
    row = _row(connection, key_id)
    if row is None:
        raise key_not_found(key_id)
    return row


def _changed(connection: Connection, key_id: str, values: dict[str, Any]) -> RowMapping:
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(values))
    return _existing(connection, key_id)


def _row(connection: Connection, key_id: str) -> RowMapping | None:
    statement = select(api_keys).where(api_keys.c.id == key_id)
    return connection.execute(statement).mappings().one_or_none()


def _known(row: RowMapping) -> _Known:
    info = _info(row)
    expires_at = None if info.expires_at is None else info.expires_at.timestamp()
    kept = [_Secret(row["secret_hash"], row["generation"] or "", float("inf"))]
    if info.previous_until is not None:
        until = info.previous_until.timestamp()
        kept.append(_Secret(row["previous_hash"], row["previous_generation"], until))
    return _Known(info, info.principal, tuple(kept), expires_at)


def _info(row: RowMapping | dict[str, Any]) -> KeyInfo:
    told = {name: row[name] for name in _TOLD}
    scopes = None if row["scopes"] is None else tuple(json.loads(row["scopes"]))
    return KeyInfo(**told, roles=tuple(json.loads(row["roles"])), scopes=scopes)


def _moment(unix: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(unix, dt.UTC)
