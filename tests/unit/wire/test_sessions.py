"""Sessions: found by any of their names, ended by closing, by expiry, by being idle."""

from __future__ import annotations

import pytest

from flight_server import operations
from flight_server.errors import LimitExceeded, NotFound
from flight_server.wire.prepared import PreparedStatements
from flight_server.wire.sessions import (
    IDLE_SECONDS_MAX,
    OPTIONS_MAX,
    Session,
    SessionName,
    Sessions,
    set_option,
)
from tests.fix_metastore import Clock

PEER = SessionName("ana", "peer", "ipv4:127.0.0.1:1")
OTHER_PEER = SessionName("ana", "peer", "ipv4:127.0.0.1:2")
TOKEN = SessionName("ana", "token", "abc")


def test_a_peer_gets_a_cookie_and_is_found_by_both(clock: Clock) -> None:
    sessions = Sessions(clock)
    session, cookie = sessions.open([PEER])
    assert cookie is not None
    by_cookie = SessionName("ana", "cookie", cookie)
    assert sessions.find([by_cookie]) is sessions.find([PEER]) is session
    assert sessions.open([PEER]) == (session, None)
    sessions.close([by_cookie])
    with pytest.raises(NotFound):
        sessions.find([PEER])


def test_a_token_needs_no_cookie(clock: Clock) -> None:
    sessions = Sessions(clock)
    session, cookie = sessions.open([TOKEN], clock() + 10)
    assert cookie is None
    clock.seconds += 9
    assert sessions.find([TOKEN]) is session
    clock.seconds += 2
    with pytest.raises(NotFound):
        sessions.find([TOKEN])


def test_an_idle_session_ends(clock: Clock) -> None:
    sessions = Sessions(clock, lambda: None)
    sessions.open([PEER])
    clock.seconds += IDLE_SECONDS_MAX - 1
    sessions.find([PEER])
    clock.seconds += IDLE_SECONDS_MAX - 1
    sessions.find([PEER])
    clock.seconds += IDLE_SECONDS_MAX + 1
    assert sessions.peek([PEER]) is None


def test_names_belong_to_their_principal(clock: Clock) -> None:
    sessions = Sessions(clock)
    sessions.open([PEER])
    with pytest.raises(NotFound):
        sessions.find([SessionName("bob", "peer", PEER.value)])


def test_options_have_limits() -> None:
    session = Session(operations.Session("ana"))
    for number in range(OPTIONS_MAX):
        set_option(session, str(number), "x")
    set_option(session, "0", "y")
    with pytest.raises(LimitExceeded):
        set_option(session, "more", "x")
    set_option(session, "0", None)
    set_option(session, "more", ["x"])
    with pytest.raises(LimitExceeded):
        set_option(session, "more", "x" * 100_000)


class Handle:
    """Stands for an open transaction."""

    def __init__(self) -> None:
        self.left = 0
        self.is_open = True
        self.has_begun = True

    def leave(self) -> None:
        self.left += 1
        self.has_begun = False

    def abandon(self) -> None:
        self.is_open = self.has_begun = False

    def expire(self, idle_seconds: float) -> None:
        assert idle_seconds > 0


def with_handle(sessions: Sessions) -> tuple[Session, Handle]:
    session, _ = sessions.open([PEER])
    handle = Handle()
    session.state.transactions["t"] = handle  # type: ignore[assignment]
    return session, handle


def test_an_address_that_passes_to_another_client_is_another_session(clock: Clock) -> None:
    alive = {("127.0.0.1", 1): 7}
    sessions = Sessions(clock, lambda: alive)
    session, handle = with_handle(sessions)
    clock.seconds += 5
    assert sessions.peek([PEER]) is session
    alive[("127.0.0.1", 1)] = 8
    clock.seconds += 5
    assert sessions.peek([PEER]) is None
    assert handle.left == 1
    again, _ = sessions.open([PEER])
    assert again is not session
    found: object = sessions.transaction("t", PEER)
    assert found is handle


def test_a_lost_connection_is_noticed_without_a_call(clock: Clock) -> None:
    alive = {("127.0.0.1", 1): 7}
    sessions = Sessions(clock, lambda: alive)
    _, handle = with_handle(sessions)
    sessions.sweep(300)
    assert handle.left == 0
    del alive[("127.0.0.1", 1)]
    sessions.sweep(300)
    assert handle.left == 1
    assert sessions.open_transactions == 0
    sessions.sweep(300)
    assert handle.left == 1


def test_what_a_call_begins_after_the_loss_of_its_connection_is_undone(clock: Clock) -> None:
    alive = {("127.0.0.1", 1): 7}
    sessions = Sessions(clock, lambda: alive)
    _, handle = with_handle(sessions)
    alive.clear()
    sessions.sweep(300)
    handle.has_begun = True
    sessions.sweep(300)
    assert handle.left == 2


def test_what_a_call_prepares_after_the_loss_of_its_connection_is_forgotten(clock: Clock) -> None:
    alive = {("127.0.0.1", 1): 7, ("127.0.0.1", 2): 8}
    sessions, statements = Sessions(clock, lambda: alive), PreparedStatements(clock)
    lost, kept = (sessions.open([peer])[0] for peer in (PEER, OTHER_PEER))
    del alive["127.0.0.1", 1]
    sessions.sweep(300)
    for session in (lost, kept):
        statements.add(session, "SELECT 1", True, (), None)
    statements.sweep(300)
    assert statements._of(lost) == []
    assert len(statements) == 1


def test_a_transaction_that_goes_on_behind_another_address_goes_by_that(clock: Clock) -> None:
    alive = {("127.0.0.1", 1): 7}
    sessions = Sessions(clock, lambda: alive)
    _, handle = with_handle(sessions)
    alive.clear()
    sessions.sweep(300)
    alive["127.0.0.1", 2] = 8
    sessions.transaction("t", OTHER_PEER)
    handle.has_begun = True
    sessions.sweep(300)
    assert handle.has_begun
    alive.clear()
    sessions.sweep(300)
    assert not handle.has_begun


def test_a_session_that_begins_after_its_connection_has_gone_is_lost(clock: Clock) -> None:
    alive: dict[tuple[str, int], int] = {}
    sessions = Sessions(clock, lambda: alive)
    ended: list[Session] = []
    sessions.on_end.append(ended.append)
    session, handle = with_handle(sessions)
    sessions.sweep(300)
    assert handle.left == 1
    assert ended == [session]
    assert sessions.peek([PEER]) is None


def test_a_cookie_outlives_the_connection(clock: Clock) -> None:
    alive = {("127.0.0.1", 1): 7}
    sessions = Sessions(clock, lambda: alive)
    session, cookie = sessions.open([PEER])
    assert cookie is not None
    shown = SessionName("ana", "cookie", cookie)
    assert sessions.peek([shown, PEER]) is session
    alive.clear()
    sessions.sweep(300)
    clock.seconds += 5
    assert sessions.peek([shown]) is session


def test_where_connections_are_not_known_addresses_count(clock: Clock) -> None:
    sessions = Sessions(clock, lambda: None)
    session, handle = with_handle(sessions)
    clock.seconds += 5
    sessions.sweep(300)
    assert sessions.peek([PEER]) is session
    assert handle.left == 0
