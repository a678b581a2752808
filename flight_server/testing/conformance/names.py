"""Names of tables and columns: any text, kept as written, found in any case."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import AlreadyExists, ErrorCode
from flight_server.model import NamespaceRef, ScanRequest, TableRef
from flight_server.testing.conformance.handles import (
    AUTHOR,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    unordered,
)

UNUSUAL = (
    'double "quotes"',
    "single 'quotes'",
    "a/b\\c",
    "🛩️ flights",
    "with  spaces ",
    "dots.and:colons",
    "select",
    "table",
    "x; drop table t; --",
    "n" * 200,
    "Ünïcødé",
    "1st",
    "%20",
)


class NameTests(EngineCase):
    """What things may be called."""

    @pytest.mark.parametrize("name", UNUSUAL)
    def test_a_table_of_any_name(self, engine: Any, name: str) -> None:
        """Made, written, read, listed, renamed."""
        table = TableHandle(engine, name).create()
        table.put(THREE)
        assert table.rows() == unordered(THREE)
        assert engine.tables("main") == [table.ref]
        other = TableHandle(engine, name[1:] + "2")
        engine.rename_table(table.ref, other.ref, AUTHOR)
        assert other.rows() == unordered(THREE)

    def test_columns_of_any_name(self, engine: Any) -> None:
        """All of them in one table, kept in their order and spelling."""
        schema = pa.schema([pa.field(name, pa.int32()) for name in UNUSUAL])
        table = TableHandle(engine).create(schema)
        row = {name: at for at, name in enumerate(UNUSUAL)}
        table.put(pa.Table.from_pylist([row], schema=schema))
        assert table.rows() == [row]
        assert table.scan(columns=UNUSUAL[::-1]).column_names == list(UNUSUAL[::-1])

    def test_found_in_any_case(self, engine: Any) -> None:
        """The name's own case comes back, whichever it was asked in."""
        engine.create_namespace(NamespaceRef(engine.name, "Sales"), AUTHOR)
        table = TableHandle(engine, "Daily", "Sales").create()
        table.put(THREE)
        asked = TableRef(engine.name, "SALES", "dAILY")
        assert engine.resolve(asked).table == table.ref
        assert engine.describe(asked).table == table.ref
        assert engine.tables("sALES") == [table.ref]
        with closing(engine.scan(asked, ScanRequest())) as reader:
            assert reader.read_all().num_rows == len(THREE)

    def test_two_that_differ_by_case_only(self, engine: Any) -> None:
        """Are one: the second is refused."""
        TableHandle(engine, "Daily").create()
        with refused(ErrorCode.ALREADY_EXISTS, "aily", error=AlreadyExists):
            TableHandle(engine, "DAILY").create()

    def test_columns_are_found_in_any_case(self, engine: Any) -> None:
        """In what is asked for and in what comes in; the table's own spelling comes back."""
        table = TableHandle(engine).create(pa.schema([("Id", pa.int64()), ("Name", pa.string())]))
        table.put({"NAME": ["one"], "id": [1]})
        assert table.rows() == [{"Id": 1, "Name": "one"}]
        assert table.scan(columns=("nAME",)).column_names == ["Name"]

    def test_columns_that_differ_by_case_only(self, engine: Any) -> None:
        """Are refused."""
        with refused(ErrorCode.SCHEMA_MISMATCH, "ID"):
            TableHandle(engine).create(pa.schema([("id", pa.int64()), ("ID", pa.int64())]))
        assert engine.tables("main") == []

    @pytest.mark.parametrize("name", ["_row_id", "_change", "_snapshot"])
    def test_names_that_feeds_use(self, engine: Any, name: str) -> None:
        """A column cannot have the name of one that scans and change feeds add."""
        with refused(ErrorCode.INVALID_NAME, name):
            TableHandle(engine).create(pa.schema([(name, pa.int64())]))

    @pytest.mark.parametrize("name", ["", "n" * 201, "line\nbreak"])
    def test_names_that_are_none(self, engine: Any, name: str) -> None:
        """Empty, too long, with control characters."""
        with refused(ErrorCode.INVALID_NAME):
            TableHandle(engine).create(pa.schema([(name, pa.int64())]))
