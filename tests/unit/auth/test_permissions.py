"""The store of workspaces, roles and grants: what it keeps, and when a change counts."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from flight_server.auth import Access, Action, Grant, PermissionStore, grant_not_found
from flight_server.auth import permissions as module
from flight_server.errors import AlreadyExists, Conflict, InvalidRequest, NotFound
from flight_server.metastore import Metastore
from flight_server.model import NamespaceRef, Principal, TableRef
from tests.fix_metastore import Clock

GOLD = TableRef("lake", "north", "gold")
READ = frozenset({Action.READ})
ANN = Principal("key:1", "ann", frozenset({"clerk"}), "alpha")
NORTH = NamespaceRef("lake", "North")


def limited(**limits: object) -> Grant:
    return Grant("clerk", READ, "lake", "north", "gold", **limits)  # type: ignore[arg-type]


@pytest.fixture
def permissions(metastore: Metastore) -> PermissionStore:
    store = PermissionStore(metastore)
    store.create_workspace("alpha", "", NORTH, "test")
    store.create_role("alpha", "clerk", "", "test")
    return store


def allowed(store: PermissionStore, who: Principal = ANN) -> bool:
    return Access(store.current).may(who, Action.READ, GOLD).allowed


def test_a_change_counts_at_once_here(permissions: PermissionStore) -> None:
    assert not allowed(permissions)
    made = permissions.create_grant("alpha", limited(), "test")
    assert allowed(permissions)
    permissions.drop_grant(made.id)
    assert not allowed(permissions)


def test_a_change_by_another_server_counts_within_two_seconds(
    permissions: PermissionStore, metastore: Metastore, clock: Clock
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", SimpleNamespace(monotonic=clock))
        other = PermissionStore(metastore)
        assert not allowed(other)
        made = permissions.create_grant("alpha", limited(), "test")
        clock.seconds += 2
        assert allowed(other)
        # What it remembers of the decision goes as well.
        permissions.drop_grant(made.id)
        clock.seconds += 2
        assert not allowed(other)
        # Without a change it goes on with what it has.
        before = other.current()
        clock.seconds += 2
        assert other.current() is before


def test_everything_survives_reopening(tmp_path: Path) -> None:
    path = tmp_path / "metastore.sqlite"
    grant = limited(columns=frozenset({"ID", "pay"}), rows="owner = current_user")
    with Metastore.open(path) as opened:
        store = PermissionStore(opened)
        made = store.create_workspace("alpha", "Theirs.", NORTH, "test")
        role = store.create_role("alpha", "clerk", "Sells.", "test")
        kept = store.create_grant("alpha", grant, "test")
    with Metastore.open(path) as opened:
        store = PermissionStore(opened)
        assert store.list_workspaces() == [made]
        assert store.list_roles("alpha") == [role]
        assert store.list_grants("alpha") == [kept]
        assert store.find_grant(kept.id).grant == grant
        decision = Access(store.current).may(ANN, Action.READ, GOLD)
        assert set(decision.columns or ()) == {"id", "pay"}
        assert decision.rows == ("owner = current_user",)


def test_two_servers_that_change_at_a_time_learn_of_each_other(metastore: Metastore) -> None:
    """Each change has a number of its own, so that nobody takes another's for what it knows."""
    stores = [PermissionStore(metastore) for _ in range(2)]
    before = stores[0].current().number

    def change(number: int) -> None:
        for n in range(10):
            stores[number].create_role("default", f"role {number} {n}", "", "test")

    threads = [threading.Thread(target=change, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = PermissionStore(metastore).current()
    assert found.number == before + 20
    assert len(found.role_names("default")) == 23


def test_a_workspace_s_grants_reach_nothing_else(permissions: PermissionStore) -> None:
    permissions.create_grant("alpha", Grant("clerk", READ), "test")
    access = Access(permissions.current)
    inside = [GOLD, TableRef("lake", "NORTH", "gold"), TableRef("lake", "north/deep", "iron")]
    outside = [TableRef("lake", "main", "t"), TableRef("lake", "northern", "t")]
    assert all(access.may(ANN, Action.READ, table).allowed for table in inside)
    assert not any(access.may(ANN, Action.READ, table).visible for table in outside)
    root = Principal("key:2", "root", frozenset({"admin"}))
    assert not any(access.may(root, Action.READ, table).visible for table in inside)
    # A part of it may be another workspace's.
    permissions.create_workspace("beta", "", NamespaceRef("lake", "north/deep"), "test")
    assert not access.may(ANN, Action.READ, inside[2]).visible
    assert access.may(ANN, Action.READ, GOLD).allowed


def test_roles_of_the_same_name_are_apart(permissions: PermissionStore) -> None:
    permissions.create_role("default", "clerk", "", "test")
    permissions.create_grant("default", limited(), "test")
    assert not allowed(permissions)


def test_what_cannot_be_done_changes_nothing(permissions: PermissionStore) -> None:
    before = permissions.current()
    with pytest.raises(AlreadyExists):
        permissions.create_role("alpha", "clerk", "", "test")
    with pytest.raises(NotFound):
        permissions.create_role("nowhere", "clerk", "", "test")
    with pytest.raises(Conflict):
        permissions.create_workspace("beta", "", NamespaceRef("lake", "NORTH"), "test")
    with pytest.raises(NotFound):
        permissions.create_grant("alpha", Grant("clark", READ), "test")
    with pytest.raises(InvalidRequest):
        permissions.create_grant("alpha", Grant("reader", READ), "test")
    with pytest.raises(NotFound) as caught:
        permissions.drop_grant("absent")
    assert caught.value.message == grant_not_found("absent").message
    assert permissions.current() is before
    assert PermissionStore(permissions._metastore).current().number == before.number
    assert [one.name for one in permissions.list_workspaces()] == ["alpha"]
