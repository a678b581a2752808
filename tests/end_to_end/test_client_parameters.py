"""Parameters from Python: each arrives with its type, or is refused by its name."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import InvalidRequest
from flight_server.testing.server import LocalServer

EAST = dt.timezone(dt.timedelta(hours=2))
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.fixture
def ours(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as client:
        yield client


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        (np.int64(9), np.int64(10)),
        (np.uint8(9), 10),
        (np.float32(9.5), Decimal("10.25")),
        (Decimal("9.5"), Decimal("10.25")),
        (Decimal("9"), 2**70),
        (dt.date(2024, 1, 9), dt.datetime(2024, 1, 9, 1)),
        (dt.datetime(2024, 1, 3, 12, tzinfo=EAST), dt.datetime(2024, 1, 3, 11, tzinfo=dt.UTC)),
        (np.datetime64("2024-01-09"), np.datetime64("2024-01-09T01:00:00")),
        (dt.time(9, 30), dt.time(10)),
        (dt.timedelta(hours=9), dt.timedelta(hours=10)),
        (pd.Timestamp("2024-01-09 00:00:00.000000001"), pd.Timestamp("2024-01-09 00:00:00.1")),
        ([np.int64(9)], [np.int64(10)]),
        ((Decimal("9"), Decimal("9.5")), [Decimal("10"), None]),
        (np.array([9, 1]), np.array([10, 1])),
    ],
    ids=str,
)
def test_values_compare_as_what_they_are(ours: Client, smaller: Any, larger: Any) -> None:
    (row,) = ours.sql(
        "select $a < $b as less, $a > $b as more", {"a": smaller, "b": larger}
    ).to_pylist()
    assert row == {"less": True, "more": False}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"\x00b", "BLOB"),
        (bytearray(b"b"), "BLOB"),
        (ID, "UUID"),
        ([ID, None], "UUID[]"),
        (Decimal("1.50"), "DECIMAL(3,2)"),
        (np.float32(1.5), "FLOAT"),
        (np.bool_(True), "BOOLEAN"),
        (float("inf"), "DOUBLE"),
        (dt.datetime(2024, 1, 3, 12, tzinfo=EAST), "TIMESTAMP WITH TIME ZONE"),
        (dt.timedelta(hours=9), "INTERVAL"),
        ({"a": Decimal("1.5"), "b": [b"x"]}, "STRUCT(a DECIMAL(2,1), b BLOB[])"),
        (pa.scalar(7, pa.int16()), "SMALLINT"),
        (pd.NaT, "TIMESTAMP_S"),
        (7, "INTEGER"),
        ("x", "VARCHAR"),
    ],
    ids=str,
)
def test_values_have_their_types(ours: Client, value: Any, kind: str) -> None:
    (row,) = ours.sql("select typeof(?) as kind", [value]).to_pylist()
    assert row == {"kind": kind}


def test_statements_and_plans_take_them_too(ours: Client, name: str) -> None:
    ours.execute(f"create table {name} (n integer, b blob, seen timestamptz)")
    moment = dt.datetime(2024, 1, 3, 12, tzinfo=EAST)
    ours.execute(f"insert into {name} values ($1, $2, $3)", [np.int32(1), b"\x01b", moment])
    ours.execute(f"update {name} set b = $new where b = $old", {"old": b"\x01b", "new": b"\x02"})
    found = {"b": b"\x02", "seen": moment}
    query = f"select n, b, seen from {name} where b = $b and seen = $seen"
    expected = [{"n": 1, "b": b"\x02", "seen": moment}]
    assert ours.sql(query, found).to_pylist() == expected
    assert ours.plan(query, found).open().to_pylist() == expected
    assert name in ours.explain(query, found)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (object(), "object"),
        ({1, 2}, "set"),
        (pl.Series([1]), "polars.Series"),
        (pa.array([1]), "pyarrow.Int64Array"),
        ([1, {2}], "set"),
        (1 + 2j, "complex"),
        (dt.time(1, tzinfo=dt.UTC), "datetime.time"),
        ([1, b"x"], "list"),
        ([dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], "list"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_value_of_sql_is_refused_by_name(ours: Client, value: Any, kind: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ours.sql("select $first, $a", {"first": 1, "a": value})
    assert "'a'" in caught.value.message
    assert f"'{kind}'" in caught.value.message


def test_numbers_of_numpy_are_numbers_everywhere(ours: Client, name: str) -> None:
    ours.put(name, [{"id": i} for i in range(5)])
    ours.put(name, [{"id": 5}])
    first: Any = np.int64(ours.versions(name)[-1].snapshot)
    assert ours.scan(name, version=first).to_arrow().num_rows == 5
    with pytest.raises(InvalidRequest, match=r"'object'.* cannot be sent"):
        ours.scan(name, limit=object())  # type: ignore[arg-type]  # what is to be refused
