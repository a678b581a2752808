"""Dropped tables that come back."""

from __future__ import annotations

from typing import Any

import pytest

from flight_server.errors import AlreadyExists, ErrorCode, NotFound
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    unordered,
)


class UndropTests(EngineCase):
    """Undoing a drop."""

    def test_undrop(self, engine: Any, table: TableHandle) -> None:
        """Rows, schema, key and name are as before, and the table can be written again."""
        engine.drop_table(table.ref, AUTHOR)
        engine.undrop_table(table.ref, AUTHOR)
        assert table.rows() == unordered(THREE)
        assert table.schema().equals(SCHEMA, check_metadata=True)
        assert table.spec().key == ("id",)
        table.put([{"id": 4}])
        assert table.put([{"id": 1, "name": "uno"}], "upsert").rows_updated == 1
        assert table.ids() == [1, 2, 3, 4]

    def test_undrop_of_an_empty_table(self, engine: Any) -> None:
        """Works as well."""
        table = TableHandle(engine).create(comment="nothing yet")
        engine.drop_table(table.ref, AUTHOR)
        engine.undrop_table(table.ref, AUTHOR)
        assert (table.rows(), table.spec().comment) == ([], "nothing yet")

    def test_the_last_one_dropped_comes_back(self, engine: Any, table: TableHandle) -> None:
        """Where several of one name were dropped."""
        engine.drop_table(table.ref, AUTHOR)
        table.create()
        table.put([{"id": 9}])
        engine.drop_table(table.ref, AUTHOR)
        engine.undrop_table(table.ref, AUTHOR)
        assert table.ids() == [9]

    @pytest.mark.parametrize("has_been", [True, False])
    def test_nothing_to_bring_back(self, engine: Any, has_been: bool) -> None:
        """A name that no table had; a table that was renamed and not dropped."""
        table = TableHandle(engine)
        if has_been:
            table.create()
            engine.rename_table(table.ref, TableHandle(engine, "other").ref, AUTHOR)
        with refused(ErrorCode.TABLE_NOT_FOUND, "t'", error=NotFound):
            engine.undrop_table(table.ref, AUTHOR)

    def test_the_name_is_taken(self, engine: Any, table: TableHandle) -> None:
        """The table that is there stays."""
        engine.drop_table(table.ref, AUTHOR)
        table.create()
        with refused(ErrorCode.ALREADY_EXISTS, "t'", error=AlreadyExists):
            engine.undrop_table(table.ref, AUTHOR)
        assert table.rows() == []
