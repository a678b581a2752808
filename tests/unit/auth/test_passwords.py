"""Passwords: kept as hashes, checked alike whoever it is, remembered, few at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from flight_server.auth import Passwords, UserStore, passwords
from flight_server.auth.passwords import RUNNING_MAX, WAITING_MAX
from flight_server.auth.throttle import Throttle
from flight_server.errors import InvalidRequest, LimitExceeded, Unauthenticated
from flight_server.metastore import Metastore

PASSWORD = "correct horse battery"


class Counting:
    """A hasher that counts what it is asked, and waits for what it is told to."""

    def __init__(self, inner: PasswordHasher) -> None:
        self._inner = inner
        self.verified = 0
        self.at_once = 0
        self.at_once_max = 0
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def hash(self, password: str) -> str:
        return self._inner.hash(password)

    def verify(self, kept: str, password: str) -> bool:
        with self._lock:
            self.verified += 1
            self.at_once += 1
            self.at_once_max = max(self.at_once_max, self.at_once)
        self.go.wait(30)
        try:
            return self._inner.verify(kept, password)
        finally:
            with self._lock:
                self.at_once -= 1


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(passwords, "HASHER", made)
    return made


@pytest.fixture
def users(metastore: Metastore) -> UserStore:
    return UserStore(metastore)


@pytest.fixture
def checked(users: UserStore, hasher: Counting) -> Passwords:
    made = Passwords(users)
    users.create("ann", ["reader"], created_by="test", password_hash=made.hash("ann", PASSWORD))
    return made


def wrong(checked: Passwords, name: str, password: str, peer: str | None = None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        checked.check(name, password, peer)
    return caught.value.message


def test_what_is_kept_is_argon2id_as_rfc_9106_has_it(users: UserStore) -> None:
    kept = Passwords(users).hash("ann", PASSWORD)
    found = extract_parameters(kept)
    assert (found.type, found.memory_cost, found.time_cost) == (Type.ID, 65536, 3)
    assert PASSWORD not in kept


def test_a_right_password_is_checked_once(checked: Passwords, hasher: Counting) -> None:
    for _ in range(5):
        assert checked.check("ann", PASSWORD).name == "ann"
    assert hasher.verified == 1
    wrong(checked, "ann", PASSWORD + "!")
    wrong(checked, "ann", PASSWORD + "!")
    assert hasher.verified == 3
    assert PASSWORD not in repr(vars(checked))


def test_unknown_and_disabled_users_take_the_same_steps(
    checked: Passwords, users: UserStore, hasher: Counting
) -> None:
    users.create("bob", ["reader"], created_by="test")
    checked.check("ann", PASSWORD)
    users.set_disabled("ann", True)
    before = hasher.verified
    said = {wrong(checked, name, PASSWORD) for name in ("ann", "bob", "nobody", "no\ud800body")}
    assert len(said) == 1
    assert hasher.verified == before + 4


def test_a_new_password_ends_what_is_remembered(checked: Passwords, users: UserStore) -> None:
    checked.check("ann", PASSWORD)
    kept = checked.hash("ann", "another good one")
    users.change("ann", {"password_hash": kept}, ends_tokens=True)
    wrong(checked, "ann", PASSWORD)
    assert checked.check("ann", "another good one").name == "ann"


def test_the_same_characters_are_the_same_password(checked: Passwords, users: UserStore) -> None:
    kept = checked.hash("zoë", "cafe\u0301 cafe\u0301 cafe\u0301")
    users.create("zoë", [], created_by="test", password_hash=kept)
    assert checked.check("zoë", "caf\u00e9 caf\u00e9 caf\u00e9").name == "zoë"


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("", "has 0 characters"),
        ("x" * 9, "has 9 characters"),
        ("x" * 1001, "has 1001 characters"),
        ("A Long User", "is the user's name"),
        ("pft_12345678", "begins with 'pft'"),
        ("\ud800" * 12, "half of a surrogate pair"),
    ],
)
def test_what_cannot_be_a_password(checked: Passwords, password: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        checked.hash("a long user", password)


def test_few_are_checked_at_once_and_not_many_wait(
    checked: Passwords, users: UserStore, hasher: Counting
) -> None:
    kept = checked.hash("ann", PASSWORD)
    everybody = RUNNING_MAX + WAITING_MAX + 5
    for number in range(everybody):
        users.create(f"user {number}", [], created_by="test", password_hash=kept)
    hasher.go.clear()
    outcomes: list[str] = []

    def ask(number: int) -> None:
        try:
            checked.check(f"user {number}", PASSWORD, f"10.0.0.{number}")
            outcomes.append("in")
        except LimitExceeded:
            outcomes.append("busy")

    with ThreadPoolExecutor(everybody) as pool:
        asked = [pool.submit(ask, number) for number in range(everybody)]
        until = time.monotonic() + 20
        while outcomes.count("busy") < 5 and time.monotonic() < until:
            time.sleep(0.01)
        hasher.go.set()
        for one in asked:
            one.result()
    assert (outcomes.count("in"), outcomes.count("busy")) == (RUNNING_MAX + WAITING_MAX, 5)
    assert hasher.at_once_max == RUNNING_MAX
    # Whoever was turned away was not counted as having been wrong.
    assert checked._throttle._counted == {}


@pytest.mark.parametrize(
    ("peers", "limit"),
    [
        (["10.0.0.1"], 30),
        (["::ffff:10.0.0.1", "10.0.0.1"], 30),
        (["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"], 30),
        ([None], 300),
    ],
)
def test_one_address_guesses_at_many_users_for_a_while(
    checked: Passwords, peers: list[Any], limit: int
) -> None:
    for number in range(limit):
        wrong(checked, f"user {number}", PASSWORD, peers[number % len(peers)])
    for peer in peers:
        with pytest.raises(LimitExceeded):
            checked.check("ann", PASSWORD, peer)
    assert checked.check("ann", PASSWORD, "192.0.2.1").name == "ann"
    # What is remembered is no guess.
    assert checked.check("ann", PASSWORD, peers[0]).name == "ann"


def test_another_spelling_of_a_name_is_no_other_name_to_guess_at() -> None:
    throttle = Throttle()
    for name in ("ann", "Ann", "ANN", "\uff41nn"):
        throttle.attempt(passwords._limits(name, "10.0.0.1"))
    assert set(throttle._counted) == {"user ann", "peer 10.0.0.1"}
