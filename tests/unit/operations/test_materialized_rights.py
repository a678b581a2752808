"""Materialised views: with whose rights they are refreshed, and who is told what."""

from __future__ import annotations

import pytest

from flight_server.auth import Action, Grant
from flight_server.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
)
from flight_server.model import RefreshMode
from flight_server.operations import (
    create_grant,
    describe_view,
    drop_grant,
)
from tests.fix_views import KEPT, ROOT, World

FULL, ADDED = RefreshMode.FULL, RefreshMode.INCREMENTAL


def test_it_is_made_and_refreshed_with_the_rights_of_its_maker(world: World) -> None:
    read, make = frozenset({Action.READ}), frozenset({Action.CREATE})
    grants = world.role(
        "maker",
        Grant("maker", read, "lake", "main", "t", frozenset({"a"}), "a < 3"),
        Grant("maker", read, "lake", "main", "kept"),
        Grant("maker", make, "lake", "main"),
    )
    maker = world.somebody("maker")
    world.make("SELECT * FROM t", call=maker)
    world.run("INSERT INTO t VALUES (0, 'z'), (9, 'z')")
    assert world.rows("FROM kept", maker) == [(1,), (2,)]
    assert world.refresh().mode is ADDED
    assert world.rows("FROM kept") == [(0,), (1,), (2,)]
    # Whoever may see more gets a view of more: all of it is computed anew.
    drop_grant(world.services, ROOT, grants[0])
    create_grant(
        world.services, ROOT, Grant("maker", read, "lake", "main", "t", frozenset({"a"}), "a < 10")
    )
    assert world.refresh().mode is FULL
    assert world.rows("FROM kept") == [(0,), (1,), (2,), (9,)]


def test_a_maker_that_lost_its_rights_keeps_it_as_it_was(world: World) -> None:
    read = frozenset({Action.READ, Action.CREATE})
    (grant,) = world.role("maker", Grant("maker", read, "lake"))
    maker = world.somebody("maker")
    world.make("SELECT a FROM t", call=maker)
    world.run("INSERT INTO t VALUES (3, 'z')")
    drop_grant(world.services, ROOT, grant)
    with pytest.raises(Conflict, match="'kept' cannot be read") as refused:
        world.refresh()
    assert refused.value.code is ErrorCode.VIEW_UNREADABLE
    fresh = world.fresh()
    assert (fresh.is_stale, fresh.failed_at is not None) == (True, True)
    assert fresh.error is not None
    assert world.rows("FROM kept") == [(1,), (2,)]
    world.services.keys.revoke(maker.principal.id.partition(":")[2])
    with pytest.raises(Forbidden, match="no access any more"):
        world.refresh()


def test_who_may_refresh_it_and_see_it(world: World) -> None:
    read = frozenset({Action.READ})
    world.role("seer", Grant("seer", read, "lake", "main", "kept"))
    world.make("SELECT a FROM t")
    seer = world.somebody("seer")
    assert world.rows("FROM kept", seer) == [(1,), (2,)]
    with pytest.raises(Forbidden):
        world.refresh(seer)
    info = describe_view(world.services, seer, KEPT)
    assert info.spec.definition is not None
    assert info.spec.definition.sql == ""
    assert describe_view(world.services, ROOT, KEPT).spec.definition is not None


def test_what_fails_in_its_rows_is_told_to_its_maker_alone(world: World) -> None:
    maker = world.somebody("writer")
    world.make("SELECT a, b::VARCHAR AS b FROM t", call=maker)
    world.make("SELECT CAST(b AS INTEGER) AS n FROM t WHERE a > 2", replaces=True, call=maker)
    world.run("INSERT INTO t VALUES (3, 'secret')")
    with pytest.raises(InvalidRequest, match="secret"):
        world.refresh(maker)
    with pytest.raises(Conflict) as refused:
        world.refresh()
    assert "secret" not in refused.value.message
    assert "secret" in (world.fresh(call=maker).error or "")
    assert "secret" not in (world.fresh().error or "")
    world.run("DELETE FROM t WHERE a = 3")
    assert world.refresh().mode is FULL
    assert world.fresh().error is None
