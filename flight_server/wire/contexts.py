"""The call as operations see it: with its session, and in the transaction it belongs to.

A call belongs to the transaction that it names, else to the one that SQL's BEGIN opened in its
session. While a call works in a transaction, no other does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from flight_server.operations import Call, OpenTransaction
from flight_server.wire.sessions import Session
from flight_server.wire.state import ServerState
from flight_server.wire.visits import Visit


def call_of(state: ServerState, visit: Visit) -> Call:
    """The call outside of any transaction, with its session where there is one."""
    session = state.sessions.peek(visit.session_names())
    if session is None:
        return visit.call
    if session.state.deadline_seconds is not None:
        visit.running.cancellation.end_within(session.state.deadline_seconds)
    return replace(visit.call, session=session.state)


def call_with_session(state: ServerState, visit: Visit) -> Call:
    """As `call_of`, with a session that is begun where there was none."""
    return replace(visit.call, session=open_session(state, visit).state)


def open_session(state: ServerState, visit: Visit) -> Session:
    """The visit's session, begun where there was none; the client is handed a cookie then."""
    expires_at = visit.token.expires_at if visit.token else None
    session, cookie = state.sessions.open(visit.session_names(), expires_at)
    if cookie is not None:
        visit.set_cookie(cookie)
    return session


def transaction_now(state: ServerState, visit: Visit, transaction: str | None) -> str | None:
    """The transaction of a statement that was prepared in one: the next one, once that has ended.

    Drivers keep a prepared statement over the end of its transaction, and say nothing of the one
    they have begun since.
    """
    session = state.sessions.peek(visit.session_names())
    if transaction is None or session is None or transaction in session.state.open_names:
        return transaction
    latest = session.state.latest
    return latest.name if latest is not None else transaction


@contextmanager
def call_in(state: ServerState, visit: Visit, transaction: str | None = None) -> Iterator[Call]:
    """The call in the transaction it names, else in that of its session, else in none.

    NotFound (transaction_not_found); Conflict where another call keeps it for too long.
    """
    call = call_of(state, visit)
    opened = _opened(state, visit, call, transaction)
    if opened is None:
        yield call
        return
    with opened.used(call.cancellation) as inside:
        yield replace(call, transaction=inside)


def _opened(
    state: ServerState, visit: Visit, call: Call, transaction: str | None
) -> OpenTransaction | None:
    if transaction is not None:
        return state.sessions.transaction(transaction, visit.session_names()[-1])
    if call.session is None or call.session.current is None:
        return None
    # One that was idle for too long is told of by COMMIT or ROLLBACK, and stops all till then.
    return call.session.current
