"""Prepared statements that clients hold: by handle, each its maker's.

They end when they are closed, when they are idle, and with the session in which they were made.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from flight_server.errors import ErrorCode, LimitExceeded, NotFound
from flight_server.wire.reads import ReadPlan
from flight_server.wire.sessions import GONE, Session

STATEMENTS_MAX = 10_000
# So that no client takes the places of all others; likewise of the bytes.
SESSION_STATEMENTS_MAX = 1000
BOUND_BYTES_MAX = 2**30
SESSION_BOUND_BYTES_MAX = 256 * 2**20


@dataclass
class PreparedStatement:
    """One statement and what was bound to it. `parameters` are the names of its parameters."""

    handle: bytes
    principal: str
    session: Session = field(repr=False)
    sql: str
    is_read: bool
    parameters: tuple[str, ...]
    transaction: str | None = None
    bound: pa.Table | None = None
    bound_bytes: int = 0
    # The plan of a statement without parameters, good for as long as nothing is committed.
    plan: ReadPlan | None = field(default=None, repr=False)
    # And for as long as names mean what they meant.
    planned_for: tuple[object, ...] | None = None
    used_at: float = 0.0


class PreparedStatements:
    """All prepared statements of one server. `now` is Unix time."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._statements: dict[bytes, PreparedStatement] = {}
        self._lock = threading.Lock()

    def add(
        self,
        session: Session,
        sql: str,
        is_read: bool,
        parameters: tuple[str, ...],
        transaction: str | None,
    ) -> PreparedStatement:
        """A new statement, which ends with the session. LimitExceeded."""
        handle = secrets.token_hex(16).encode()
        principal = session.state.principal
        statement = PreparedStatement(
            handle, principal, session, sql, is_read, parameters, transaction
        )
        statement.used_at = self._now()
        with self._lock:
            if len(self._statements) >= STATEMENTS_MAX:
                raise LimitExceeded(
                    f"The server holds {STATEMENTS_MAX} prepared statements, which is all it can: "
                    "close those you do not need, or try again later."
                )
            if len(self._of(session)) >= SESSION_STATEMENTS_MAX:
                raise LimitExceeded(
                    f"The session holds {SESSION_STATEMENTS_MAX} prepared statements, which is "
                    "all it may: close those you do not need."
                )
            self._statements[handle] = statement
        return statement

    def bind(self, statement: PreparedStatement, rows: pa.Table | None) -> None:
        """Keeps rows of parameters in the place of what was bound before. LimitExceeded."""
        size = 0 if rows is None else rows.nbytes
        with self._lock:
            theirs = size + _bytes_of(self._of(statement.session)) - statement.bound_bytes
            if theirs > SESSION_BOUND_BYTES_MAX:
                raise _too_large(f"The session's statements hold {theirs}", SESSION_BOUND_BYTES_MAX)
            every = size + _bytes_of(self._statements.values()) - statement.bound_bytes
            if every > BOUND_BYTES_MAX:
                raise _too_large(f"The server's statements hold {every}", BOUND_BYTES_MAX)
            statement.bound, statement.bound_bytes, statement.plan = rows, size, None

    def find(self, principal: str, handle: bytes) -> PreparedStatement:
        """The principal's statement. NotFound (statement_not_found), also for another's."""
        statement = self._statements.get(handle)
        if statement is None or statement.principal != principal:
            raise _not_found()
        statement.used_at = self._now()
        return statement

    def close(self, principal: str, handle: bytes) -> None:
        """Forgets the statement; one that is not there is closed already."""
        statement = self._statements.get(handle)
        if statement is not None and statement.principal == principal:
            with self._lock:
                self._statements.pop(handle, None)

    def end(self, session: Session) -> None:
        """Forgets those of a session that has ended, or whose client has left."""
        with self._lock:
            for statement in self._of(session):
                del self._statements[statement.handle]

    def sweep(self, idle_seconds: float) -> None:
        """Forgets those that nobody has used for so long, and what lost clients have prepared."""
        oldest = self._now() - idle_seconds
        with self._lock:
            self._statements = {
                handle: one
                for handle, one in self._statements.items()
                if one.used_at > oldest and one.session.connection != GONE
            }

    @property
    def bound_bytes(self) -> int:
        """How much the rows hold that are bound to them."""
        with self._lock:
            return _bytes_of(self._statements.values())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._statements)

    def _of(self, session: Session) -> list[PreparedStatement]:
        return [one for one in self._statements.values() if one.session is session]


def _bytes_of(statements: Iterable[PreparedStatement]) -> int:
    return sum(one.bound_bytes for one in statements)


def _too_large(holding: str, most: int) -> LimitExceeded:
    return LimitExceeded(
        f"{holding} bytes of bound parameters with these, and may hold {most}: close statements "
        "that you do not need, or ingest the rows as a table instead.",
        code=ErrorCode.TOO_LARGE,
    )


def _not_found() -> NotFound:
    return NotFound(
        "There is no such prepared statement: it was closed, its session has ended, or nobody used "
        "it for too long. Prepare it again.",
        code=ErrorCode.STATEMENT_NOT_FOUND,
    )
