"""Rows deleted for now outlive expiry, restarts and changes of their table."""

from __future__ import annotations

import time

import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import ErrorCode, NotFound, Unsupported
from flight_server.model import (
    AddColumn,
    DropColumn,
    Housekeeping,
    RenameColumn,
    SchemaChange,
    TableRef,
)
from flight_server.testing.conformance.handles import AUTHOR, TableHandle, refused
from tests.fix_lake import EAGER, OpenLake, wait_until


def filled(engine: LakeEngine, rows: int = 4) -> TableHandle:
    table = TableHandle(engine).create(key=("id",))
    table.put([{"id": number, "name": f"n{number}"} for number in range(rows)])
    return table


def settle(engine: LakeEngine) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        time.sleep(0.06)
        if engine.housekeep() == Housekeeping():
            return
    raise AssertionError("housekeeping never ends")


def test_rows_come_back_after_expiry_and_a_restart(open_lake: OpenLake) -> None:
    engine = open_lake(**EAGER)
    table = filled(engine)
    gone = engine.soft_delete(table.ref, "id < 2", AUTHOR)
    assert (gone.rows_deleted, table.ids()) == (2, [2, 3])
    table.put([{"id": 7}])
    settle(engine)
    engine.close()
    engine = open_lake(**EAGER)
    table = TableHandle(engine)
    settle(engine)
    assert [one.snapshot for one in engine.deletions(table.ref)] == [gone.snapshot]
    back = engine.undelete(table.ref, gone.snapshot, False, AUTHOR)
    assert (back.rows_inserted, table.ids()) == (2, [0, 1, 2, 3, 7])
    assert engine.deletions(table.ref) == []


def test_after_a_while_they_do_not(open_lake: OpenLake) -> None:
    engine = open_lake(**EAGER, undelete_seconds_max=0.2)
    table = filled(engine)
    gone = engine.soft_delete(table.ref, "id < 2", AUTHOR)
    assert engine.deletions(table.ref)
    wait_until(lambda: not engine.deletions(table.ref), "it can no longer be undone")
    settle(engine)
    with refused(ErrorCode.VERSION_NOT_FOUND, str(gone.snapshot), error=NotFound):
        engine.undelete(table.ref, gone.snapshot, False, AUTHOR)
    with refused(ErrorCode.VERSION_NOT_FOUND, "expired", error=NotFound):
        engine.resolve(table.ref, gone.snapshot - 1)


def test_they_come_back_into_columns_that_have_changed(lake: LakeEngine) -> None:
    table = filled(lake)
    gone = lake.soft_delete(table.ref, "id = 1", AUTHOR)
    schema = table.schema()
    changes: list[SchemaChange] = [
        RenameColumn("name", "title"),
        DropColumn("amount"),
        AddColumn(schema.field("id").with_name("extra").with_nullable(True), "5"),
    ]
    lake.alter_table(table.ref, changes, AUTHOR)
    to = TableRef(table.ref.catalog, table.ref.namespace, "renamed")
    lake.rename_table(table.ref, to, AUTHOR)
    lake.undelete(to, gone.snapshot, False, AUTHOR)
    rows = {row["id"]: row for row in TableHandle(lake, "renamed").rows()}
    assert rows[1] == {"id": 1, "title": "n1", "extra": 5}


def test_a_new_table_of_the_name_has_no_deletions(lake: LakeEngine) -> None:
    table = filled(lake)
    lake.soft_delete(table.ref, "id = 1", AUTHOR)
    lake.drop_table(table.ref, AUTHOR)
    filled(lake)
    assert lake.deletions(table.ref) == []


def test_nothing_deleted_is_nothing_to_bring_back(lake: LakeEngine) -> None:
    table = filled(lake)
    before = lake.snapshot()
    assert lake.soft_delete(table.ref, "id = 99", AUTHOR).rows == 0
    assert (lake.deletions(table.ref), lake.snapshot()) == ([], before)


@pytest.mark.parametrize("commits", [True, False])
def test_in_a_transaction(lake: LakeEngine, commits: bool) -> None:
    table = filled(lake)
    with lake.transaction(AUTHOR) as transaction:
        assert transaction.soft_delete(table.ref, "id = 1", AUTHOR).rows == 1
        if not commits:
            transaction.rollback()
    assert len(lake.deletions(table.ref)) == commits
    assert (1 in table.ids()) is not commits


def test_not_behind_other_writes(lake: LakeEngine) -> None:
    table = filled(lake)
    with lake.transaction(AUTHOR) as transaction:
        transaction.delete(table.ref, "id = 3", AUTHOR)
        with refused(ErrorCode.UNSUPPORTED, "other writes", error=Unsupported):
            transaction.soft_delete(table.ref, "id = 1", AUTHOR)
        transaction.rollback()
