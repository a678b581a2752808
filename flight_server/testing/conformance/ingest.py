"""What each mode of ingest does to a table."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import AlreadyExists, ErrorCode, NotFound
from flight_server.model import Commit
from flight_server.testing.conformance.handles import (
    SCHEMA,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    table_of,
    unordered,
)


class IngestTests(EngineCase):
    """Rows coming in."""

    def test_create(self, engine: Any) -> None:
        """The stream's own schema makes the table."""
        table = TableHandle(engine)
        commit = table.put(table_of(THREE), "create", key=("id",))
        assert (commit.rows, commit.rows_inserted, commit.offset) == (3, 3, 3)
        assert table.schema().equals(SCHEMA, check_metadata=True)
        assert table.spec().key == ("id",)
        assert table.rows() == unordered(THREE)

    def test_create_over_a_table(self, table: TableHandle) -> None:
        """Is refused."""
        with refused(ErrorCode.ALREADY_EXISTS, "t'", error=AlreadyExists):
            table.put([{"id": 4}], "create")
        assert table.rows() == unordered(THREE)

    def test_create_that_fails(self, engine: Any) -> None:
        """Leaves no table."""
        table = TableHandle(engine)
        with refused(ErrorCode.INVALID_DATA, "'id'"):
            table.put(pa.Table.from_arrays([[None]], schema=pa.schema([SCHEMA.field(0)])), "create")
        assert engine.tables("main") == []

    def test_append(self, table: TableHandle) -> None:
        """Rows are added; a key does not keep them out."""
        commit = table.put([{"id": 3, "name": "again"}, {"id": 4, "name": "four"}])
        assert (commit.rows, commit.rows_inserted, commit.rows_updated) == (2, 2, 0)
        assert commit.offset == 2
        assert not commit.duplicate
        assert table.ids() == [1, 2, 3, 3, 4]

    @pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "merge"])
    def test_create_if_missing(self, engine: Any, mode: str) -> None:
        """The first stream makes the table, the next finds it."""
        table = TableHandle(engine)
        table.put([{"id": 1, "name": "one"}], mode, create_if_missing=True, key=("id",))
        table.put([{"id": 2, "name": "two"}], mode, create_if_missing=True, key=("id",))
        assert table.ids() == ([2] if mode == "overwrite" else [1, 2])

    @pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "merge"])
    def test_ingest_into_a_missing_table(self, engine: Any, mode: str) -> None:
        """Is named, where nobody asked to make it."""
        with refused(ErrorCode.TABLE_NOT_FOUND, "t'", error=NotFound):
            TableHandle(engine).put([{"id": 1}], mode, key=("id",))

    def test_overwrite(self, table: TableHandle) -> None:
        """The rows that come are all there is afterwards; schema and key stay."""
        commit = table.put({"id": [7, 8]}, "overwrite")
        assert (commit.rows, commit.rows_inserted) == (2, 2)
        assert table.ids() == [7, 8]
        assert table.schema().equals(SCHEMA, check_metadata=True)
        assert table.spec().key == ("id",)

    def test_overwrite_with_nothing(self, table: TableHandle) -> None:
        """Empties the table."""
        table.put([], "overwrite")
        assert table.rows() == []

    def test_upsert(self, table: TableHandle) -> None:
        """Rows of a known key are replaced whole, others inserted."""
        rows = pa.table({"id": [2, 4], "amount": [2.5, 4.5]})
        commit = table.put(rows, "upsert")
        assert (commit.rows, commit.rows_inserted, commit.rows_updated) == (2, 1, 1)
        assert table.rows() == unordered(
            [
                THREE[0],
                {"id": 2, "name": None, "amount": 2.5},
                THREE[2],
                {"id": 4, "name": None, "amount": 4.5},
            ]
        )

    def test_merge(self, table: TableHandle) -> None:
        """Only the columns that came are set; inserted rows get defaults in the others."""
        commit = table.put({"amount": [2.5, 4.5], "id": [2, 4]}, "merge")
        assert (commit.rows, commit.rows_inserted, commit.rows_updated) == (2, 1, 1)
        assert table.rows() == unordered(
            [
                THREE[0],
                {"id": 2, "name": "two", "amount": 2.5},
                THREE[2],
                {"id": 4, "name": None, "amount": 4.5},
            ]
        )

    def test_merge_sets_nulls_that_came(self, table: TableHandle) -> None:
        """A null that was sent is a value; a column that was not sent is not touched."""
        table.put({"id": [1], "name": pa.array([None], pa.string())}, "merge")
        assert table.rows(filter="id = 1") == [{"id": 1, "name": None, "amount": 1.5}]

    def test_merge_with_the_key_alone(self, table: TableHandle) -> None:
        """Inserts what is not there; nothing is set, so nothing is updated."""
        commit = table.put({"id": [1, 9]}, "merge")
        assert (commit.rows, commit.rows_inserted, commit.rows_updated) == (2, 1, 0)
        assert table.rows() == unordered([*THREE, {"id": 9, "name": None, "amount": None}])

    @pytest.mark.parametrize("mode", ["append", "upsert", "merge", "overwrite"])
    def test_a_schema_without_batches(self, engine: Any, mode: str) -> None:
        """Makes or keeps the table, and is acknowledged with no rows."""
        table = TableHandle(engine)
        answers: list[Commit] = []
        for _ in range(2):
            empty = pa.RecordBatchReader.from_batches(SCHEMA, [])
            request: dict[str, Any] = {"create_if_missing": True, "key": ("id",)}
            answer = table.stream(empty, mode, acknowledge=answers.append, **request)
            assert (answer.rows, answer.rows_inserted, answer.offset) == (0, 0, 0)
            assert answers.pop() == answer
        assert table.schema().equals(SCHEMA, check_metadata=True)

    def test_batches_without_rows(self, table: TableHandle) -> None:
        """Count for nothing, between others or alone."""
        one, none = table_of([{"id": 4}]).to_batches()[0], SCHEMA.empty_table().to_batches()
        empty = pa.RecordBatch.from_pylist([], schema=SCHEMA)
        for batches in ([empty], [empty, one, empty, *none, empty]):
            reader = pa.RecordBatchReader.from_batches(SCHEMA, batches)
            assert table.stream(reader).rows == sum(batch.num_rows for batch in batches)
        assert table.ids() == [1, 2, 3, 4]

    def test_columns_are_matched_by_name(self, table: TableHandle) -> None:
        """Whatever their order."""
        table.put({"amount": [4.0], "name": ["four"], "id": [4]})
        assert table.rows(filter="id = 4") == [{"id": 4, "name": "four", "amount": 4.0}]

    def test_columns_left_out_get_their_default(self, engine: Any) -> None:
        """And null where they have none; a null that was sent stays null."""
        table = TableHandle(engine).create(defaults={"name": "'unknown'"})
        table.put({"id": [1]})
        table.put({"id": [2], "name": pa.array([None], pa.string())})
        assert table.rows() == unordered(
            [
                {"id": 1, "name": "unknown", "amount": None},
                {"id": 2, "name": None, "amount": None},
            ]
        )

    def test_defaults_in_an_upsert(self, engine: Any) -> None:
        """A row that is replaced gets the default where a column was left out."""
        table = TableHandle(engine).create(defaults={"name": "'unknown'"}, key=("id",))
        table.put([{"id": 1, "name": "one"}])
        table.put({"id": [1, 2]}, "upsert")
        assert {row["name"] for row in table.rows()} == {"unknown"}

    @pytest.mark.parametrize(
        ("kind", "literal", "value"),
        [
            (pa.int16(), "-5", -5),
            (pa.float64(), "2.5", 2.5),
            (pa.bool_(), "true", True),
            (pa.string(), "'a ''quote'''", "a 'quote'"),
        ],
        ids=str,
    )
    def test_defaults_of_several_types(
        self, engine: Any, kind: pa.DataType, literal: str, value: object
    ) -> None:
        """Are values of their column's type."""
        schema = pa.schema([("id", pa.int64()), pa.field("v", kind, nullable=False)])
        table = TableHandle(engine).create(schema, defaults={"v": literal})
        table.put({"id": [1]})
        assert table.rows() == [{"id": 1, "v": value}]

    def test_many_rows(self, engine: Any) -> None:
        """In many batches, all of them and in one commit."""
        table = TableHandle(engine).create()
        before = table.put([]).snapshot
        count = 200_000
        rows = pa.table({"id": range(count), "amount": pa.array(range(count)).cast("float64")})
        reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(10_000))
        commit = table.stream(reader)
        assert (commit.rows, commit.offset) == (count, count)
        assert commit.snapshot > before
        assert table.scan(columns=("id",)).num_rows == count
        assert table.ids(filter="id >= 199998") == [199_998, 199_999]
