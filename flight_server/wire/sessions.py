"""Sessions: which calls belong together, and when what they share comes to its end.

A session is the bearer token of a handshake, else a cookie, else the peer's address; it belongs
to one principal. It ends when it is closed, when the handshake's token expires, or when idle.
With it end its transactions and its temporary tables, which `operations` keeps, and whatever else
asks to be told.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from flight_server import operations
from flight_server.errors import ErrorCode, InvalidRequest, LimitExceeded, NotFound
from flight_server.model import DEFAULT_CATALOG, DEFAULT_NAMESPACE
from flight_server.operations import OpenTransaction
from flight_server.wire.connections import Address, address_of, established

COOKIE = "arrow_flight_session_id"
# A notebook is left open over lunch, and its connection with it.
IDLE_SECONDS_MAX = 12 * 3600.0
# Within so short a time no address passes from one client to another.
RECENT_SECONDS = 0.2
# The number of a connection that is no more, which a call may outlive and begin a session by.
GONE = 0
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
    """The options that were set, what operations keep for it, and when it was last used.

    `connection` is the number of the connection that it goes by, GONE once that is lost, None where
    it goes by a token or by a cookie that the client has shown, or where numbers are not known.
    """

    state: operations.Session
    options: dict[str, OptionValue] = field(default_factory=dict)
    used_at: float = 0.0
    expires_at: float = float("inf")
    names: list[SessionName] = field(default_factory=list)
    connection: int | None = None
    address: Address | None = None


class Sessions:
    """All sessions of one server. `now` is Unix time."""

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        connections: Callable[[], Mapping[Address, int] | None] = established,
    ) -> None:
        self._now = now
        self._connections = connections
        # Called with each session that has ended, and with each whose client has left.
        self.on_end: list[Callable[[Session], object]] = []
        self._sessions: dict[SessionName, Session] = {}
        self._lock = threading.Lock()

    def peek(self, names: list[SessionName]) -> Session | None:
        """The session under the first name that has one."""
        with self._lock:
            found = next(
                ((name, self._sessions[name]) for name in names if name in self._sessions), None
            )
        if found is None:
            return None
        name, session = found
        if self._is_old(session):
            self._end(self._take_old())
            return None
        if name.kind == "cookie":
            session.connection = None
        elif self._now() - session.used_at > RECENT_SECONDS and self._is_lost(session):
            # The address is somebody else's now.
            self._lose(session)
            return None
        session.used_at = self._now()
        return session

    def find(self, names: list[SessionName]) -> Session:
        """As `peek`. NotFound where there is none."""
        session = self.peek(names)
        if session is None:
            raise NotFound("There is no session: it was never begun, was closed, or has ended.")
        return session

    def open(
        self, names: list[SessionName], expires_at: float | None = None
    ) -> tuple[Session, str | None]:
        """The session, begun where there was none, and a new cookie where that is its name."""
        session = self.peek(names)
        return (session, None) if session is not None else self._begin(names, expires_at)

    def options(self, names: list[SessionName]) -> dict[str, OptionValue]:
        """The options of the session; `catalog` and `schema` are always among them."""
        session = self.peek(names)
        state = operations.Session("") if session is None else session.state
        current: dict[str, OptionValue] = {"catalog": state.catalog, "schema": state.namespace}
        return current if session is None else {**session.options, **current}

    def close(self, names: list[SessionName]) -> None:
        """Ends the session. NotFound."""
        session = self.find(names)
        with self._lock:
            self._forget(session)
        self._end([session])

    def transaction(self, name: str, caller: SessionName) -> OpenTransaction:
        """The caller's open transaction, whichever session began it. NotFound.

        Its name is enough: a client whose connection broke goes on behind another address, and
        its session goes by that from then on.
        """
        for session in self._all():
            if session.state.principal == caller.principal and name in session.state.transactions:
                session.used_at = self._now()
                if session.connection == GONE and caller.kind == "peer":
                    self._go_by(session, caller)
                return session.state.find(name)
        raise operations.transaction_not_found(name)

    def sweep(self, transaction_idle_seconds: float) -> None:
        """Ends what nobody has used for long."""
        self._end(self._take_old())
        alive = self._connections()
        for session in self._all():
            # A call that came before the end may begin something after it.
            if self._is_lost(session, alive) and (session.address or session.state.holds_anything):
                self._lose(session)
            session.state.expire(transaction_idle_seconds)

    def close_all(self) -> None:
        """Ends every session."""
        with self._lock:
            every, self._sessions = self._sessions, {}
        self._end({id(session): session for session in every.values()}.values())

    @property
    def open_transactions(self) -> int:
        """How many transactions are open."""
        return sum(session.state.open_transactions for session in self._all())

    def __len__(self) -> int:
        """How many sessions there are."""
        return len(self._all())

    def _all(self) -> list[Session]:
        with self._lock:
            return list({id(session): session for session in self._sessions.values()}.values())

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
        state = operations.Session(last.principal, self._now)
        session = Session(state, {}, self._now(), expires_at or float("inf"), begun)
        if last.kind == "peer":
            self._go_by(session, last)
        with self._lock:
            spare = self._make_room()
            self._sessions.update(dict.fromkeys(begun, session))
        self._end(spare)
        return session, cookie

    def _go_by(self, session: Session, peer: SessionName) -> None:
        session.address = address_of(peer.value)
        session.connection = self._number(session.address, self._connections())

    def _make_room(self) -> list[Session]:
        """The session that was not used for longest, taken away where there are too many."""
        if len(self._sessions) < SESSIONS_MAX:
            return []
        idle = [one for one in self._sessions.values() if not one.state.open_transactions]
        if not idle:
            raise LimitExceeded(f"There are {SESSIONS_MAX} sessions: close one first.")
        oldest = min(idle, key=lambda one: one.used_at)
        self._forget(oldest)
        return [oldest]

    def _is_lost(self, session: Session, alive: Mapping[Address, int] | None = None) -> bool:
        """Whether the session goes by a connection that is no more."""
        if session.connection is None:
            return False
        now = self._number(session.address, self._connections() if alive is None else alive)
        return now == GONE or now != session.connection

    def _number(self, address: Address | None, alive: Mapping[Address, int] | None) -> int | None:
        return None if address is None or alive is None else alive.get(address, GONE)

    def _lose(self, session: Session) -> None:
        """The client has left: what it had begun is undone, and nobody finds it by its address.

        Handles of transactions that hold nothing stay: a driver that was idle for long connects
        anew, and goes on with the handle it has.
        """
        session.connection, session.address = GONE, None
        with self._lock:
            for name in [name for name in session.names if name.kind == "peer"]:
                self._sessions.pop(name, None)
                session.names.remove(name)
            if "lost" not in {name.kind for name in session.names}:
                kept = SessionName(session.state.principal, "lost", secrets.token_hex(8))
                session.names.append(kept)
                self._sessions[kept] = session
        session.state.leave()
        self._tell(session)

    def _is_old(self, session: Session) -> bool:
        return self._now() > min(session.expires_at, session.used_at + IDLE_SECONDS_MAX)

    def _take_old(self) -> list[Session]:
        """The sessions that have ended by now; nobody finds them any more."""
        with self._lock:
            old = {
                id(session): session for session in self._sessions.values() if self._is_old(session)
            }
            for session in old.values():
                self._forget(session)
        return list(old.values())

    def _forget(self, session: Session) -> None:
        for name in session.names:
            self._sessions.pop(name, None)

    def _end(self, sessions: Iterable[Session]) -> None:
        for session in sessions:
            session.state.close()
            self._tell(session)

    def _tell(self, session: Session) -> None:
        for action in self.on_end:
            action(session)


def set_option(session: Session, name: str, value: OptionValue | None) -> None:
    """Sets an option, or takes it away where the value is None or empty.

    Some mean something: `catalog` and `schema` are what bare names in SQL belong to, and `as_of`
    is the moment that reads see. InvalidRequest where the value cannot be that; LimitExceeded.
    """
    if name in _MEANINGS:
        _MEANINGS[name](session.state, value)
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


def _set_catalog(state: operations.Session, value: OptionValue | None) -> None:
    state.catalog = _text("catalog", value) or DEFAULT_CATALOG


def _set_schema(state: operations.Session, value: OptionValue | None) -> None:
    state.namespace = _text("schema", value) or DEFAULT_NAMESPACE


def _set_as_of(state: operations.Session, value: OptionValue | None) -> None:
    text = _text("as_of", value)
    try:
        moment = dt.datetime.fromisoformat(text) if text else None
    except ValueError:
        moment = dt.datetime.min
    if moment is not None and moment.tzinfo is None:
        raise InvalidRequest(
            f"The option 'as_of' is '{text}': give a moment with its time zone, as in "
            "2026-01-31T12:00:00Z."
        )
    state.as_of = moment


def _set_deadline(state: operations.Session, value: OptionValue | None) -> None:
    try:
        # ADBC's drivers send every value as a text; an empty one takes the option away.
        seconds = None if value in (None, "") else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = 0.0
    if seconds is not None and (isinstance(value, bool) or not seconds > 0):
        raise InvalidRequest(
            f"The option 'deadline_seconds' is {value!r}: give a number of seconds above 0."
        )
    state.deadline_seconds = seconds


def _text(name: str, value: OptionValue | None) -> str:
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"The option '{name}' is {value!r}: give a text.")
    return value or ""


_MEANINGS: dict[str, Callable[[operations.Session, OptionValue | None], None]] = {
    "catalog": _set_catalog,
    "schema": _set_schema,
    "as_of": _set_as_of,
    "deadline_seconds": _set_deadline,
}
