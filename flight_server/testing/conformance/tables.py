"""Tables: made from an Arrow schema, listed, described, renamed, dropped."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import AlreadyExists, ErrorCode, NotFound, Unsupported
from flight_server.model import TableRef
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    unordered,
)

RICH = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False, metadata={"unit": "pieces", b"\x00": b"\xff"}),
        pa.field("name", pa.large_string(), metadata={"empty": ""}),
        pa.field("day", pa.date32(), nullable=False),
        pa.field("at", pa.timestamp("ms", "Europe/Berlin")),
        pa.field("kind", pa.dictionary(pa.int8(), pa.string(), ordered=True)),
    ],
    metadata={"owner": "ada", "pandas": '{"index_columns": []}'},
)


class TableTests(EngineCase):
    """Making and finding tables."""

    def test_the_schema_that_came_in_comes_out(self, engine: Any) -> None:
        """Types, nullability, metadata of fields and of the schema; from every way of asking."""
        table = TableHandle(engine).create(RICH)
        assert table.schema().equals(RICH, check_metadata=True)
        assert engine.describe(table.ref).spec.schema.equals(RICH, check_metadata=True)
        assert table.scan().schema.equals(RICH, check_metadata=True)
        narrowed = pa.schema([RICH.field("day"), RICH.field("id")], metadata=RICH.metadata)
        assert table.scan(columns=("day", "id")).schema.equals(narrowed, check_metadata=True)

    def test_the_whole_spec_comes_out(self, engine: Any) -> None:
        """Key, partitioning, defaults, comment."""
        table = TableHandle(engine).create(
            RICH,
            key=("id", "day"),
            partition_by=("year(day)", "name"),
            defaults={"name": "'nobody''s'"},
            comment='What "flew", and when 🛩️',
        )
        spec = table.spec()
        assert (spec.key, spec.partition_by) == (("id", "day"), ("year(day)", "name"))
        assert dict(spec.defaults) == {"name": "'nobody''s'"}
        assert spec.comment == 'What "flew", and when 🛩️'

    def test_describe(self, engine: Any) -> None:
        """Counts and times of a table with rows."""
        table = TableHandle(engine).create()
        empty = engine.describe(table.ref)
        assert (empty.rows, empty.table) == (0, table.ref)
        put = table.put({"id": range(5000), "amount": [float(i) for i in range(5000)]})
        info = engine.describe(table.ref)
        assert (info.rows, info.versions) == (5000, 2)
        assert info.bytes > 1000
        assert info.files >= 1
        assert info.snapshot >= put.snapshot
        assert info.created_at.utcoffset() == dt.timedelta(0)
        assert info.created_at <= info.changed_at <= dt.datetime.now(dt.UTC)

    def test_resolve(self, engine: Any) -> None:
        """The newest version where none is asked for, else the one asked for."""
        table = TableHandle(engine).create()
        put = table.put(THREE)
        assert engine.resolve(table.ref).snapshot >= put.snapshot
        assert engine.resolve(table.ref, put.snapshot).snapshot == put.snapshot
        with refused(ErrorCode.VERSION_NOT_FOUND, "987654", error=NotFound):
            engine.resolve(table.ref, 987654)

    def test_tables_are_listed_in_order(self, engine: Any) -> None:
        """The list of a namespace is sorted."""
        for name in ("zoo", "ant", "mouse"):
            TableHandle(engine, name).create()
        assert [ref.name for ref in engine.tables("main")] == ["ant", "mouse", "zoo"]

    def test_a_tables_name_is_given_once(self, table: TableHandle) -> None:
        """Creating over a table is refused and leaves it alone."""
        with refused(ErrorCode.ALREADY_EXISTS, "t'", error=AlreadyExists):
            table.create(pa.schema([("other", pa.int64())]))
        assert table.rows() == unordered(THREE)

    def test_a_missing_table_is_named(self, engine: Any, table: TableHandle) -> None:
        """By everything that looks for one."""
        missing = TableHandle(engine, "tabel")
        for act in (
            lambda: engine.resolve(missing.ref),
            lambda: engine.describe(missing.ref),
            lambda: missing.scan(),
            lambda: engine.drop_table(missing.ref, AUTHOR),
            lambda: engine.rename_table(missing.ref, TableRef.of("x"), AUTHOR),
            lambda: missing.put(THREE),
        ):
            with refused(ErrorCode.TABLE_NOT_FOUND, "tabel", error=NotFound):
                act()

    @pytest.mark.parametrize(
        ("spec", "code"),
        [
            ({"key": ("nope",)}, ErrorCode.COLUMN_NOT_FOUND),
            ({"partition_by": ("nope",)}, ErrorCode.COLUMN_NOT_FOUND),
            ({"partition_by": ("year(nope)",)}, ErrorCode.COLUMN_NOT_FOUND),
            ({"partition_by": ("week(id)",)}, ErrorCode.COLUMN_NOT_FOUND),
            ({"defaults": {"nope": "1"}}, ErrorCode.COLUMN_NOT_FOUND),
            ({"defaults": {"amount": "1 +"}}, ErrorCode.INVALID_SQL),
        ],
    )
    def test_a_spec_that_contradicts_itself(
        self, engine: Any, spec: dict[str, Any], code: ErrorCode
    ) -> None:
        """Nothing is made."""
        with refused(code):
            TableHandle(engine).create(SCHEMA, **spec)
        assert engine.tables("main") == []

    def test_a_table_without_columns(self, engine: Any) -> None:
        """Is refused."""
        with refused(ErrorCode.SCHEMA_MISMATCH, "column"):
            TableHandle(engine).create(pa.schema([]))
        assert engine.tables("main") == []

    def test_rename(self, engine: Any, table: TableHandle) -> None:
        """The table is found under the new name only, with its rows and its spec."""
        other = TableHandle(engine, "other_name")
        engine.rename_table(table.ref, other.ref, AUTHOR)
        assert engine.tables("main") == [other.ref]
        assert other.rows() == unordered(THREE)
        assert other.spec().key == ("id",)
        with refused(ErrorCode.TABLE_NOT_FOUND, error=NotFound):
            table.scan()
        other.put([{"id": 4}])
        assert other.ids() == [1, 2, 3, 4]

    def test_rename_changes_case(self, engine: Any, table: TableHandle) -> None:
        """Another case of the same name is a new name."""
        other = TableHandle(engine, "T")
        engine.rename_table(table.ref, other.ref, AUTHOR)
        assert engine.tables("main") == [other.ref]
        assert other.rows() == unordered(THREE)

    def test_rename_onto_another(self, engine: Any, table: TableHandle) -> None:
        """Is refused and changes neither."""
        other = TableHandle(engine, "other").create()
        with refused(ErrorCode.ALREADY_EXISTS, "other", error=AlreadyExists):
            engine.rename_table(table.ref, other.ref, AUTHOR)
        assert (table.rows(), other.rows()) == (unordered(THREE), [])

    def test_rename_into_another_namespace(self, engine: Any, table: TableHandle) -> None:
        """Is not supported, and says so."""
        with refused(ErrorCode.UNSUPPORTED, "elsewhere", error=Unsupported):
            engine.rename_table(table.ref, TableRef(engine.name, "elsewhere", "t"), AUTHOR)

    def test_drop(self, engine: Any, table: TableHandle) -> None:
        """The table is gone; its name is free; a new one of that name is empty."""
        engine.drop_table(table.ref, AUTHOR)
        assert engine.tables("main") == []
        with refused(ErrorCode.TABLE_NOT_FOUND, error=NotFound):
            table.scan()
        table.create(pa.schema([("other", pa.int64())]))
        assert table.rows() == []
        assert table.schema().names == ["other"]

    def test_a_dropped_table_can_still_be_read_as_it_was(
        self, engine: Any, table: TableHandle
    ) -> None:
        """A reader that fixed its version before the drop is not disturbed."""
        version = engine.resolve(table.ref).snapshot
        engine.drop_table(table.ref, AUTHOR)
        assert table.rows(version=version) == unordered(THREE)
