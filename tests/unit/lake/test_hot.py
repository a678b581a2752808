"""Answers of repeated scans: held while they are right, within their bound, never past a change."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from flight_server.engines.lake.engine import LakeEngine
from flight_server.model import AddColumn, ScanRequest
from flight_server.testing.conformance.handles import THREE, TableHandle
from tests.fix_lake import OpenLake


def hot(lake: LakeEngine) -> int:
    return lake._scans._hot.bytes


def test_the_second_scan_is_kept_and_the_third_is_hot(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    table.put(THREE)
    first = table.scan()
    assert hot(lake) == 0
    second = table.scan()
    held = hot(lake)
    assert held > 0
    assert table.scan().equals(second)
    assert second.equals(first)
    assert hot(lake) == held


def test_a_commit_to_the_table_ends_it_and_one_to_another_does_not(lake: LakeEngine) -> None:
    table, other = TableHandle(lake).create(), TableHandle(lake, "other").create()
    table.put(THREE)
    for _ in range(3):
        assert table.scan().num_rows == 3
    batches = next(iter(lake._scans._hot._answers.values())).batches
    other.put(THREE)
    stream = lake.scan(table.ref, ScanRequest())
    assert next(iter(stream)) is batches[0]
    changes: list[Callable[[], object]] = [
        lambda: table.put([{"id": 4}]),
        lambda: table.update({"name": "'x'"}, "id = 1"),
        lambda: table.delete("id = 2"),
        lambda: table.alter(AddColumn(pa.field("more", pa.int8()))),
    ]
    for change in changes:
        before = table.scan()
        change()
        assert not table.scan().equals(before)


def test_columns_and_versions_are_told_apart(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    table.put(THREE)
    old = lake.snapshot()
    table.put([{"id": 4}])
    for _ in range(3):
        assert table.scan(columns=("id",)).column_names == ["id"]
        assert table.scan(columns=("name",)).column_names == ["name"]
        assert table.scan(version=old).num_rows == 3
        assert table.scan().num_rows == 4


def test_what_is_windowed_is_not_kept(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    table.put(THREE)
    for _ in range(3):
        table.scan(filter="id > 1")
        table.scan(limit=2)
        table.scan(order_by="id")
    assert hot(lake) == 0


def test_the_bound(open_lake: OpenLake) -> None:
    engine = open_lake(hot_bytes_max=10_000)
    tables = [TableHandle(engine, f"t{number}") for number in range(4)]
    for table in tables:
        table.put({"id": list(range(400))}, "create")
    for _ in range(3):
        for table in tables:
            assert table.scan().num_rows == 400
    assert 3_200 <= hot(engine) <= 10_000
    large = TableHandle(engine, "large")
    large.put({"id": list(range(1_000))}, "create")
    before = hot(engine)
    for _ in range(3):
        assert large.scan().num_rows == 1_000
    assert hot(engine) == before


def test_a_scan_that_is_left_early_is_not_kept(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    table.put(THREE)
    table.scan()
    stream = lake.scan(table.ref, ScanRequest())
    next(iter(stream))
    stream.close()
    assert hot(lake) == 0


def test_turned_off(open_lake: OpenLake) -> None:
    engine = open_lake(hot_bytes_max=0)
    table = TableHandle(engine).create()
    table.put(THREE)
    for _ in range(3):
        assert table.scan().num_rows == 3
    assert hot(engine) == 0
