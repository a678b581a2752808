"""The store of users: people and programs that have a name, and show who they are in some way.

A user proves itself by a password, by a token of an issuer that vouches for it, by a client
certificate, or by API keys of its own. Whatever token was made for a user carries the user's
`generation`, and ends when that changes: with the password, when the user is disabled, on demand.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import time
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from flight_server.auth.policy import BUILT_IN_ROLES
from flight_server.auth.remembered import Remembered
from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    InvalidRequest,
    NotFound,
    Unauthenticated,
    did_you_mean,
)
from flight_server.metastore import Metastore
from flight_server.metastore.audit import record_change
from flight_server.metastore.disowning import disown
from flight_server.metastore.tables import api_keys, refresh_tokens, users
from flight_server.model import DEFAULT_WORKSPACE, Principal, check_name

USER = "user:"


@dataclass(frozen=True)
class User:
    """A user; what must not be told of it is kept out of its representation.

    `roles` were given here, `external_roles` by the issuer whose tokens the user shows.
    """

    name: str
    roles: tuple[str, ...]
    workspace: str
    created_at: dt.datetime
    created_by: str
    external_roles: tuple[str, ...] = ()
    external_at: dt.datetime | None = None
    issuer: str | None = None
    subject: str | None = None
    certificate: str | None = None
    disabled_at: dt.datetime | None = None
    password_hash: str | None = field(default=None, repr=False)
    generation: str = field(default="", repr=False)

    @property
    def id(self) -> str:
        """What grants, sessions and tickets know it by."""
        return USER + self.name

    @property
    def all_roles(self) -> frozenset[str]:
        """The roles it has, whoever gave them."""
        return frozenset(self.roles) | frozenset(self.external_roles)

    @property
    def principal(self) -> Principal:
        """Who asks when this user does."""
        return Principal(self.id, self.name, self.all_roles, self.workspace)


# The roles that there are in a workspace.
RoleNames = Callable[[str], Collection[str]]


def built_in_roles(workspace: str) -> Collection[str]:
    """The roles of a workspace in which nobody has made one."""
    return BUILT_IN_ROLES


class UserStore:
    """Users in the metastore. Every method may be called from any thread. `now` is Unix time."""

    def __init__(
        self,
        metastore: Metastore,
        role_names: RoleNames = built_in_roles,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._metastore = metastore
        self._role_names = role_names
        self._now = now
        self._remembered: Remembered[str, User | None] = Remembered(self._read)
        self._by_certificate: Remembered[str, str | None] = Remembered(self._certified)
        self._by_issuer: Remembered[tuple[str, str], str | None] = Remembered(self._vouched)

    def create(self, name: str, roles: Collection[str], *, created_by: str, **more: Any) -> User:
        """A new user; `more` are other columns of it.

        InvalidRequest for a name or a role that cannot be; AlreadyExists; Conflict where an API
        key goes by that name, since commits and the audit trail tell them apart by it alone.
        """
        check_user_name(name)
        check_roles(roles, self._role_names(more.get("workspace", DEFAULT_WORKSPACE)))
        row = {
            "name": name,
            "folded": folded(name),
            "roles": json.dumps(sorted(set(roles))),
            "external_roles": "[]",
            "workspace": "default",
            "generation": new_generation(),
            "created_at": _moment(self._now()),
            "created_by": created_by,
        } | more
        with self._metastore.begin() as connection:
            _check_free(connection, name)
            _check_unbound(connection, name, more)
            connection.execute(insert(users).values(row))
            made = _user(_row(connection, name))
            told = {"roles": list(made.roles), "workspace": made.workspace}
            record_change(connection, "create_user", made.id, **told)
        self._forget(name)
        return made

    def find(self, name: str) -> User | None:
        """The user of this name, as it was a moment ago."""
        return self._remembered.get(name)

    def get(self, name: str) -> User:
        """The user of this name. NotFound."""
        user = self._remembered.get(name)
        if user is None:
            raise user_not_found(name)
        return user

    def list(self) -> list[User]:
        """All users by name, those that are disabled included."""
        with self._metastore.read() as connection:
            rows = connection.execute(select(users).order_by(users.c.name)).mappings()
            return [_user(row) for row in rows]

    def change(self, name: str, changes: Mapping[str, Any], *, ends_tokens: bool = False) -> User:
        """Sets columns of a user, and ends all of its tokens where that is asked for. NotFound."""
        values = dict(changes)
        if values.keys() & {"roles", "workspace"}:
            user = self.get(name)
            known = self._role_names(values.get("workspace", user.workspace))
            check_roles(values.get("roles", user.roles), known)
        for column in values.keys() & {"roles", "external_roles"}:
            values[column] = json.dumps(sorted(set(values[column])))
        if ends_tokens:
            values["generation"] = new_generation()
        with self._metastore.begin() as connection:
            before = _row(connection, name)
            if before is None:
                raise user_not_found(name)
            _check_unbound(connection, name, values)
            if values:
                connection.execute(update(users).where(users.c.name == name).values(values))
            changed = _user(_row(connection, name))
            record_change(connection, "change_user", changed.id, **_told(values))
        self._forget(name)
        return changed

    def set_disabled(self, name: str, disabled: bool) -> User:
        """Keeps a user out, with all keys and tokens, or lets it in again; tokens stay ended."""
        user = self.get(name)
        if disabled == (user.disabled_at is not None):
            return user
        moment = _moment(self._now()) if disabled else None
        return self.change(name, {"disabled_at": moment}, ends_tokens=True)

    def delete(self, name: str) -> tuple[str, ...]:
        """Removes a user for good; its keys are revoked, and their ids given. NotFound.

        Whoever gets the name later gets nothing else of it.
        """
        mine = (api_keys.c.owner == name) & api_keys.c.revoked_at.is_(None)
        with self._metastore.begin() as connection:
            if _row(connection, name) is None:
                raise user_not_found(name)
            revoked = tuple(connection.scalars(select(api_keys.c.id).where(mine)))
            now = _moment(self._now())
            connection.execute(update(api_keys).where(mine).values(revoked_at=now))
            tokens = refresh_tokens.c.bearer == USER + name
            connection.execute(delete(refresh_tokens).where(tokens))
            connection.execute(delete(users).where(users.c.name == name))
            disown(connection, USER + name, now)
            record_change(connection, "delete_user", USER + name, revoked_keys=list(revoked))
        self._forget(name)
        return revoked

    def active(self, name: str, generation: str | None = None) -> User:
        """The user, for somebody who showed that they are it before. Unauthenticated.

        `generation` is that of the token that says so; None where no token does.
        """
        user = self._remembered.get(name)
        if user is None or user.disabled_at is not None:
            raise Unauthenticated("This credential's user is disabled, or is not known any more.")
        if generation is not None and generation != user.generation:
            raise Unauthenticated("This token was ended, as all of its user's were: log in again.")
        return user

    def of_certificate(self, name: str) -> User | None:
        """The user that a client certificate with this name stands for."""
        found = self._by_certificate.get(name)
        return None if found is None else self._remembered.get(found)

    def of_issuer(self, issuer: str, subject: str) -> User | None:
        """The user that an issuer of tokens knows as this subject."""
        found = self._by_issuer.get((issuer, subject))
        return None if found is None else self._remembered.get(found)

    def forget_issuers(self) -> None:
        """Whom issuers vouch for is read anew."""
        self._by_issuer.forget_all()

    def _forget(self, name: str) -> None:
        self._remembered.forget(name)
        self._by_certificate.forget_all()
        self._by_issuer.forget_all()

    def _read(self, name: str) -> User | None:
        if not is_writable(name):
            return None
        with self._metastore.read() as connection:
            row = _row(connection, name)
        return None if row is None else _user(row)

    def _certified(self, certificate: str) -> str | None:
        return self._name_of(users.c.certificate == certificate)

    def _vouched(self, who: tuple[str, str]) -> str | None:
        return self._name_of((users.c.issuer == who[0]) & (users.c.subject == who[1]))

    def _name_of(self, condition: Any) -> str | None:
        with self._metastore.read() as connection:
            name: str | None = connection.scalar(select(users.c.name).where(condition))
            return name


def user_not_found(name: str) -> NotFound:
    """There is no such user, or none that may be known of."""
    return NotFound(f"There is no user '{name[:80]}'.")


def check_user_name(name: str) -> str:
    """The name itself, or InvalidRequest saying why it cannot be a user's."""
    check_name(name, "user's name")
    if ":" in name or name != name.strip():
        raise InvalidRequest(
            f"The user's name '{name}' holds a ':' or begins or ends with a space; 'Basic' "
            "credentials could not carry it.",
            code=ErrorCode.INVALID_NAME,
        )
    return name


