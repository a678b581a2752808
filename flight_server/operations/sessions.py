"""What one client has set up for the calls that follow: transactions, temporary tables, defaults.

A door keeps the sessions and knows them again; here is what they hold. A session belongs to one
principal, and what it has begun ends with it.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from flight_server.engines.base import (
    Engine,
    SupportsTemporaryTables,
    SupportsTransactions,
    TemporaryTables,
    Transaction,
    require,
)
from flight_server.engines.cancellation import Cancellation
from flight_server.errors import Cancelled, Conflict, ErrorCode, LimitExceeded, NotFound
from flight_server.model import DEFAULT_CATALOG, DEFAULT_NAMESPACE, Author, Commit

TRANSACTIONS_MAX = 100
# How long a statement waits for one that runs, or is being read, in the same transaction.
BUSY_SECONDS_MAX = 10.0
# How long a rollback waits for it to notice that it was cancelled.
ROLLBACK_SECONDS_MAX = 1.0
_STEP_SECONDS = 0.1


class OpenTransaction:
    """A transaction that a client holds open over several calls. One of them uses it at a time.

    It begins with its first statement: drivers open the next transaction as soon as one has
    ended, and what nobody uses should hold on to no old state. For the same reason one that has
    only read is let go when it is idle, and sees the newest state when it goes on. Rows that
    others have changed since its first read it can then no longer change.

    One that the server had to undo stays until its client rolls it back: drivers go on with the
    next one only after that.
    """

    def __init__(self, engine: Engine, author: Author, now: Callable[[], float]) -> None:
        self.name = secrets.token_hex(16)
        self._engine = require(engine, SupportsTransactions)
        self._author = author
        self._now = now
        self.used_at = now()
        self.is_open = True
        self._lock = threading.Lock()
        self._user: Cancellation | None = None
        self._abandoned = False
        # Why it was undone by the server, where it was.
        self._undone = ""
        self._held = ExitStack()
        self._transaction: Transaction | None = None
        # What it read first, once it was let go.
        self._since: int | None = None

    @contextmanager
    def used(self, cancellation: Cancellation) -> Iterator[Transaction]:
        """The transaction, for one statement or one stream. NotFound once it has ended."""
        self._acquire(cancellation)
        try:
            self._user = cancellation
            yield self._begun()
        finally:
            self._user = None
            self._release()

    @property
    def has_begun(self) -> bool:
        """Whether the engine holds something open for it."""
        return self._transaction is not None

    def commit(self, cancellation: Cancellation) -> Commit:
        """Makes it so. Conflict, after which nothing of it has happened: roll it back."""
        with self.used(cancellation) as transaction:
            try:
                done = transaction.commit()
            except BaseException:
                self._undo("its commit failed")
                raise
            self._end()
            return done

    def rollback(self, cancellation: Cancellation) -> None:
        """Nothing of it has happened. Whoever reads or writes in it is told so.

        Where a client holds on to a stream without reading it, it ends with that stream.
        """
        user = self._user
        if user is not None:
            user.cancel(Cancelled("The transaction was rolled back."))
        if not self._acquired(cancellation, ROLLBACK_SECONDS_MAX):
            self.is_open, self._abandoned = False, True
            return
        try:
            if not self.is_open:
                raise transaction_not_found(self.name)
            self._end()
        finally:
            self._release()

    def abandon(self) -> None:
        """Rolls it back, now or once the statement that runs in it has ended."""
        self._abandoned = True
        if self._lock.acquire(blocking=False):
            self._release()

    def leave(self) -> None:
        """Rolls back what it has written, now or once its statement ends; a mere handle stays."""
        if not self._lock.acquire(blocking=False):
            self._abandoned = True
            return
        if self._has_written:
            self._end()
        self._let_go()
        self._lock.release()

    def expire(self, idle_seconds: float) -> None:
        """Rolls it back where it has written and nobody has used it for so long."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._abandoned:
                self._end()
            elif self._now() - self.used_at >= idle_seconds:
                if self._has_written:
                    self._undo(f"nobody used it for {idle_seconds:g} seconds")
                self._let_go()
        finally:
            self._lock.release()

    def _acquire(self, cancellation: Cancellation) -> None:
        if not self._acquired(cancellation, BUSY_SECONDS_MAX):
            raise Conflict(
                "Another statement of this transaction is still running, or its result is "
                "still being read. Read it to its end, or close it, before the next one."
            )

    def _acquired(self, cancellation: Cancellation, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not self._lock.acquire(timeout=_STEP_SECONDS):
            cancellation.check()
            if time.monotonic() > until:
                return False
        return True

    def _release(self) -> None:
        if self._abandoned:
            self._end()
        self.used_at = self._now()
        self._lock.release()

    def _begun(self) -> Transaction:
        if not self.is_open:
            raise transaction_not_found(self.name)
        if self._undone:
            raise NotFound(
                f"The transaction was undone, for {self._undone}: roll it back and begin another.",
                code=ErrorCode.TRANSACTION_NOT_FOUND,
            )
        if self._transaction is None:
            begun = self._engine.transaction(self._author, self._since)
            self._transaction = self._held.enter_context(begun)
        return self._transaction

    @property
    def _has_written(self) -> bool:
        return self._transaction is not None and self._transaction.has_written

    def _undo(self, why: str) -> None:
        self._undone = why
        self._let_go()

    def _end(self) -> None:
        self.is_open = False
        self._let_go()

    def _let_go(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            self._since = transaction.snapshot if self._since is None else self._since
            transaction.rollback()
            self._held.close()


@dataclass
class Session:
    """One client's state. `current` is the transaction begun by SQL, if there is one."""

    principal: str
    now: Callable[[], float] = time.time
    catalog: str = DEFAULT_CATALOG
    namespace: str = DEFAULT_NAMESPACE
    as_of: dt.datetime | None = None
    deadline_seconds: float | None = None
    current: OpenTransaction | None = None
    transactions: dict[str, OpenTransaction] = field(default_factory=dict)
    temporary: TemporaryTables | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, engine: Engine, author: Author) -> OpenTransaction:
        """A new transaction. LimitExceeded."""
        with self._lock:
            self._forget_ended()
            if len(self.transactions) >= TRANSACTIONS_MAX:
                raise LimitExceeded(
                    f"The session has {TRANSACTIONS_MAX} open transactions: end one first."
                )
            begun = OpenTransaction(engine, author, self.now)
            self.transactions[begun.name] = begun
        return begun

    def find(self, name: str) -> OpenTransaction:
        """The open transaction of this name. NotFound (transaction_not_found)."""
        found = self.transactions.get(name)
        if found is None or not found.is_open:
            raise transaction_not_found(name)
        return found

    @property
    def open_names(self) -> set[str]:
        """The names of the transactions that have not ended."""
        return {one.name for one in list(self.transactions.values()) if one.is_open}

    @property
    def latest(self) -> OpenTransaction | None:
        """The transaction begun by SQL, else the one that was begun last and is open.

        Drivers that do not say which one they mean have one at a time.
        """
        if self.current is not None and self.current.is_open:
            return self.current
        is_open = [one for one in list(self.transactions.values()) if one.is_open]
        return is_open[-1] if is_open else None

    def temporary_tables(self, engine: Engine) -> TemporaryTables:
        """The session's temporary tables, none of them at first."""
        with self._lock:
            if self.temporary is None:
                able = require(engine, SupportsTemporaryTables)
                self.temporary = able.temporary_tables(f"s_{secrets.token_hex(8)}")
            return self.temporary

    def expire(self, idle_seconds: float) -> None:
        """Rolls back the transactions that nobody has used for so long."""
        for one in list(self.transactions.values()):
            one.expire(idle_seconds)
        with self._lock:
            self._forget_ended()

    @property
    def open_transactions(self) -> int:
        """How many transactions have begun and not ended."""
        return sum(one.has_begun for one in list(self.transactions.values()))

    @property
    def holds_anything(self) -> bool:
        """Whether anything is kept for it but handles of transactions that have not begun."""
        return self.open_transactions > 0 or self.temporary is not None

    def leave(self) -> None:
        """Undoes what is under way, since the client is gone; handles of what is not stay."""
        for one in list(self.transactions.values()):
            one.leave()
        self.current = None
        with self._lock:
            temporary, self.temporary = self.temporary, None
        if temporary is not None:
            temporary.close()

    def close(self) -> None:
        """Rolls everything back and drops the temporary tables."""
        for one in list(self.transactions.values()):
            one.abandon()
        with self._lock:
            temporary, self.temporary = self.temporary, None
        if temporary is not None:
            temporary.close()

    def _forget_ended(self) -> None:
        self.transactions = {n: one for n, one in self.transactions.items() if one.is_open}


def transaction_not_found(name: str) -> NotFound:
    """There is no such transaction, or no longer."""
    return NotFound(
        f"There is no open transaction '{name[:40]}': it was committed, was rolled back, or was "
        "idle for too long. Begin another one.",
        code=ErrorCode.TRANSACTION_NOT_FOUND,
    )
