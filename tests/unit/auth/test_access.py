"""Access decides by the roles that are in force."""

from __future__ import annotations

from flight_server.auth import ANONYMOUS, SERVER, Access, Action, Grant, fixed
from flight_server.model import Principal, TableRef

FLIGHTS = TableRef.of("flights")


def test_anonymous_may_do_anything() -> None:
    for action in Action:
        for resource in (FLIGHTS, SERVER):
            assert Access().may(ANONYMOUS, action, resource).allowed
    assert (ANONYMOUS.id, ANONYMOUS.name) == ("anonymous", "anonymous")


def test_roles_add_up_and_unknown_ones_give_nothing() -> None:
    access = Access()
    both = Principal("key:1", "ann", frozenset({"reader", "writer"}))
    gone = Principal("key:2", "bob", frozenset({"abolished"}))
    assert access.may(both, Action.INSERT, FLIGHTS).allowed
    assert not access.may(both, Action.GRANT, FLIGHTS).allowed
    assert not access.may(gone, Action.READ, FLIGHTS).visible


def test_other_roles_can_be_in_force() -> None:
    grants = (Grant("eu", frozenset({Action.READ}), table="flights", rows="region = 'EU'"),)
    ann = Principal("key:1", "ann", frozenset({"eu"}))
    access = Access(fixed({"eu": grants}))
    assert access.may(ann, Action.READ, FLIGHTS).row_filter == "(region = 'EU')"
    assert not access.may(ann, Action.READ, TableRef.of("planes")).visible
