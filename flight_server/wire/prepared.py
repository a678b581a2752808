"""Prepared statements that clients hold: by handle, each its maker's, until closed or idle."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from flight_server.errors import ErrorCode, LimitExceeded, NotFound
from flight_server.wire.reads import ReadPlan

STATEMENTS_MAX = 10_000


@dataclass
class PreparedStatement:
    """One statement and what was bound to it. `parameters` are the names of its parameters."""

    handle: bytes
    principal: str
    sql: str
    is_read: bool
    parameters: tuple[str, ...]
    transaction: str | None = None
    bound: pa.Table | None = None
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
        principal: str,
        sql: str,
        is_read: bool,
        parameters: tuple[str, ...],
        transaction: str | None,
    ) -> PreparedStatement:
        """A new statement. LimitExceeded."""
        handle = secrets.token_hex(16).encode()
        statement = PreparedStatement(handle, principal, sql, is_read, parameters, transaction)
        statement.used_at = self._now()
        with self._lock:
            if len(self._statements) >= STATEMENTS_MAX:
                raise LimitExceeded(
                    f"There are {STATEMENTS_MAX} prepared statements: close those you do not need."
                )
            self._statements[handle] = statement
        return statement

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

    def sweep(self, idle_seconds: float) -> None:
        """Forgets those that nobody has used for so long."""
        oldest = self._now() - idle_seconds
        with self._lock:
            self._statements = {
                handle: one for handle, one in self._statements.items() if one.used_at > oldest
            }

    def __len__(self) -> int:
        """How many there are."""
        return len(self._statements)


def _not_found() -> NotFound:
    return NotFound(
        "There is no such prepared statement: it was closed, or nobody used it for too long. "
        "Prepare it again.",
        code=ErrorCode.STATEMENT_NOT_FOUND,
    )
