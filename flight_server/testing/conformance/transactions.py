"""Writes to several tables that become one commit."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from flight_server.errors import Conflict, ErrorCode, Unavailable
from flight_server.model import IngestMode, IngestRequest, ScanRequest
from flight_server.testing.conformance.handles import (
    AUTHOR,
    THREE,
    EngineCase,
    TableHandle,
    refused,
    table_of,
    unordered,
)


class TransactionTests(EngineCase):
    """All of it or nothing."""

    def test_one_commit_over_two_tables(self, engine: Any, table: TableHandle) -> None:
        """Seen by others whole, at its end, as one snapshot."""
        other = TableHandle(engine, "other").create()
        with engine.transaction(AUTHOR) as transaction:
            _put(transaction, table, [{"id": 4}])
            _put(transaction, other, THREE)
            transaction.update(table.ref, {"name": "'x'"}, "id = 4", AUTHOR)
            transaction.delete(table.ref, "id = 1", AUTHOR)
            assert table.rows() == unordered(THREE)
            assert other.rows() == []
            before = engine.snapshot()
            commit = transaction.commit()
        assert commit.snapshot == engine.snapshot()
        assert table.ids() == [2, 3, 4]
        assert other.rows() == unordered(THREE)
        assert table.ids(version=before) == [1, 2, 3]
        assert other.ids(version=before) == []

    def test_commits_at_the_end_of_the_block(self, engine: Any, table: TableHandle) -> None:
        """Without being told."""
        with engine.transaction(AUTHOR) as transaction:
            _put(transaction, table, [{"id": 4}])
        assert table.ids() == [1, 2, 3, 4]

    def test_reads_its_own_writes(self, engine: Any, table: TableHandle) -> None:
        """One after the other; counts are those of each write."""
        with engine.transaction(AUTHOR) as transaction:
            assert _put(transaction, table, [{"id": 4, "name": "four"}]).rows_inserted == 1
            assert transaction.update(table.ref, {"id": "id + 1"}, "id = 4", AUTHOR).rows == 1
            assert _ids(transaction, table) == [1, 2, 3, 5]
            upserted = _put(transaction, table, [{"id": 5}, {"id": 6}], IngestMode.UPSERT)
            assert (upserted.rows_inserted, upserted.rows_updated) == (1, 1)
            assert transaction.delete(table.ref, "id < 3", AUTHOR).rows_deleted == 2
            assert _ids(transaction, table) == [3, 5, 6]
            assert _ids(transaction, table, filter="id > 3", order_by="id DESC", limit=1) == [6]
        assert table.ids() == [3, 5, 6]

    def test_rollback(self, engine: Any, table: TableHandle) -> None:
        """Nothing of it has happened; no snapshot either."""
        before = engine.snapshot()
        with engine.transaction(AUTHOR) as transaction:
            _put(transaction, table, [{"id": 4}])
            transaction.delete(table.ref, "id = 1", AUTHOR)
            transaction.rollback()
        assert table.rows() == unordered(THREE)
        assert engine.snapshot() == before

    def test_an_error_rolls_back(self, engine: Any, table: TableHandle) -> None:
        """Whichever it is; it passes on."""
        with (
            refused(ErrorCode.UNAVAILABLE, "now", error=Unavailable),
            engine.transaction(AUTHOR) as transaction,
        ):
            _put(transaction, table, [{"id": 4}])
            _fail()
        with (
            refused(ErrorCode.COLUMN_NOT_FOUND, "'nope'"),
            engine.transaction(AUTHOR) as transaction,
        ):
            _put(transaction, table, [{"id": 4}])
            transaction.update(table.ref, {"nope": "1"}, None, AUTHOR)
        assert table.rows() == unordered(THREE)
        table.put([{"id": 4}])
        assert table.ids() == [1, 2, 3, 4]

    def test_a_table_made_in_it(self, engine: Any, table: TableHandle) -> None:
        """Is there after the commit and not before, and not at all after a rollback."""
        for name, ends in (("kept", "commit"), ("gone", "rollback")):
            new = TableHandle(engine, name)
            with engine.transaction(AUTHOR) as transaction:
                _put(transaction, new, THREE, IngestMode.CREATE)
                assert _ids(transaction, new) == [1, 2, 3]
                assert new.ref not in engine.tables("main")
                getattr(transaction, ends)()
        assert [ref.name for ref in engine.tables("main")] == ["kept", "t"]
        assert TableHandle(engine, "kept").rows() == unordered(THREE)

    def test_empty(self, engine: Any, table: TableHandle) -> None:
        """A transaction that writes nothing changes nothing."""
        before = engine.snapshot()
        with engine.transaction(AUTHOR) as transaction:
            assert _ids(transaction, table) == [1, 2, 3]
        assert engine.snapshot() == before

    def test_two_that_collide(self, engine: Any, table: TableHandle) -> None:
        """The second to commit is refused and may be tried again; the first one stands."""
        with (
            refused(ErrorCode.CONFLICT, "t'", error=Conflict),
            engine.transaction(AUTHOR) as transaction,
        ):
            transaction.update(table.ref, {"name": "'late'"}, "id = 1", AUTHOR)
            table.update({"name": "'early'"}, "id = 1")
            transaction.commit()
        assert table.rows(filter="id = 1")[0]["name"] == "early"
        with engine.transaction(AUTHOR) as transaction:
            transaction.update(table.ref, {"name": "'late'"}, "id = 1", AUTHOR)
        assert table.rows(filter="id = 1")[0]["name"] == "late"

    def test_two_that_do_not(self, engine: Any, table: TableHandle) -> None:
        """Writes to different tables do not get into each other's way."""
        other = TableHandle(engine, "other").create()
        with engine.transaction(AUTHOR) as transaction:
            _put(transaction, other, [{"id": 7}])
            table.put([{"id": 4}])
        assert table.ids() == [1, 2, 3, 4]
        assert other.ids() == [7]

    def test_a_token_in_it(self, engine: Any, table: TableHandle) -> None:
        """Is used when the transaction is committed, and not when it is rolled back."""
        for duplicate, ends in ((False, "rollback"), (False, "commit"), (True, "commit")):
            with engine.transaction(AUTHOR) as transaction:
                commit = _put(transaction, table, [{"id": 4}], token="a")
                assert commit.duplicate is duplicate
                getattr(transaction, ends)()
        assert table.ids() == [1, 2, 3, 4]


def _fail() -> None:
    raise Unavailable("Not now.")


def _put(
    transaction: Any,
    table: TableHandle,
    rows: list[dict[str, Any]],
    mode: IngestMode = IngestMode.APPEND,
    token: str | None = None,
) -> Any:
    request = IngestRequest(mode=mode, token=token)
    return transaction.ingest(table.ref, request, table_of(rows).to_reader(), AUTHOR)


def _ids(transaction: Any, table: TableHandle, **request: Any) -> list[int]:
    asked = ScanRequest(columns=("id",), **request)
    with closing(transaction.scan(table.ref, asked)) as reader:
        ids: list[int] = reader.read_all().column("id").to_pylist()
    return ids if "order_by" in request else sorted(ids)
