"""Materialised views: what a refresh does, with whose rights, and what is known of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flight_server.assemble import assemble
from flight_server.engines.lake.commits import CommitLog
from flight_server.errors import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unsupported,
)
from flight_server.model import Kind, Refresh, RefreshMode, TableRef
from flight_server.operations import (
    create_view,
    describe_view,
    drop_view,
    rename_view,
    restore,
    undrop_table,
)
from tests.fix_views import KEPT, ROOT, World, eventually, quiet_settings

FULL, ADDED = RefreshMode.FULL, RefreshMode.INCREMENTAL


def test_it_holds_what_its_select_answered(world: World) -> None:
    world.make("SELECT a * 10 AS k, b FROM t WHERE a > 1")
    assert world.rows("FROM kept") == [(20, "y")]
    world.run("DELETE FROM t")
    assert world.rows("FROM kept") == [(20, "y")]
    fresh = world.fresh()
    assert (fresh.refresh, fresh.is_stale, fresh.error) == (Refresh.ON_DEMAND, True, None)
    assert describe_view(world.services, ROOT, KEPT).spec.kind is Kind.MATERIALIZED_VIEW


def test_where_rows_came_only_what_they_make_is_added(world: World) -> None:
    world.make("SELECT a * 10 AS k, b FROM t WHERE a > 1")
    for value in (3, 0, 4):
        world.run(f"INSERT INTO t VALUES ({value}, 'n')")
        assert world.fresh().is_stale
        done = world.refresh()
        assert (done.mode, done.rows) == (ADDED, int(value > 1))
        assert not world.fresh().is_stale
    assert world.rows("FROM kept") == [(20, "y"), (30, "n"), (40, "n")]
    assert world.refresh().mode is None


def test_several_commits_are_added_at_once_and_upkeep_is_none(world: World) -> None:
    world.make("SELECT a FROM t")
    lake: Any = world.services.engines["lake"]
    for value in range(3, 9):
        world.run(f"INSERT INTO t VALUES ({value}, 'n')")
        lake.housekeep([TableRef.of("t")])
    assert world.refresh().mode is ADDED
    lake.housekeep()
    assert world.refresh().mode is None
    assert world.rows("FROM kept") == [(value,) for value in range(1, 9)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE t SET b = 'z' WHERE a = 1",
        "DELETE FROM t WHERE a = 1",
        "ALTER TABLE t ADD COLUMN c INTEGER",
        "CREATE OR REPLACE TABLE t AS SELECT 7 AS a, 'q' AS b",
    ],
)
def test_whatever_else_happened_all_is_computed_anew(world: World, change: str) -> None:
    world.make("SELECT a, b FROM t")
    world.run(change)
    world.run("INSERT INTO t (a, b) VALUES (3, 'n')")
    assert world.refresh().mode is FULL
    assert world.rows("FROM kept") == world.rows("SELECT a, b FROM t")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) AS n FROM t",
        "SELECT DISTINCT b FROM t",
        "SELECT a FROM t ORDER BY a LIMIT 3",
        "SELECT t.a FROM t JOIN s ON s.a = t.a",
        "SELECT a, row_number() OVER (ORDER BY a) AS r FROM t",
        "SELECT a FROM t WHERE a IN (SELECT a FROM s)",
        "SELECT a FROM over_t",
        "SELECT unnest([a, a]) AS a FROM t",
    ],
)
def test_what_looks_at_several_rows_is_computed_anew(world: World, sql: str) -> None:
    world.run("CREATE TABLE s AS SELECT 1 AS a")
    world.run("CREATE VIEW over_t AS SELECT a FROM t")
    world.make(sql)
    world.run("INSERT INTO t VALUES (1, 'w')")
    assert world.fresh().is_stale
    assert world.refresh().mode is FULL
    assert world.rows("FROM kept") == world.rows(sql)


def test_what_goes_by_the_clock_is_never_current(world: World) -> None:
    world.make("SELECT a, now() AS at FROM t")
    assert world.fresh().is_stale
    assert world.refresh().mode is FULL
    with pytest.raises(InvalidRequest, match="with the clock"):
        world.make("SELECT now() AS at", TableRef.of("other"), refresh=Refresh.ON_CHANGE)


def test_old_versions_below_stay_as_they_are(world: World) -> None:
    then = world.run("INSERT INTO t VALUES (3, 'z')").snapshot
    world.run("DELETE FROM t")
    world.make(f"SELECT a FROM t AT (VERSION => {then})")
    assert len(world.rows("FROM kept")) == 3
    world.run("INSERT INTO t VALUES (4, 'z')")
    assert world.refresh().mode is None


def test_one_over_another_follows_it(world: World) -> None:
    other = TableRef.of("other")
    world.make("SELECT a, b FROM t")
    world.make("SELECT a FROM kept", other)
    world.run("INSERT INTO t VALUES (3, 'z')")
    assert world.refresh(view=other).mode is None
    world.refresh()
    assert world.refresh(view=other).mode is ADDED
    assert world.rows("FROM other") == [(1,), (2,), (3,)]
    with pytest.raises(Conflict, match="it reads itself"):
        world.make("SELECT a FROM other", replaces=True)


def test_rows_are_not_written_to_it(world: World) -> None:
    world.make("SELECT a, b FROM t")
    for sql in ("INSERT INTO kept VALUES (1, 'x')", "DELETE FROM kept", "UPDATE kept SET a = 1"):
        with pytest.raises(Unsupported, match="'kept' is a view"):
            world.run(sql)
    with pytest.raises(InvalidRequest, match="no table"):
        world.run("ALTER TABLE kept ADD COLUMN x INT")
    with pytest.raises(Unsupported, match="is a view"):
        restore(world.services, ROOT, KEPT, 3)


def test_it_is_replaced_renamed_dropped_and_brought_back(world: World) -> None:
    world.make("SELECT a FROM t")
    with pytest.raises(AlreadyExists):
        world.make("SELECT b FROM t")
    world.make("SELECT b FROM t", replaces=True)
    assert world.rows("FROM kept") == [("x",), ("y",)]
    other = TableRef.of("other")
    rename_view(world.services, ROOT, KEPT, other)
    world.run("INSERT INTO t VALUES (3, 'z')")
    assert world.refresh(view=other).mode is ADDED
    drop_view(world.services, ROOT, other)
    world.run("INSERT INTO t VALUES (4, 'w')")
    undrop_table(world.services, ROOT, other)
    assert world.fresh(other).refreshed is None
    assert world.refresh(view=other).mode is FULL
    assert world.rows("FROM other") == [("w",), ("x",), ("y",), ("z",)]
    create_view(world.services, ROOT, KEPT, "SELECT 1 AS n")
    world.make("SELECT a FROM t", replaces=True)
    with pytest.raises(AlreadyExists):
        world.make("SELECT a FROM t", TableRef.of("t"), replaces=True)


def test_only_views_that_hold_rows_are_refreshed(world: World) -> None:
    world.run("CREATE VIEW plain AS SELECT a FROM t")
    with pytest.raises(Unsupported, match="run whenever it is read"):
        world.refresh(view=TableRef.of("plain"))
    with pytest.raises(InvalidRequest, match="a table and no view"):
        world.refresh(view=TableRef.of("t"))
    with pytest.raises(NotFound):
        world.refresh(view=TableRef.of("nowhere"))
    lake: Any = world.services.engines["lake"]
    world.make("SELECT a FROM t")
    with lake.transaction(ROOT.author("test")) as transaction:
        inside = replace(ROOT, transaction=transaction)
        with pytest.raises(Unsupported, match="commit of its own"):
            world.refresh(inside)
        with pytest.raises(Unsupported, match="commit of its own"):
            world.make("SELECT 1 AS n", TableRef.of("other"), inside)


def test_a_view_that_follows_its_tables_is_refreshed_by_itself(world: World) -> None:
    world.make("SELECT a FROM t", refresh=Refresh.ON_CHANGE)
    world.make("SELECT sum(a) AS s FROM kept", TableRef.of("total"), refresh=Refresh.ON_CHANGE)
    world.run("INSERT INTO t VALUES (10, 'z')")
    eventually(lambda: world.rows("SELECT s::INTEGER FROM total") == [(13,)])
    assert world.fresh().refreshed is not None
    world.run("UPDATE t SET a = 100 WHERE a = 10")
    eventually(lambda: world.rows("SELECT s::INTEGER FROM total") == [(103,)])
    eventually(lambda: not world.fresh().is_stale)


def test_a_server_that_comes_back_catches_up(tmp_path: Path) -> None:
    with closing(assemble(quiet_settings(tmp_path, view_refresh_seconds=1000))) as services:
        world = World(services)
        world.make("SELECT a FROM t", refresh=Refresh.ON_CHANGE)
        world.run("INSERT INTO t VALUES (3, 'z')")
        assert world.fresh().is_stale
    with closing(assemble(quiet_settings(tmp_path, view_refresh_seconds=0.05))) as services:
        world.services = services
        eventually(lambda: not world.fresh().is_stale)
        assert world.rows("FROM kept") == [(1,), (2,), (3,)]
        assert world.fresh().refreshed is not None


def test_of_two_refreshes_that_began_alike_one_commits(world: World) -> None:
    from flight_server.operations import refreshing

    world.make("SELECT a FROM t")
    world.run("INSERT INTO t VALUES (3, 'z')")
    lake: Any = world.services.engines["lake"]
    refreshed = lake.refreshed

    def meanwhile(view: TableRef) -> Any:
        found = refreshed(view)
        lake.refreshed = refreshed
        assert refreshing.refresh(world.services, ROOT, view).mode is ADDED
        return found

    lake.refreshed = meanwhile
    with pytest.raises(Conflict, match="Another refresh"):
        refreshing.refresh(world.services, ROOT, KEPT)
    assert world.rows("FROM kept") == [(1,), (2,), (3,)]


def test_a_refresh_that_breaks_off_has_not_happened(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.make("SELECT a FROM t")
    world.run("INSERT INTO t VALUES (3, 'z')")

    def broken(*_: Any) -> int:
        raise PixelflightError("the lights went out")

    with monkeypatch.context() as patched:
        patched.setattr(CommitLog, "commit", broken)
        with pytest.raises(PixelflightError, match="lights"):
            world.refresh()
    assert world.fresh().is_stale
    assert world.rows("FROM kept") == [(1,), (2,)]
    assert world.refresh().mode is ADDED
    assert world.rows("FROM kept") == [(1,), (2,), (3,)]


def test_expired_snapshots_make_a_refresh_full(tmp_path: Path) -> None:
    short = {"snapshots_max": 1, "ticket_seconds": 0.01, "removal_grace_seconds": 0.01}
    with closing(
        assemble(quiet_settings(tmp_path, view_refresh_seconds=1000, **short))
    ) as services:
        world = World(services)
        world.make("SELECT a FROM t")
        lake: Any = services.engines["lake"]
        for value in (3, 4):
            world.run(f"INSERT INTO t VALUES ({value}, 'z')")
        services.audit.settle(10)
        eventually(lambda: lake.housekeep().snapshots_expired > 0)
        assert world.fresh().is_stale
        assert world.refresh().mode is FULL
        assert world.rows("FROM kept") == [(1,), (2,), (3,), (4,)]
