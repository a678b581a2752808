"""Users for tests, whose passwords are checked in no time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from flight_server.auth import passwords
from flight_server.testing.server import LocalServer
from tests.fix_http import TwoDoors

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def quick_passwords() -> Iterator[None]:
    """Argon2 with the least that it takes: what is tested is not how long it needs."""
    with pytest.MonkeyPatch.context() as patch:
        quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "HASHER", quick)
        yield


def new_user(
    doors: TwoDoors | LocalServer, name: str, *roles: str, password: str | None = PASSWORD
) -> str:
    """A user with these roles and the usual password; its name."""
    more = (
        {} if password is None else {"password_hash": doors.services.passwords.hash(name, password)}
    )
    doors.services.users.create(name, roles, created_by="test", **more)
    return name
