"""Many tables described at once are told of as each by itself."""

from __future__ import annotations

import pyarrow as pa

from flight_server.engines.lake.engine import LakeEngine
from flight_server.model import AddColumn, NamespaceRef, RenameColumn, SetComment, TableRef
from flight_server.testing.conformance.handles import AUTHOR, THREE, TableHandle
from tests.fix_lake import OpenLake


def check(engine: LakeEngine, *tables: TableRef) -> None:
    asked = tables or [one for space in engine.namespaces() for one in engine.tables(space)]
    assert engine.describe_all(asked) == [engine.describe(table) for table in asked]


def test_rows_wherever_they_are(lake: LakeEngine) -> None:
    """In the catalog or in files, deleted from either, flushed, merged, with other columns."""
    many = pa.table({"id": range(5_000)})
    for number in range(8):
        table = TableHandle(lake, f"t{number}").create()
        if number & 1:
            table.put(THREE)
        if number & 2:
            table.put(many)
        if number & 4:
            table.delete("id = 1")
            table.update({"name": "'x'"}, "id = 2")
    check(lake)
    lake.housekeep()
    check(lake)
    TableHandle(lake, "t3").delete("id % 3 = 0")
    TableHandle(lake, "t6").put(THREE)
    TableHandle(lake, "t7").alter(AddColumn(pa.field("n", pa.int8())), RenameColumn("id", "i"))
    TableHandle(lake, "t7").put(pa.table({"i": [7]}))
    TableHandle(lake, "t5").put(THREE, "overwrite")
    check(lake)
    check(lake, TableRef.of("T3"), TableRef.of("t1"))


def test_names_that_were_others(lake: LakeEngine) -> None:
    """The history of a name is that of all tables that bore it, as it is for one."""
    lake.create_namespace(NamespaceRef("lake", "a/b"), AUTHOR)
    first = TableHandle(lake, "one").create()
    first.put(THREE)
    TableHandle(lake, "one", "a/b").create().alter(SetComment("x"))
    lake.rename_table(first.ref, TableRef.of("two"), AUTHOR)
    TableHandle(lake, "one").create().put(THREE)
    lake.drop_table(TableRef.of("one"), AUTHOR)
    TableHandle(lake, "one").create()
    check(lake)


def test_after_expiry_and_by_others(open_lake: OpenLake) -> None:
    eager = {"snapshot_seconds_max": 0, "snapshots_max": 1, "ticket_seconds": 0.05}
    engine = open_lake(**eager)
    table = TableHandle(engine).create()
    table.put(THREE)
    table.put(THREE)
    TableHandle(engine, "u").create()
    engine.housekeep()
    check(engine)


def test_what_is_missing_is_left_out(lake: LakeEngine) -> None:
    TableHandle(lake).create()
    found = lake.describe_all([TableRef.of("nope"), TableRef.of("t")])
    assert [info.table.name for info in found] == ["t"]
    assert lake.describe_all([]) == []
