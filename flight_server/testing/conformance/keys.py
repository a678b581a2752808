"""Keys: what upsert and merge match by, and what they refuse."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.testing.conformance.handles import (
    SCHEMA,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    unordered,
)

KEYS = (
    pa.array(["a", "b"]),
    pa.array(["", " "]),
    pa.array([b"\x00", b"\x00\x00"]),
    pa.array([dt.date(2020, 1, 1), dt.date(1960, 1, 1)]),
    pa.array([0, 1], pa.timestamp("us", "UTC")),
    pa.array([Decimal("1.10"), Decimal("-1.10")]),
    pa.array([False, True]),
    pa.array([0, 2**64 - 1], pa.uint64()),
    pa.array(["x", "y"]).dictionary_encode(),
)


# On each test and not on the class: a mark of a class would spread to all that inherit from it.
both_modes = pytest.mark.parametrize("mode", ["upsert", "merge"])


class KeyTests(EngineCase):
    """Matching by key."""

    @both_modes
    def test_two_rows_of_one_key(self, table: TableHandle, mode: str) -> None:
        """In one stream are refused, also where they come in different batches."""
        rows = pa.table({"id": [4, 5, 4]})
        with refused(ErrorCode.INVALID_DATA, "'id'"):
            table.put(rows, mode)
        reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(1))
        with refused(ErrorCode.INVALID_DATA, "'id'"):
            table.stream(reader, mode)
        assert table.rows() == unordered(THREE)

    @both_modes
    def test_a_null_in_the_key(self, table: TableHandle, mode: str) -> None:
        """Is refused, whether or not the column allows nulls."""
        with refused(ErrorCode.INVALID_DATA, "'name'"):
            table.put([{"id": 4, "name": None}], mode, key=("name",))
        with refused(ErrorCode.INVALID_DATA, "'id'"):
            table.put({"id": pa.array([None], pa.int64())}, mode)
        assert table.rows() == unordered(THREE)

    @both_modes
    def test_no_key(self, engine: Any, mode: str) -> None:
        """Neither the table's nor the request's: refused, saying what is missing."""
        table = TableHandle(engine).create()
        with refused(ErrorCode.INVALID_REQUEST, "key"):
            table.put(THREE, mode)
        assert table.rows() == []

    @both_modes
    def test_the_key_is_not_a_column(self, table: TableHandle, mode: str) -> None:
        """Of the table, or of the stream."""
        with refused(ErrorCode.COLUMN_NOT_FOUND, "'idd'", "'id'"):
            table.put(THREE, mode, key=("idd",))
        with pytest.raises(InvalidRequest) as caught:
            table.put({"name": ["x"]}, mode)
        assert "'id'" in caught.value.message
        assert table.rows() == unordered(THREE)

    @both_modes
    def test_the_requests_key_comes_first(self, table: TableHandle, mode: str) -> None:
        """Before the table's own; the table's stays what it was."""
        commit = table.put({"id": [9], "name": ["one"]}, mode, key=("NAME",))
        assert (commit.rows_inserted, commit.rows_updated) == (0, 1)
        assert table.ids() == [2, 3, 9]
        assert table.spec().key == ("id",)

    @both_modes
    def test_several_columns(self, engine: Any, mode: str) -> None:
        """Match together."""
        table = TableHandle(engine).create(key=("id", "name"))
        table.put({"id": [1, 1, 2], "name": ["a", "b", "a"], "amount": [1.0, 2.0, 3.0]})
        update = {"id": [1, 2], "name": ["b", "b"], "amount": [20.0, 40.0]}
        commit = table.put(update, mode)
        assert (commit.rows_inserted, commit.rows_updated) == (1, 1)
        found = {(row["id"], row["name"]): row["amount"] for row in table.rows()}
        assert found == {(1, "a"): 1.0, (1, "b"): 20.0, (2, "a"): 3.0, (2, "b"): 40.0}

    @pytest.mark.parametrize("values", KEYS, ids=lambda values: str(values.type))
    @both_modes
    def test_keys_of_several_types(self, engine: Any, mode: str, values: pa.Array) -> None:
        """One of two is known: one is updated, one inserted."""
        schema = pa.schema([pa.field("k", values.type, nullable=False), ("v", pa.int64())])
        table = TableHandle(engine).create(schema, key=("k",))
        table.put(pa.table({"k": values.slice(1), "v": [0]}))
        commit = table.put(pa.table({"k": values, "v": [1, 2]}), mode)
        assert (commit.rows_inserted, commit.rows_updated) == (1, 1)
        found = {repr(row["k"]): row["v"] for row in table.rows()}
        assert found == {repr(values[0].as_py()): 1, repr(values[1].as_py()): 2}

    @both_modes
    def test_the_keys_type_is_cast(self, table: TableHandle, mode: str) -> None:
        """As every column's is."""
        rows = pa.table({"id": pa.array([1, 4], pa.int16()), "name": ["uno", "four"]})
        commit = table.put(rows, mode)
        assert (commit.rows_inserted, commit.rows_updated) == (1, 1)
        assert table.schema().equals(SCHEMA)

    @both_modes
    def test_row_ids_stay(self, table: TableHandle, mode: str) -> None:
        """A row that is matched keeps its id; one that is inserted has a new one."""
        before = {row["id"]: row["_row_id"] for row in table.rows(with_row_id=True)}
        table.put([{"id": 2, "name": "zwei"}, {"id": 4, "name": "vier"}], mode)
        after = {row["id"]: row["_row_id"] for row in table.rows(with_row_id=True)}
        assert {i: after[i] for i in before} == before
        assert after[4] not in before.values()