def check_roles(roles: Collection[str], known: Collection[str]) -> None:
    """InvalidRequest where a role is not known."""
    for role in roles:
        if role not in known:
            raise InvalidRequest(f"There is no role '{role}'.{did_you_mean(role, known)}")


def folded(name: str) -> str:
    """What names that could be mistaken for each other have in common."""
    return unicodedata.normalize("NFKC", name).casefold()


def is_writable(text: str) -> bool:
    """Whether the text can be in a database at all: half of a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def new_generation() -> str:
    """A generation that was never used before."""
    return secrets.token_hex(8)


def _check_free(connection: Connection, name: str) -> None:
    same = connection.scalar(select(users.c.name).where(users.c.folded == folded(name)))
    if same is not None:
        raise AlreadyExists(f"There is a user '{same}' already.")
    live = api_keys.c.owner.is_(None) & api_keys.c.revoked_at.is_(None)
    names = connection.scalars(select(api_keys.c.name).where(live))
    if folded(name) in map(folded, names):
        raise Conflict(
            f"An API key is called '{name}', and commits would not tell the two apart: call the "
            "user otherwise, or revoke the key."
        )


def _check_unbound(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Conflict where another user goes by the same certificate or is the same subject."""
    if values.get("certificate") is not None:
        is_same = users.c.certificate == values["certificate"]
        what = f"The certificate '{values['certificate']}'"
        _check_alone(connection, name, is_same, what)
    if values.get("subject") is not None:
        is_same = (users.c.issuer == values.get("issuer")) & (users.c.subject == values["subject"])
        _check_alone(connection, name, is_same, f"The subject '{values['subject']}'")


def _check_alone(connection: Connection, name: str, is_same: Any, what: str) -> None:
    other = connection.scalar(select(users.c.name).where(is_same & (users.c.name != name)))
    if other is not None:
        raise Conflict(f"{what} stands for the user '{other}' already.")


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit trail is told of a change: the columns, and values where they are rights."""
    told: dict[str, Any] = {"changed": sorted(values)}
    told |= {name: json.loads(values[name]) for name in values.keys() & {"roles"}}
    return told | {name: values[name] for name in values.keys() & {"workspace"}}


def _row(connection: Connection, name: str) -> RowMapping | None:
    return connection.execute(select(users).where(users.c.name == name)).mappings().one_or_none()


def _user(row: RowMapping | None) -> User:
    assert row is not None, "the row was there in this transaction"
    values = {name: value for name, value in row.items() if name != "folded"}
    for name in ("roles", "external_roles"):
        values[name] = tuple(json.loads(values[name]))
    return User(**values)


def _moment(unix: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(unix, dt.UTC)
