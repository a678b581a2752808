"""Rules of tables where the lake has ways in of its own: SQL that writes, groups, old lakes."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.lake import registry
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.specs import decoded, encoded
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import (
    AddColumn,
    DropCheck,
    IngestMode,
    SetCheck,
    SetConstraint,
    SetDefault,
    SqlRequest,
    TableRef,
    TableSpec,
    Violation,
)
from flight_server.testing.conformance.checks import BAD, CHECKS, CONSTRAINTS, GOOD, violated
from flight_server.testing.conformance.handles import AUTHOR, SCHEMA, TableHandle, batches_of
from tests.fix_lake import OpenLake

# Columns that the lake keeps otherwise than SQL sees them.
ODD = pa.schema(
    [
        pa.field("id", pa.uuid()),
        pa.field("took", pa.duration("ms")),
        pa.field("span", pa.month_day_nano_interval()),
        pa.field("at", pa.time64("ns")),
        pa.field("kind", pa.dictionary(pa.int8(), pa.string())),
        pa.field("half", pa.float16()),
        pa.field("pair", pa.list_(pa.int64(), 2)),
    ]
)


@pytest.fixture
def ruled(lake: LakeEngine) -> TableHandle:
    table = TableHandle(lake).create(key=("id",), constraints=CONSTRAINTS, checks=CHECKS)
    table.put(GOOD)
    return table


def values_of(row: dict[str, Any]) -> str:
    name = "NULL" if row.get("name") is None else f"'{row['name']}'"
    return f"SELECT {row['id']}, {name}, {row.get('amount', 'NULL')}"


@pytest.mark.parametrize(("row", "told"), BAD, ids=[str(told) for _, told in BAD])
def test_rows_of_sql(lake: LakeEngine, ruled: TableHandle, row: dict[str, Any], told: Any) -> None:
    request = SqlRequest(f"SELECT 8, 'fine', 1 UNION ALL {values_of(row)}")
    with violated(**told):
        lake.insert_rows(ruled.ref, ("id", "name", "amount"), request, AUTHOR)
    name, amount = values_of(row).split(", ")[1:]
    change = SqlRequest(f"SELECT rowid, {name}, {amount} FROM {ruled.ref.sql} WHERE id < 3")
    with violated(**told):
        lake.update_rows(ruled.ref, ("name", "amount"), change, "id > 1", AUTHOR)
    merge = (
        f"MERGE INTO {ruled.ref.sql} AS kept USING ({values_of(row)}) AS sent(id, name, amount) "
        "ON kept.id = sent.id WHEN NOT MATCHED THEN INSERT (id, name, amount) "
        "VALUES (sent.id, sent.name, sent.amount)"
    )
    with violated(**told):
        lake.merge_rows(ruled.ref, SqlRequest(merge), AUTHOR)
    assert ruled.ids() == [1, 2, 3]


def test_sql_that_meets_them(lake: LakeEngine, ruled: TableHandle) -> None:
    request = SqlRequest("SELECT 4, 'four' UNION ALL SELECT 5, 'five'")
    assert lake.insert_rows(ruled.ref, ("id", "name"), request, AUTHOR).rows_inserted == 2
    change = SqlRequest(f"SELECT rowid, 99 FROM {ruled.ref.sql}")
    done = lake.update_rows(ruled.ref, ("amount",), change, "name IS NOT NULL", AUTHOR)
    assert done.rows_updated == 3
    # A rule that names nothing of what is set is not asked.
    rename = SqlRequest(f"SELECT rowid, id + 10 FROM {ruled.ref.sql}")
    assert lake.update_rows(ruled.ref, ("id",), rename, None, AUTHOR).rows_updated == 5


def test_a_row_of_defaults(lake: LakeEngine) -> None:
    table = TableHandle(lake).create(
        pa.schema([("a", pa.int64()), ("b", pa.int64())]),
        defaults={"a": "5"},
        checks={"both": "a < 9 AND b IS NOT NULL"},
    )
    with violated(check="both"):
        lake.insert_rows(table.ref, (), SqlRequest("SELECT 1"), AUTHOR)
    lake.insert_rows(table.ref, ("b",), SqlRequest("SELECT 1"), AUTHOR)
    assert table.rows() == [{"a": 5, "b": 1}]


def test_a_group_goes_on_without_whoever_violates(lake: LakeEngine, ruled: TableHandle) -> None:
    """Small puts that come at once share commits; one that is refused costs the others nothing."""
    refused: list[int] = []

    def put(number: int) -> None:
        try:
            ruled.put([{"id": 100 + number, "amount": -1.0 if number % 3 == 0 else 1.0}])
        except InvalidRequest as error:
            refused.extend([number] * (error.code is ErrorCode.CHECK_VIOLATION))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(refused) == [0, 3, 6]
    assert ruled.ids(filter="id >= 100") == [101, 102, 104, 105, 107, 108]


def test_defaults_that_a_clock_gives(lake: LakeEngine) -> None:
    """What is judged is what is kept, though each call of the clock says something else."""
    table = TableHandle(lake).create(
        pa.schema([("a", pa.int64()), ("id", pa.string())]),
        defaults={"id": "uuid()"},
        constraints={"id": {"format": "uuid"}},
        checks={"even": "ascii(id) % 2 = a"},
    )
    for _ in range(20):
        with suppress(InvalidRequest):
            table.put(pa.table({"a": [0, 0, 0]}))
    assert all(ord(row["id"][0]) % 2 == row["a"] for row in table.rows())


def test_rules_see_what_sql_sees(lake: LakeEngine) -> None:
    checks = {
        "short": "took < INTERVAL 1 MINUTE",
        "span": "span <= INTERVAL 1 DAY",
        "early": "\"at\" < CAST('12:00:00' AS TIME_NS)",
        "version": "uuid_extract_version(id) = 4",
        "pair": "pair[1] <= pair[2]",
    }
    constraints = {"kind": {"enum": ["a", "b"]}, "half": {"maximum": 1}, "pair": {"minItems": 2}}
    table = TableHandle(lake).create(ODD, checks=checks, constraints=constraints)
    good = {
        "id": "11111111-1111-4111-8111-111111111111",
        "took": 59_999,
        "span": (0, 1, 0),
        "at": 10**9,
        "kind": "a",
        "half": 0.5,
        "pair": [1, 2],
    }
    bad = {
        "id": "11111111-1111-1111-8111-111111111111",
        "took": 60_001,
        "span": (0, 2, 0),
        "at": 13 * 3600 * 10**9,
        "kind": "c",
        "half": 1.5,
        "pair": [2, 1],
    }
    for mode in ("append", "overwrite"):
        table.put(odd_rows(good), mode)
        for name, value in bad.items():
            with pytest.raises(InvalidRequest) as caught:
                table.put(odd_rows(good | {name: value}), mode)
            assert caught.value.code is ErrorCode.CHECK_VIOLATION, caught.value.message
    assert table.scan().num_rows == 1
    for change in (
        SetCheck("short", "took < INTERVAL 1 SECOND"),
        SetConstraint("half", {"maximum": 0}),
    ):
        with violated():
            table.alter(change)


def odd_rows(row: dict[str, Any]) -> pa.Table:
    """One row; the UUID as text."""
    arrays = [
        pa.array([row["id"]]),
        pa.array([row["took"]], pa.duration("ms")),
        pa.array([pa.MonthDayNano(row["span"])]),
        pa.array([row["at"]], pa.time64("ns")),
        pa.array([row["kind"]]),
        pa.array([row["half"]], pa.float16()),
        pa.array([row["pair"]], pa.list_(pa.int64(), 2)),
    ]
    return pa.Table.from_arrays(arrays, ODD.names)


def test_temporary_tables_have_rules(lake: LakeEngine) -> None:
    temporary = lake.temporary_tables("s1")
    ref = TableRef("temp", "main", "t")
    temporary.create_table(
        ref, TableSpec(SCHEMA, ("id",), constraints=CONSTRAINTS, checks=CHECKS), AUTHOR
    )
    table = TableHandle(temporary)
    table.put(GOOD)
    for row, told in BAD:
        for mode in ("append", "overwrite", "upsert", "merge"):
            with violated(**told):
                table.put([row], mode)
        with violated(**told):
            temporary.insert_rows(ref, SCHEMA.names, SqlRequest(values_of(row)), AUTHOR)
    with violated(constraint="minimum"):
        table.update({"amount": "-1"})
    inner = temporary.sql_name(ref).sql
    with violated(constraint="minimum"):
        change = SqlRequest(f"SELECT rowid, -1 FROM {inner}")
        temporary.update_rows(ref, ("amount",), change, None, AUTHOR)
    with violated(constraint="minimum"):
        merge = f"MERGE INTO {inner} AS t USING (SELECT 1 AS i) ON t.id = i "
        merge += "WHEN MATCHED THEN UPDATE SET amount = -1"
        temporary.merge_rows(ref, SqlRequest(merge), AUTHOR)
    assert table.ids() == [1, 2, 3]
    assert table.update({"amount": "1"}).rows_updated == 3
    with pytest.raises(InvalidRequest):
        temporary.create_table(
            TableRef("temp", "main", "u"), TableSpec(SCHEMA, checks={"x": "id +"}), AUTHOR
        )


def test_rows_are_judged_without_being_written(lake: LakeEngine, ruled: TableHandle) -> None:
    ruled.alter(SetDefault("amount", "20.0"))

    def judged(mode: IngestMode, *rows: dict[str, Any]) -> dict[int, Violation]:
        names = list(rows[0])
        schema = pa.schema([SCHEMA.field(name) for name in names])
        batch = pa.RecordBatch.from_pylist(list(rows), schema=schema)
        return dict(lake.violations(ruled.ref, mode, batch))

    found = judged(IngestMode.APPEND, *({"name": None, "amount": None} | row for row, _ in BAD))
    assert found == {
        at: Violation(told.get("constraint") or told["check"], told.get("column"))
        for at, (_, told) in enumerate(BAD)
    }
    lonely = ({"id": 1, "name": "x"}, {"id": 2, "name": None})
    assert judged(IngestMode.UPSERT, *lonely) == {1: Violation("cheap")}
    # A row that is there keeps its amount.
    assert judged(IngestMode.MERGE, *lonely) == {}
    assert judged(IngestMode.MERGE, {"id": 1, "name": "too long"}) == {
        0: Violation("maxLength", "name")
    }
    assert (
        lake.violations(
            TableHandle(lake, "u").create().ref, IngestMode.APPEND, batches_of([1], 1)[0]
        )
        == {}
    )
    assert ruled.ids() == [1, 2, 3]


def test_a_change_and_what_is_said_of_it_are_one(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of the two cannot be written neither is."""
    engine = open_lake()
    table = TableHandle(engine).create(checks=CHECKS)
    with monkeypatch.context() as broken:
        broken.setattr(registry.Registry, "_write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            table.alter(AddColumn(pa.field("n", pa.int8())), DropCheck("cheap"))
    engine.close()
    table = TableHandle(open_lake())
    assert (table.schema().names, dict(table.spec().checks)) == (SCHEMA.names, CHECKS)
    table.put(GOOD)
    assert table.scan().num_rows == 3


def test_rows_that_come_back(lake: LakeEngine, ruled: TableHandle) -> None:
    """What was deleted softly must meet the rules that the table has by now."""
    gone = lake.soft_delete(ruled.ref, "id = 1", AUTHOR)
    ruled.alter(SetCheck("late", "id > 1"))
    with violated(check="late"):
        lake.undelete(ruled.ref, gone.snapshot, False, AUTHOR)
    ruled.alter(DropCheck("late"))
    lake.undelete(ruled.ref, gone.snapshot, False, AUTHOR)
    assert ruled.ids() == [1, 2, 3]


def test_rules_outlive_the_process(open_lake: OpenLake) -> None:
    engine = open_lake()
    TableHandle(engine).create(constraints=CONSTRAINTS, checks=CHECKS)
    engine.close()
    table = TableHandle(open_lake())
    assert dict(table.spec().checks) == CHECKS
    with violated(column="name"):
        table.put([BAD[2][0]])


def test_a_lake_of_the_first_release(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch, fresh_lakes: None
) -> None:
    """Its own table had no column for rules; it gets one when it is opened."""
    with monkeypatch.context() as old:
        columns = registry._TABLES["tables"].removesuffix(", properties VARCHAR")
        run = WriteTransaction.run

        def run_old(self: WriteTransaction, sql: str, *more: Any) -> Any:
            return [] if "ADD COLUMN IF NOT EXISTS properties" in sql else run(self, sql, *more)

        old.setitem(registry._TABLES, "tables", columns)
        old.setattr(registry, "_COLUMNS", registry._FIRST_COLUMNS)
        old.setattr(registry, "encoded", lambda spec: encoded(spec)[:-1])
        old.setattr(registry, "decoded", lambda row: decoded((*row, None)))
        old.setattr(registry.Registry, "_first_snapshot_of", lambda *_: 0)
        old.setattr(WriteTransaction, "run", run_old)
        engine = open_lake()
        table = TableHandle(engine).create(key=("id",))
        table.put([{"id": 1}])
        before = engine.snapshot()
        engine.close()
    engine = open_lake()
    table = TableHandle(engine)
    assert table.spec().key == ("id",)
    assert (dict(table.spec().constraints), dict(table.spec().checks)) == ({}, {})
    table.alter(SetCheck("few", "id < 9"))
    assert dict(table.spec(before).checks) == {}
    assert table.scan(version=before).num_rows == 1
    engine.close()
    engine = open_lake()
    table = TableHandle(engine)
    # Read from the lake, where the version has no such column.
    assert dict(table.spec(before).checks) == {}
    assert table.spec(before).key == ("id",)
    with violated(check="few"):
        table.put([{"id": 9}])
