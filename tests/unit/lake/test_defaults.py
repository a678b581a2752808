"""Defaults of columns: for rows that are there when a column comes, and for rows without it."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import AddColumn, RetypeColumn
from flight_server.query import check_literal
from flight_server.testing.conformance.handles import THREE, TableHandle

CASES = [
    (pa.int64(), "-5", -5),
    (pa.string(), "'it''s'", "it's"),
    (pa.bool_(), "true", True),
    (pa.float64(), "1e0", 1.0),
    (pa.date32(), "DATE '2020-01-01'", dt.date(2020, 1, 1)),
    (pa.timestamp("us"), "TIMESTAMP '2020-01-01 12:00'", dt.datetime(2020, 1, 1, 12)),
    (pa.int8(), "NULL", None),
]


@pytest.mark.parametrize(("kind", "text", "value"), CASES)
def test_a_column_that_is_added(
    lake: LakeEngine, kind: pa.DataType, text: str, value: object
) -> None:
    table = TableHandle(lake).create(key=("id",))
    table.put(THREE)
    table.alter(AddColumn(pa.field("more", kind), check_literal(text)))
    table.put([{"id": 4}])
    table.put({"id": [5]}, "upsert")
    table.put({"id": [6], "name": ["six"]}, "merge")
    assert table.scan()["more"].to_pylist() == [value] * 6


def test_a_clock_goes_on(lake: LakeEngine) -> None:
    """Rows that were there have the time of the change, rows that come their own."""
    table = TableHandle(lake).create()
    table.put([{"id": 1}, {"id": 2}])
    table.alter(AddColumn(pa.field("at", pa.timestamp("us", "UTC")), check_literal("now()")))
    table.put([{"id": 3}])
    first, second, third = table.scan(order_by="id")["at"].to_pylist()
    assert first == second < third


def test_a_new_type_keeps_the_default(lake: LakeEngine) -> None:
    table = TableHandle(lake).create(pa.schema([("id", pa.int64()), ("n", pa.int32())]))
    table.alter(AddColumn(pa.field("when", pa.date32()), check_literal("DATE '2020-01-01'")))
    table.alter(RetypeColumn("when", pa.timestamp("us")))
    table.put(pa.table({"id": [1]}))
    assert table.scan()["when"].to_pylist() == [dt.datetime(2020, 1, 1)]


def test_a_type_that_is_not_come_to_is_told_as_such(lake: LakeEngine) -> None:
    """Nobody sent rows, so nobody is asked to cast them."""
    table = TableHandle(lake).create(pa.schema([("id", pa.int64())]))
    with pytest.raises(InvalidRequest, match="'id' \\(int64\\) cannot become string") as caught:
        table.alter(RetypeColumn("id", pa.string()))
    assert caught.value.code is ErrorCode.SCHEMA_MISMATCH
    assert "Add a column of the new type" in caught.value.message
