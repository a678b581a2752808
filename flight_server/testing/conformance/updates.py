"""Update and delete where a filter holds."""

from __future__ import annotations

from typing import Any

import pytest

from flight_server.engines.cancellation import Cancellation
from flight_server.errors import ErrorCode, NotFound, PixelflightError, TimedOut
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    unordered,
)


class UpdateTests(EngineCase):
    """Changing rows in place."""

    def test_update_with_values(self, table: TableHandle) -> None:
        """The rows where the filter holds, and only the columns named."""
        commit = table.update({"name": "'x'", "amount": "NULL"}, "id >= 2")
        assert (commit.rows, commit.rows_updated) == (2, 2)
        assert (commit.rows_inserted, commit.rows_deleted) == (0, 0)
        assert table.rows() == unordered(
            [
                THREE[0],
                {"id": 2, "name": "x", "amount": None},
                {"id": 3, "name": "x", "amount": None},
            ]
        )
        assert table.schema().equals(SCHEMA, check_metadata=True)

    def test_update_with_expressions(self, table: TableHandle) -> None:
        """They see the row's old values, also of the columns that are set beside."""
        table.update({"id": "id + 10", "amount": "amount * 2 + id"}, "name IS NOT NULL")
        amounts = {row["id"]: row["amount"] for row in table.rows()}
        assert amounts == {11: 4.0, 12: None, 3: -3.0}

    def test_update_of_everything(self, table: TableHandle) -> None:
        """Is what comes without a filter."""
        assert table.update({"NAME": "'same'"}).rows_updated == 3
        assert {row["name"] for row in table.rows()} == {"same"}

    def test_update_of_nothing(self, table: TableHandle) -> None:
        """Counts nothing and changes nothing; a filter that is null does not hold."""
        assert table.update({"name": "'x'"}, "id > 100").rows_updated == 0
        assert table.update({"name": "'x'"}, "amount > 100").rows_updated == 0
        assert table.rows() == unordered(THREE)

    def test_update_keeps_row_ids(self, table: TableHandle) -> None:
        """The rows stay the ones they were."""
        before = {row["id"]: row["_row_id"] for row in table.rows(with_row_id=True)}
        table.update({"amount": "0.5"}, "id = 2")
        after = {row["id"]: row["_row_id"] for row in table.rows(with_row_id=True)}
        assert after == before

    @pytest.mark.parametrize(
        ("assignments", "where", "code"),
        [
            ({"nope": "1"}, None, ErrorCode.COLUMN_NOT_FOUND),
            ({"id": "NULL"}, None, ErrorCode.INVALID_DATA),
            ({"name": "'x"}, None, ErrorCode.INVALID_SQL),
            ({"name": "'x'"}, "id =", ErrorCode.INVALID_SQL),
            ({}, None, ErrorCode.INVALID_REQUEST),
        ],
    )
    def test_updates_that_cannot_be_made(
        self, table: TableHandle, assignments: dict[str, str], where: str | None, code: ErrorCode
    ) -> None:
        """Nothing is changed."""
        with pytest.raises(PixelflightError) as caught:
            table.update(assignments, where)
        assert caught.value.code is code, caught.value.message
        assert table.rows() == unordered(THREE)

    def test_delete(self, table: TableHandle) -> None:
        """The rows where the filter holds; where it is null they stay."""
        commit = table.delete("amount > 0")
        assert (commit.rows, commit.rows_deleted) == (1, 1)
        assert table.ids() == [2, 3]
        assert table.delete("id > 100").rows_deleted == 0

    def test_delete_everything(self, table: TableHandle) -> None:
        """Is what comes without a filter; the table stays and takes rows again."""
        assert table.delete().rows_deleted == 3
        assert table.rows() == []
        table.put(THREE)
        assert table.rows() == unordered(THREE)

    def test_deletes_that_cannot_be_made(self, table: TableHandle) -> None:
        """Nothing is deleted."""
        with refused(ErrorCode.INVALID_SQL):
            table.delete("id = (")
        assert table.rows() == unordered(THREE)

    def test_update_a_missing_table(self, engine: Any) -> None:
        """Is named."""
        missing = TableHandle(engine, "nope")
        with refused(ErrorCode.TABLE_NOT_FOUND, "nope", error=NotFound):
            missing.update({"a": "1"})
        with refused(ErrorCode.TABLE_NOT_FOUND, "nope", error=NotFound):
            missing.delete()

    def test_update_after_the_deadline(self, engine: Any, table: TableHandle) -> None:
        """Changes nothing."""
        with pytest.raises(TimedOut):
            engine.update(table.ref, {"name": "'x'"}, None, AUTHOR, Cancellation(deadline=0.0))
        with pytest.raises(TimedOut):
            engine.delete(table.ref, None, AUTHOR, Cancellation(deadline=0.0))
        assert table.rows() == unordered(THREE)
