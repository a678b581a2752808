"""Named snapshots: what they hold, what is brought back, and who may."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flight_server.assemble import assemble
from flight_server.auth import Action, Grant
from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotFound,
)
from flight_server.model import NamespaceRef, SqlRequest, TableRef
from flight_server.operations import (
    Call,
    create_snapshot,
    describe_snapshot,
    drop_snapshot,
    drop_view,
    list_snapshots,
    list_tables,
    newest_snapshot,
    query,
    restore_snapshot,
    undrop_table,
)
from tests.fix_views import ROOT, World, eventually, quiet_settings

SALES = NamespaceRef("lake", "sales")
T = TableRef.of("t")


def named(text: str) -> TableRef:
    return TableRef.parse(text)


@pytest.fixture
def sales(world: World) -> World:
    """A namespace with two tables, a view, and a view that holds its rows."""
    world.run("CREATE SCHEMA sales")
    world.run("CREATE TABLE sales.one AS SELECT 1 AS n")
    world.run("CREATE TABLE sales.two AS SELECT 2 AS n")
    world.run("CREATE VIEW sales.seen AS SELECT n FROM sales.one")
    world.make("SELECT sum(n) AS s FROM sales.two", named("sales.kept"))
    return world


def tables(world: World) -> list[str]:
    return [str(table) for table in list_tables(world.services, ROOT, "lake", "sales")]


def test_a_table_is_brought_back_as_it_was(world: World) -> None:
    made = create_snapshot(world.services, ROOT, "first", T)
    assert (str(made.name), made.table, made.author) == ("first", T, "anonymous")
    world.run("DELETE FROM t WHERE a = 1")
    world.run("ALTER TABLE t ADD COLUMN c INTEGER")
    done = restore_snapshot(world.services, ROOT, made.name)
    assert done.tables == (T,)
    assert done.commit.snapshot == newest_snapshot(world.services, "lake")
    assert world.rows("FROM t") == [(1, "x"), (2, "y")]
    world.run("DROP TABLE t")
    restore_snapshot(world.services, ROOT, made.name)
    assert world.rows("FROM t") == [(1, "x"), (2, "y")]
    world.run("ALTER TABLE t RENAME TO u")
    world.run("DELETE FROM u")
    assert restore_snapshot(world.services, ROOT, made.name).tables == (T,)
    assert world.rows("FROM t") == [(1, "x"), (2, "y")]


def test_a_table_that_was_renamed_is_still_itself(world: World) -> None:
    made = create_snapshot(world.services, ROOT, "first", T)
    world.run("ALTER TABLE t RENAME TO u")
    world.run("DELETE FROM u")
    assert restore_snapshot(world.services, ROOT, made.name).tables == (TableRef.of("u"),)
    assert world.rows("FROM u") == [(1, "x"), (2, "y")]


def test_a_namespace_is_brought_back_in_one_commit(sales: World) -> None:
    made = create_snapshot(sales.services, ROOT, "may", SALES)
    assert (str(made.name), made.table) == ("sales.may", None)
    _, held = describe_snapshot(sales.services, ROOT, made.name)
    assert [str(one) for one in held] == ["sales.kept", "sales.one", "sales.seen", "sales.two"]
    sales.run("UPDATE sales.one SET n = 10")
    sales.run("DROP TABLE sales.two")
    sales.run("CREATE OR REPLACE VIEW sales.seen AS SELECT 7 AS n")
    sales.run("CREATE TABLE sales.three AS SELECT 3 AS n")
    before = newest_snapshot(sales.services, "lake")
    done = restore_snapshot(sales.services, ROOT, made.name)
    assert [str(one) for one in done.tables] == ["sales.one", "sales.seen", "sales.two"]
    assert done.commit.snapshot == before + 1
    assert sales.rows("FROM sales.one") == [(1,)]
    assert sales.rows("FROM sales.two") == [(2,)]
    assert sales.rows("FROM sales.seen") == [(1,)]
    assert "sales.three" in tables(sales)
    lake: Any = sales.services.engines["lake"]
    assert lake._instance.rows("SELECT n FROM lake.sales.seen") == [(1,)]
    assert sales.refresh(view=named("sales.kept")).mode is not None


def test_what_was_dropped_with_its_schema_comes_back(sales: World) -> None:
    made = create_snapshot(sales.services, ROOT, "may", SALES)
    was = tables(sales)
    sales.run("DROP SCHEMA sales CASCADE")
    restore_snapshot(sales.services, ROOT, made.name)
    assert tables(sales) == was
    assert sales.fresh(named("sales.kept")).refreshed is None
    assert sales.rows("SELECT s::INTEGER FROM sales.kept") == [(2,)]
    assert sales.rows("FROM sales.seen") == [(1,)]


def test_one_of_an_older_version(world: World) -> None:
    then = newest_snapshot(world.services, "lake")
    world.run("INSERT INTO t VALUES (3, 'z')")
    made = create_snapshot(world.services, ROOT, "then", T, then)
    assert made.snapshot == then
    main = create_snapshot(world.services, ROOT, "all", NamespaceRef("lake", "main"), then)
    world.run("DELETE FROM t")
    restore_snapshot(world.services, ROOT, main.name)
    assert world.rows("FROM t") == [(1, "x"), (2, "y")]
    with pytest.raises(NotFound) as refused:
        create_snapshot(world.services, ROOT, "never", T, 10_000)
    assert refused.value.code is ErrorCode.VERSION_NOT_FOUND


def test_names_are_free_once_and_each_in_its_namespace(sales: World) -> None:
    create_snapshot(sales.services, ROOT, "may", SALES)
    create_snapshot(sales.services, ROOT, "may", T)
    with pytest.raises(AlreadyExists):
        create_snapshot(sales.services, ROOT, "MAY", named("sales.one"))
    assert [str(one.name) for one in list_snapshots(sales.services, ROOT)] == ["may", "sales.may"]
    drop_snapshot(sales.services, ROOT, named("SALES.May"))
    with pytest.raises(NotFound, match=r"no snapshot 'sales\.may'") as refused:
        restore_snapshot(sales.services, ROOT, named("sales.may"))
    assert refused.value.code is ErrorCode.SNAPSHOT_NOT_FOUND
    with pytest.raises(InvalidRequest):
        create_snapshot(sales.services, ROOT, "", T)
    with pytest.raises(NotFound):
        create_snapshot(sales.services, ROOT, "x", NamespaceRef("lake", "nowhere"))


def test_a_name_that_something_else_has_by_now(world: World) -> None:
    made = create_snapshot(world.services, ROOT, "first", T)
    world.run("DROP TABLE t")
    world.run("CREATE VIEW t AS SELECT 1 AS n")
    with pytest.raises(Conflict, match="The view 't' has the name"):
        restore_snapshot(world.services, ROOT, made.name)
    drop_view(world.services, ROOT, T)
    undrop_table(world.services, ROOT, T)


def test_expiry_spares_it_also_after_a_restart(tmp_path: Path) -> None:
    short = {"snapshots_max": 1, "ticket_seconds": 0.01, "removal_grace_seconds": 0.01}
    with closing(assemble(quiet_settings(tmp_path, **short))) as services:
        world = World(services)
        made = create_snapshot(services, ROOT, "first", T)
    with closing(assemble(quiet_settings(tmp_path, **short))) as services:
        world.services = services
        world.run("DELETE FROM t")
        world.run("DROP TABLE t")
        lake: Any = services.engines["lake"]
        eventually(lambda: lake.housekeep().snapshots_expired > 0)
        restore_snapshot(services, ROOT, made.name)
        assert world.rows("FROM t") == [(1, "x"), (2, "y")]
        drop_snapshot(services, ROOT, made.name)
        world.run("DELETE FROM t")
        eventually(lambda: lake.housekeep().snapshots_expired > 0)
        with pytest.raises(NotFound):
            query(services, ROOT, SqlRequest(f"FROM t AT (VERSION => {made.snapshot})"))


def test_who_may_make_see_restore_and_drop_them(sales: World) -> None:
    read = frozenset({Action.READ})
    sales.role("seller", Grant("seller", read, "lake", "sales", "one"))
    sales.role("part", Grant("part", read, "lake", "sales", "one", frozenset({"n"}), "n > 5"))
    seller, nobody = sales.somebody("seller"), sales.somebody("part", name="other")
    mine = create_snapshot(sales.services, seller, "mine", named("sales.one"))
    all_of_it = create_snapshot(sales.services, ROOT, "all", SALES)
    secret = create_snapshot(sales.services, ROOT, "secret", named("sales.two"))
    seen = [str(one.name) for one in list_snapshots(sales.services, seller)]
    assert seen == ["sales.all", "sales.mine"]
    assert describe_snapshot(sales.services, seller, all_of_it.name)[1] == [named("sales.one")]
    for call in (describe_snapshot, restore_snapshot, drop_snapshot):
        with pytest.raises(NotFound) as refused:
            call(sales.services, seller, secret.name)
        assert refused.value.code is ErrorCode.SNAPSHOT_NOT_FOUND
    sales.run("UPDATE sales.one SET n = 9")
    for who in (seller, nobody):
        with pytest.raises(Forbidden):
            restore_snapshot(sales.services, who, all_of_it.name)
        with pytest.raises(Forbidden):
            drop_snapshot(sales.services, who, all_of_it.name)
    with pytest.raises(Forbidden):
        drop_snapshot(sales.services, nobody, mine.name)
    drop_snapshot(sales.services, seller, mine.name)
    with pytest.raises(NotFound):
        create_snapshot(sales.services, seller, "theirs", named("sales.two"))


def test_what_is_hidden_stays_as_it_is(sales: World) -> None:
    rights = frozenset(Action) - {Action.ADMIN, Action.GRANT, Action.CREATE}
    sales.role(
        "keeper",
        Grant("keeper", rights, "lake", "sales", "one"),
        Grant("keeper", frozenset({Action.READ}), "lake", "main"),
    )
    keeper = sales.somebody("keeper")
    made = create_snapshot(sales.services, ROOT, "all", SALES)
    for table in ("one", "two"):
        sales.run(f"UPDATE sales.{table} SET n = 100")
    assert restore_snapshot(sales.services, keeper, made.name).tables == (named("sales.one"),)
    assert sales.rows("FROM sales.one") == [(1,)]
    assert sales.rows("FROM sales.two") == [(100,)]
    sales.run("DROP TABLE sales.one")
    with pytest.raises(Forbidden, match="create in the namespace"):
        restore_snapshot(sales.services, keeper, made.name)
    assert isinstance(keeper, Call)
