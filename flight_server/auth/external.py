"""Users whom an issuer vouches for: known here from their first token on.

An issuer tells users apart by its subjects; their names may change there, or be chosen by them.
So a name that somebody has here is never given to a newcomer.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from flight_server.auth.users import User, UserStore
from flight_server.errors import AlreadyExists, Conflict, InvalidRequest, Unauthenticated

if TYPE_CHECKING:
    from flight_server.auth.issuer import ExternalUser


def external_user(users: UserStore, told: ExternalUser) -> User:
    """The user that a token is of, with the roles and the workspace that the newest token told.

    Unauthenticated where the user is disabled here, or its name is somebody else's.
    """
    user = users.of_issuer(told.issuer, told.subject) or _newcomer(users, told)
    if user.disabled_at is not None:
        raise Unauthenticated(f"The user '{user.name}' is disabled here.")
    return _updated(users, user, told)


def _newcomer(users: UserStore, told: ExternalUser) -> User:
    try:
        return users.create(
            told.name, (), created_by=told.issuer, issuer=told.issuer, subject=told.subject
        )
    except InvalidRequest as error:
        raise Unauthenticated(f"The token's user cannot be one here: {error.message}") from None
    except (AlreadyExists, Conflict):
        users.forget_issuers()
        user = users.of_issuer(told.issuer, told.subject)
        if user is not None:
            return user  # Another call of theirs was quicker.
        raise Unauthenticated(
            f"'{told.issuer}' calls this user '{told.name}', and somebody else has that name "
            "here. If they are the same, an administrator can say so: set 'issuer' and 'subject' "
            f"('{told.subject}') of the user."
        ) from None


def _updated(users: UserStore, user: User, told: ExternalUser) -> User:
    """The user as the token has it, unless a newer token has told something else."""
    roles = tuple(sorted(told.roles))
    workspace = told.workspace or user.workspace
    issued_at = dt.datetime.fromtimestamp(told.issued_at, dt.UTC)
    is_same = user.external_roles == roles and user.workspace == workspace
    if is_same or (user.external_at is not None and user.external_at >= issued_at):
        return user
    changes = {"external_roles": roles, "workspace": workspace, "external_at": issued_at}
    return users.change(user.name, changes)
