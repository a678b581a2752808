"""Passwords: hashed with Argon2id, checked rarely.

A check takes a tenth of a second and 64 MiB on purpose. So only a few run at once, a password that
was right is remembered for a moment (as a keyed hash of it, in memory), and wrong ones are counted
by user and by peer. An unknown user takes the same steps as a wrong password and is told the same.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from flight_server.auth.credentials import KEY_PREFIX, REFRESH_PREFIX, TOKEN_PREFIX
from flight_server.auth.throttle import Throttle
from flight_server.auth.users import User, UserStore, folded, is_writable
from flight_server.errors import InvalidRequest, LimitExceeded, Unauthenticated

PASSWORD_LENGTH_MIN = 10
PASSWORD_LENGTH_MAX = 1000
# How long a password that was right needs no check.
REMEMBERED_SECONDS = 300.0
REMEMBERED_MAX = 10_000
# Checks that run at once, and those that may wait for them.
RUNNING_MAX = 2
WAITING_MAX = 20
WAIT_SECONDS_MAX = 10.0
# Wrong passwords a minute: for one user, from one address, and from where no address is known.
WRONG_BY_USER_MAX = 10
WRONG_BY_PEER_MAX = 30
WRONG_BY_UNKNOWN_MAX = 300

HASHER = PasswordHasher()


class Passwords:
    """Hashes and checks passwords of users. Every method may be called from any thread."""

    def __init__(self, users: UserStore, throttle: Throttle | None = None) -> None:
        self._users = users
        self._throttle = throttle or Throttle()
        self._running = threading.BoundedSemaphore(RUNNING_MAX)
        self._waiting = threading.BoundedSemaphore(RUNNING_MAX + WAITING_MAX)
        self._secret = secrets.token_bytes(32)
        # Fingerprints of what was right: the user's generation then, and until when it counts.
        self._right: dict[bytes, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._nobody = ""

    def hash(self, name: str, password: str) -> str:
        """What is kept of a user's password. InvalidRequest where it is none to keep."""
        _check_password(name, password)
        with self._turn():
            return HASHER.hash(_composed(password))

    def check(self, name: str, password: str, peer: str | None = None) -> User:
        """The user whose password this is. Unauthenticated; LimitExceeded after many wrong ones.

        `peer` is the address that asks, None where the door does not know it.
        """
        if not password:
            raise _wrong()
        user = self._users.find(name)
        fingerprint = self._fingerprint(name, password)
        if user is not None and user.disabled_at is None and self._was_right(fingerprint, user):
            return user
        limits = _limits(name, peer)
        self._throttle.attempt(limits)
        try:
            fits = self._fits(user, password)
        except LimitExceeded:
            self._throttle.was_right(limits)  # Nobody knows whether it was wrong.
            raise
        if user is None or not fits:
            raise _wrong()
        self._throttle.was_right(limits)
        self._remember(fingerprint, user)
        return user

    def _fingerprint(self, name: str, password: str) -> bytes:
        text = f"{name}\0{password}".encode(errors="surrogatepass")
        return hmac.new(self._secret, text, hashlib.sha256).digest()

    def _was_right(self, fingerprint: bytes, user: User) -> bool:
        with self._lock:
            generation, until = self._right.get(fingerprint, ("", 0.0))
        return generation == user.generation and time.monotonic() < until

    def _remember(self, fingerprint: bytes, user: User) -> None:
        with self._lock:
            self._right.pop(fingerprint, None)
            self._right[fingerprint] = (user.generation, time.monotonic() + REMEMBERED_SECONDS)
            while len(self._right) > REMEMBERED_MAX:
                self._right.pop(next(iter(self._right)))

    def _fits(self, user: User | None, password: str) -> bool:
        with self._turn():
            nobody = self._hash_of_nobody()
            is_able = user is not None and user.disabled_at is None
            kept = user.password_hash if user is not None else None
            return _verified(kept or nobody, password) and is_able and kept is not None

    def _hash_of_nobody(self) -> str:
        """A hash that no password fits, made by the same means as all others."""
        if not self._nobody:
            self._nobody = HASHER.hash(secrets.token_urlsafe(32))
        return self._nobody

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A place among the checks that run at once. LimitExceeded where too many wait."""
        if not self._waiting.acquire(blocking=False):
            raise _busy()
        try:
            if not self._running.acquire(timeout=WAIT_SECONDS_MAX):
                raise _busy()
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._waiting.release()


def _check_password(name: str, password: str) -> None:
    """InvalidRequest, which never repeats the password."""
    length = len(password)
    if not PASSWORD_LENGTH_MIN <= length <= PASSWORD_LENGTH_MAX:
        raise InvalidRequest(
            f"The password has {length} characters: give it {PASSWORD_LENGTH_MIN} to "
            f"{PASSWORD_LENGTH_MAX}."
        )
    if folded(password) == folded(name):
        raise InvalidRequest("The password is the user's name: choose another.")
    if password.startswith((KEY_PREFIX, TOKEN_PREFIX, REFRESH_PREFIX)):
        raise InvalidRequest(
            f"The password begins with '{password[:3]}', by which keys and tokens are known: "
            "choose another."
        )
    if not is_writable(password):
        raise InvalidRequest("The password holds half of a surrogate pair, which is no character.")


def _verified(kept: str, password: str) -> bool:
    if len(password) > PASSWORD_LENGTH_MAX:
        password = ""
    try:
        return HASHER.verify(kept, _composed(password))
    except (Argon2Error, InvalidHashError, UnicodeEncodeError):
        return False


def _composed(password: str) -> str:
    """The same bytes for the same characters, however a keyboard composes them."""
    return unicodedata.normalize("NFC", password)


def _limits(name: str, peer: str | None) -> dict[str, int]:
    by_user = {f"user {folded(name)[:200]}": WRONG_BY_USER_MAX}
    if peer is None:
        return by_user | {"unknown": WRONG_BY_UNKNOWN_MAX}
    return by_user | {f"peer {_network(peer)}": WRONG_BY_PEER_MAX}


def _network(peer: str) -> str:
    """The address, or that of the whole network where one client has many: IPv6 gives it 2^64."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _wrong() -> Unauthenticated:
    return Unauthenticated(
        "The user or the password is wrong. Where an API key is meant as the password, it begins "
        f"with '{KEY_PREFIX}'."
    )


def _busy() -> LimitExceeded:
    return LimitExceeded(
        "Too many passwords are being checked at once: try again in a moment.",
        details={"retry_after_seconds": 1},
    )
