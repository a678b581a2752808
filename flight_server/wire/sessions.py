"""Sessions: what a client has set for the calls that follow.

A session is the bearer token of a handshake, else a cookie, else the peer's address; it belongs
to one principal. It ends when it is closed, when the handshake's token expires, or when idle.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from flight_server.errors import ErrorCode, LimitExceeded, NotFound

COOKIE = "arrow_flight_session_id"
IDLE_SECONDS_MAX = 3600.0
SESSIONS_MAX = 10_000
OPTIONS_MAX = 100
OPTION_BYTES_MAX = 16 * 2**10

OptionValue: TypeAlias = str | bool | int | float | list[str]


@dataclass(frozen=True)
class SessionName:
    """How a call names its session.

    `kind` is `token`, `cookie` or `peer`, and the principal is part of the name: nobody gets at
    the session of another by a cookie that was overheard.
    """

    principal: str
    kind: str
    value: str


@dataclass
class Session:
    """The options that were set, and when the session was last used."""

    options: dict[str, OptionValue] = field(default_factory=dict)
    used_at: float = 0.0
    expires_at: float = float("inf")
    names: list[SessionName] = field(default_factory=list)


class Sessions:
    """All sessions of one server. `now` is Unix time."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._sessions: dict[SessionName, Session] = {}
        self._lock = threading.Lock()

    def find(self, names: list[SessionName]) -> Session:
        """The session under the first name that has one. NotFound."""
        with self._lock:
            self._forget_old()
            for name in names:
                session = self._sessions.get(name)
                if session is not None:
                    session.used_at = self._now()
                    return session
        raise NotFound("There is no session: it was never begun, was closed, or has ended.")

    def open(
        self, names: list[SessionName], expires_at: float | None = None
    ) -> tuple[Session, str | None]:
        """The session, begun where there was none, and a new cookie where that is its name."""
        try:
            return self.find(names), None
        except NotFound:
            return self._begin(names, expires_at)

    def options(self, names: list[SessionName]) -> dict[str, OptionValue]:
        """The options of the session; none where there is no session."""
        try:
            return dict(self.find(names).options)
        except NotFound:
            return {}

    def close(self, names: list[SessionName]) -> None:
        """Ends the session. NotFound."""
        session = self.find(names)
        with self._lock:
            for name in session.names:
                self._sessions.pop(name, None)

    def _begin(
        self, names: list[SessionName], expires_at: float | None
    ) -> tuple[Session, str | None]:
        cookie = None
        last = names[-1]
        begun = [last]
        if last.kind == "peer":
            # Whoever keeps cookies is found again behind another address, too.
            cookie = secrets.token_urlsafe(24)
            begun.append(SessionName(last.principal, "cookie", cookie))
        session = Session({}, self._now(), expires_at or float("inf"), begun)
        with self._lock:
            if len(self._sessions) >= SESSIONS_MAX:
                raise LimitExceeded(f"There are {SESSIONS_MAX} sessions: close one first.")
            self._sessions.update(dict.fromkeys(begun, session))
        return session, cookie

    def _forget_old(self) -> None:
        now = self._now()
        for name, session in list(self._sessions.items()):
            if now > min(session.expires_at, session.used_at + IDLE_SECONDS_MAX):
                del self._sessions[name]


def set_option(session: Session, name: str, value: OptionValue | None) -> None:
    """Sets an option, or takes it away. InvalidRequest where it is too large, LimitExceeded."""
    if value is None:
        session.options.pop(name, None)
        return
    if name not in session.options and len(session.options) >= OPTIONS_MAX:
        raise LimitExceeded(f"A session holds {OPTIONS_MAX} options at most.")
    if len(str(value).encode()) > OPTION_BYTES_MAX:
        raise LimitExceeded(
            f"The value of '{name}' is larger than {OPTION_BYTES_MAX} bytes.",
            code=ErrorCode.TOO_LARGE,
        )
    session.options[name] = value
