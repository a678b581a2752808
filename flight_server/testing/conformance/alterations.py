"""Changes of columns and properties: what each does, what each refuses."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import AlreadyExists, ErrorCode, NotFound, PixelflightError
from flight_server.model import (
    AddColumn,
    DropColumn,
    RenameColumn,
    RetypeColumn,
    SetComment,
    SetDefault,
    SetKey,
    SetNullable,
    SetPartitioning,
)
from flight_server.testing.conformance.handles import (
    SCHEMA,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    table_of,
    unordered,
)

NOTE = pa.field("note", pa.string(), metadata={"k": "v"})

REFUSALS: tuple[tuple[Any, ErrorCode, type[PixelflightError] | None], ...] = (
    (AddColumn(pa.field("NAME", pa.int8())), ErrorCode.ALREADY_EXISTS, AlreadyExists),
    (AddColumn(pa.field("_row_id", pa.int8())), ErrorCode.INVALID_NAME, None),
    (AddColumn(pa.field("n", pa.int8(), nullable=False)), ErrorCode.INVALID_DATA, None),
    (AddColumn(pa.field("n", pa.int8()), default="1 +"), ErrorCode.INVALID_SQL, None),
    (DropColumn("nope"), ErrorCode.COLUMN_NOT_FOUND, None),
    (DropColumn("id"), ErrorCode.INVALID_REQUEST, None),
    (RenameColumn("nope", "x"), ErrorCode.COLUMN_NOT_FOUND, None),
    (RenameColumn("name", "Amount"), ErrorCode.ALREADY_EXISTS, AlreadyExists),
    (RenameColumn("name", ""), ErrorCode.INVALID_NAME, None),
    (RetypeColumn("nope", pa.int64()), ErrorCode.COLUMN_NOT_FOUND, None),
    (RetypeColumn("name", pa.int64()), ErrorCode.SCHEMA_MISMATCH, None),
    (SetDefault("nope", "1"), ErrorCode.COLUMN_NOT_FOUND, None),
    (SetDefault("amount", "1 +"), ErrorCode.INVALID_SQL, None),
    (SetNullable("nope", True), ErrorCode.COLUMN_NOT_FOUND, None),
    (SetNullable("amount", False), ErrorCode.INVALID_DATA, None),
    (SetKey(("nope",)), ErrorCode.COLUMN_NOT_FOUND, None),
    (SetPartitioning(("nope",)), ErrorCode.COLUMN_NOT_FOUND, None),
)


class AlterationTests(EngineCase):
    """Schema changes."""

    def test_add_column(self, table: TableHandle) -> None:
        """Rows that were there have null in it; rows that come may have a value."""
        table.alter(AddColumn(NOTE))
        assert table.schema().equals(SCHEMA.append(NOTE), check_metadata=True)
        assert table.rows() == unordered([{**row, "note": None} for row in THREE])
        table.put({"id": [4], "note": ["new"]})
        assert table.rows(filter="id = 4")[0]["note"] == "new"

    def test_add_column_with_default(self, table: TableHandle) -> None:
        """Rows that were there get it, and so do those that leave the column out."""
        field = pa.field("level", pa.int16(), nullable=False)
        table.alter(AddColumn(field, default="7"))
        table.put([{"id": 4}])
        assert {row["level"] for row in table.rows()} == {7}
        assert dict(table.spec().defaults) == {"level": "7"}
        assert table.schema().field("level").equals(field, check_metadata=True)

    def test_add_required_column_to_an_empty_table(self, engine: Any) -> None:
        """Needs no default: no row lacks it."""
        table = TableHandle(engine).create()
        table.alter(AddColumn(pa.field("n", pa.int8(), nullable=False)))
        assert not table.schema().field("n").nullable

    def test_drop_column(self, table: TableHandle) -> None:
        """The others stay as they were."""
        table.alter(DropColumn("name"))
        assert table.schema().equals(SCHEMA.remove(1), check_metadata=True)
        kept = [{"id": row["id"], "amount": row["amount"]} for row in THREE]
        assert table.rows() == unordered(kept)

    def test_a_column_that_comes_back_is_new(self, table: TableHandle) -> None:
        """Its old values do not return with its name."""
        table.alter(DropColumn("name"))
        table.alter(AddColumn(pa.field("name", pa.int32())))
        assert {row["name"] for row in table.rows()} == {None}

    def test_the_last_column_stays(self, engine: Any) -> None:
        """A table has at least one."""
        table = TableHandle(engine).create(pa.schema([("only", pa.int64())]))
        with refused(ErrorCode.INVALID_REQUEST, "only"):
            table.alter(DropColumn("only"))

    def test_columns_of_key_and_partitioning_stay(self, engine: Any) -> None:
        """They have to be taken out of it first."""
        table = TableHandle(engine).create(key=("id",), partition_by=("name",))
        for name in ("id", "name"):
            with refused(ErrorCode.INVALID_REQUEST, name):
                table.alter(DropColumn(name))
        table.alter(SetKey(()), SetPartitioning(()), DropColumn("id"), DropColumn("name"))
        assert table.schema().names == ["amount"]

    def test_rename_column(self, engine: Any) -> None:
        """Values, place, metadata stay; key, partitioning and defaults follow."""
        schema = pa.schema([pa.field("a", pa.date32(), metadata={"k": "v"}), ("b", pa.int64())])
        table = TableHandle(engine).create(
            schema, key=("a",), partition_by=("year(a)", "b"), defaults={"b": "5"}
        )
        table.put(pa.table({"a": pa.array([1], pa.date32())}))
        table.alter(RenameColumn("A", "x y"), RenameColumn("b", "B"))
        spec = table.spec()
        assert spec.schema.field(0).equals(schema.field(0).with_name("x y"), check_metadata=True)
        assert (spec.key, spec.partition_by) == (("x y",), ("year(x y)", "B"))
        assert dict(spec.defaults) == {"B": "5"}
        assert table.scan().column("B").to_pylist() == [5]

    def test_two_columns_swap_names(self, table: TableHandle) -> None:
        """Several changes in one go, each on top of the last."""
        table.alter(
            RenameColumn("name", "other"),
            RenameColumn("amount", "name"),
            RenameColumn("other", "amount"),
        )
        swapped = [{"id": row["id"], "amount": row["name"], "name": row["amount"]} for row in THREE]
        assert table.rows(columns=("id", "amount", "name")) == unordered(swapped)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (pa.int32(), pa.int64()),
            (pa.uint8(), pa.int16()),
            (pa.float32(), pa.float64()),
            (pa.string(), pa.large_string()),
        ],
        ids=str,
    )
    def test_retype_column(self, engine: Any, old: pa.DataType, new: pa.DataType) -> None:
        """To a type that loses nothing."""
        table = TableHandle(engine).create(pa.schema([("v", old), ("w", pa.bool_())]))
        values = pa.array([1, None, 100]).cast(old)
        table.put(pa.table({"v": values}))
        table.alter(RetypeColumn("v", new))
        assert table.schema().field("v").type == new
        expected = values.cast(new).to_pylist()
        assert sorted(map(repr, table.scan()["v"].to_pylist())) == sorted(map(repr, expected))
        table.put(pa.table({"v": values.cast(new)}))
        assert table.scan().num_rows == 6

    @pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
    def test_retype_a_column_that_was_added(self, table: TableHandle, at_once: bool) -> None:
        """Rows that are older than the column keep what it was added with."""
        added = AddColumn(pa.field("n", pa.int32()), default="7")
        wider = (RetypeColumn("n", pa.int64()), SetDefault("n", "8"))
        for changes in ((added, *wider),) if at_once else ((added,), wider):
            table.alter(*changes)
        table.update({"amount": "0.0"}, "id = 1")
        table.put({"id": [4]})
        assert {row["id"]: row["n"] for row in table.rows()} == {1: 7, 2: 7, 3: 7, 4: 8}

    def test_retype_a_column_in_the_place_of_another(self, table: TableHandle) -> None:
        """A column that has the name of one that was dropped is another one."""
        table.alter(AddColumn(pa.field("n", pa.int32())))
        table.alter(
            DropColumn("n"),
            AddColumn(pa.field("n", pa.int32()), default="7"),
            RetypeColumn("n", pa.int64()),
            SetDefault("n", None),
        )
        assert [row["n"] for row in table.rows()] == [7, 7, 7]

    def test_retype_that_would_lose(self, engine: Any) -> None:
        """Is refused where a value does not fit."""
        table = TableHandle(engine).create(pa.schema([("v", pa.int64())]))
        table.put({"v": [1, 2**40]})
        with pytest.raises(PixelflightError) as caught:
            table.alter(RetypeColumn("v", pa.int32()))
        assert caught.value.code in (ErrorCode.INVALID_DATA, ErrorCode.SCHEMA_MISMATCH)
        assert "'v'" in caught.value.message
        assert table.schema().field("v").type == pa.int64()

    def test_set_default(self, table: TableHandle) -> None:
        """For rows that come from now on; None takes it away."""
        table.alter(SetDefault("name", "'it''s me'"))
        table.put({"id": [4]})
        table.alter(SetDefault("name", None))
        table.put({"id": [5]})
        names = {row["id"]: row["name"] for row in table.rows()}
        assert names == {1: "one", 2: "two", 3: None, 4: "it's me", 5: None}
        assert dict(table.spec().defaults) == {}

    def test_set_nullable(self, table: TableHandle) -> None:
        """Both ways."""
        table.alter(SetNullable("id", True))
        table.put({"id": pa.array([None], pa.int64())})
        assert table.schema().field("id").nullable
        table.delete("id IS NULL")
        table.alter(SetNullable("id", False))
        assert not table.schema().field("id").nullable
        with refused(ErrorCode.INVALID_DATA, "'id'"):
            table.put({"id": pa.array([None], pa.int64())})

    def test_set_key(self, table: TableHandle) -> None:
        """Upserts match by it from now on."""
        table.alter(SetKey(("Name",)))
        assert table.spec().key == ("name",)
        commit = table.put(table_of([{"id": 9, "name": "one", "amount": 9.0}]), "upsert")
        assert (commit.rows_inserted, commit.rows_updated) == (0, 1)
        assert table.ids() == [2, 3, 9]

    def test_set_comment_and_partitioning(self, table: TableHandle) -> None:
        """Both are told; rows are written as before."""
        table.alter(SetComment("a 'comment'"), SetPartitioning(("name",)))
        spec = table.spec()
        assert (spec.comment, spec.partition_by) == ("a 'comment'", ("name",))
        table.put([{"id": 4, "name": "one"}])
        assert table.ids(filter="name = 'one'") == [1, 4]
        table.alter(SetPartitioning(()))
        assert table.spec().partition_by == ()

    @pytest.mark.parametrize(
        ("change", "code", "error"), REFUSALS, ids=[repr(change) for change, _, _ in REFUSALS]
    )
    def test_alterations_that_cannot_be_made(
        self,
        table: TableHandle,
        change: Any,
        code: ErrorCode,
        error: type[PixelflightError] | None,
    ) -> None:
        """A change that cannot be made leaves the table alone, with those that came before it."""
        with pytest.raises(error or PixelflightError) as caught:
            table.alter(AddColumn(NOTE), change)
        assert caught.value.code is code, caught.value.message
        assert table.schema().equals(SCHEMA, check_metadata=True)
        assert table.rows() == unordered(THREE)

    def test_alter_a_missing_table(self, engine: Any) -> None:
        """Is named."""
        with refused(ErrorCode.TABLE_NOT_FOUND, "nope", error=NotFound):
            TableHandle(engine, "nope").alter(SetComment("x"))
