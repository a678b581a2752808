"""Writes to several tables that become one commit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import (
    Conflict,
    ErrorCode,
    InvalidRequest,
    PixelflightError,
    Unavailable,
)
from flight_server.model import (
    AddColumn,
    DropColumn,
    IngestMode,
    IngestRequest,
    ScanRequest,
    SetComment,
    SetKey,
)
from flight_server.testing.conformance.handles import (
    AUTHOR,
    THREE,
    EngineCase,
    TableHandle,
    batches_of,
    reader_of,
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

    def test_writes_answer_without_a_snapshot(self, engine: Any, table: TableHandle) -> None:
        """There is one at the end."""
        with engine.transaction(AUTHOR) as transaction:
            assert transaction.name == engine.name
            assert _put(transaction, table, [{"id": 4}]).snapshot == -1
            assert transaction.update(table.ref, {"name": "'x'"}, None, AUTHOR).snapshot == -1
            assert transaction.delete(table.ref, None, AUTHOR).snapshot == -1
            assert transaction.resolve(table.ref).snapshot == engine.snapshot()

    def test_it_sees_one_state(self, engine: Any, table: TableHandle) -> None:
        """What others commit meanwhile is not seen, neither rows nor columns nor tables."""
        other = TableHandle(engine, "other").create()
        with engine.transaction(AUTHOR) as transaction:
            table.put([{"id": 4}])
            table.alter(AddColumn(pa.field("more", pa.int64())))
            TableHandle(engine, "late").create()
            engine.drop_table(other.ref, AUTHOR)
            assert _ids(transaction, table) == [1, 2, 3]
            assert transaction.resolve(table.ref).schema.names == ["id", "name", "amount"]
            assert [ref.name for ref in transaction.tables("main")] == ["other", "t"]
            assert _ids(transaction, other) == []
            assert transaction.describe(table.ref).rows == 3
            transaction.rollback()

    def test_older_versions_in_it(self, engine: Any, table: TableHandle) -> None:
        """Are what they were, whatever the transaction has done."""
        before = engine.snapshot()
        with engine.transaction(AUTHOR) as transaction:
            transaction.delete(table.ref, "id < 3", AUTHOR)
            assert _ids(transaction, table, version=before) == [1, 2, 3]
            assert transaction.resolve(table.ref, before).snapshot == before
            assert transaction.describe(table.ref, before).rows == 3
            assert _ids(transaction, table) == [3]

    def test_when_it_has_ended(self, engine: Any, table: TableHandle) -> None:
        """Nothing more can be done in it; it can be closed as often as one likes."""
        for end in ("commit", "rollback", "close"):
            with engine.transaction(AUTHOR) as transaction:
                _put(transaction, table, [{"id": 4}])
                getattr(transaction, end)()
                transaction.rollback()
                transaction.close()
                for use in (
                    transaction.commit,
                    transaction.namespaces,
                    lambda tx=transaction: tx.delete(table.ref, None, AUTHOR),
                    lambda tx=transaction: _ids(tx, table),
                ):
                    with refused(ErrorCode.INVALID_REQUEST, "has ended"):
                        use()
        assert table.ids() == [1, 2, 3, 4]

    def test_a_statement_that_fails(self, engine: Any, table: TableHandle) -> None:
        """Leaves nothing of itself: it is undone alone, or the whole cannot be committed."""
        failures: tuple[Callable[[Any], Any], ...] = (
            lambda tx: tx.ingest(
                table.ref, IngestRequest(), reader_of(batches_of(range(4, 40), 9), _LATE), AUTHOR
            ),
            lambda tx: tx.update(table.ref, {"id": "if(id = 1, NULL, id + 50)"}, None, AUTHOR),
            lambda tx: tx.alter_table(
                table.ref, [AddColumn(pa.field("x", pa.int64())), DropColumn("nope")], AUTHOR
            ),
            lambda tx: tx.drop_table(TableHandle(engine, "nope").ref, AUTHOR),
        )
        expected = {1, 2, 3}
        for number, fails in enumerate(failures, start=100):
            with engine.transaction(AUTHOR) as transaction:
                _put(transaction, table, [{"id": number}])
                with pytest.raises(PixelflightError):
                    fails(transaction)
                if _commits(transaction):
                    expected.add(number)
            assert set(table.ids()) == expected
            assert table.schema().names == ["id", "name", "amount"]
        # A name that is not there is found out before anything is done.
        assert 103 in expected

    def test_begun_and_ended_by_other_threads(self, engine: Any, table: TableHandle) -> None:
        """A client's calls come from whichever thread serves them."""
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
            context = engine.transaction(AUTHOR)
            transaction = one.submit(context.__enter__).result()
            two.submit(_put, transaction, table, [{"id": 4}], token="a").result()
            assert one.submit(_ids, transaction, table).result() == [1, 2, 3, 4]
            two.submit(context.__exit__, None, None, None).result()
            assert table.ids() == [1, 2, 3, 4]
            assert table.put([{"id": 4}], token="a").duplicate

    def test_one_that_is_idle_keeps_nobody_waiting(self, engine: Any, table: TableHandle) -> None:
        """Others write, define and commit while it is open and has written itself."""
        with engine.transaction(AUTHOR) as transaction:
            _put(transaction, table, [{"id": 9}], token="a")
            with ThreadPoolExecutor(1) as pool:
                others = TableHandle(engine, "others")
                pool.submit(others.create).result(30)
                pool.submit(others.put, THREE, token="a").result(30)
                pool.submit(others.alter, SetComment("theirs")).result(30)
                pool.submit(table.put, [{"id": 4}]).result(30)
            transaction.rollback()
        assert table.ids() == [1, 2, 3, 4]

    def test_one_that_goes_on_from_what_it_read(self, engine: Any, table: TableHandle) -> None:
        """Changes no rows of a table that others have changed since; it may add some."""
        other = TableHandle(engine, "other").create()
        read = engine.snapshot()
        table.update({"amount": "1"}, "id = 1")
        with engine.transaction(AUTHOR, read) as transaction:
            _put(transaction, table, [{"id": 4}])
            _put(transaction, other, THREE)
            transaction.delete(other.ref, "id = 1", AUTHOR)
            transaction.commit()
        with engine.transaction(AUTHOR, read) as transaction:
            transaction.update(table.ref, {"amount": "amount + 1"}, "id = 1", AUTHOR)
            with pytest.raises(Conflict):
                transaction.commit()
        with engine.transaction(AUTHOR, engine.snapshot()) as transaction:
            transaction.update(table.ref, {"amount": "amount + 1"}, "id = 1", AUTHOR)
            transaction.commit()
        assert table.rows(columns=("id", "amount"), filter="id = 1") == [{"id": 1, "amount": 2.0}]
        assert (table.ids(), other.ids()) == ([1, 2, 3, 4], [2, 3])

    @pytest.mark.parametrize("within", [True, False], ids=["in a transaction", "alone"])
    @pytest.mark.parametrize("mode", [IngestMode.UPSERT, IngestMode.MERGE])
    def test_two_that_insert_a_key(
        self, engine: Any, table: TableHandle, mode: IngestMode, within: bool
    ) -> None:
        """The later commit is a conflict; both rows would be there."""
        table.alter(SetKey(("id",)))
        with engine.transaction(AUTHOR) as transaction:
            _put(transaction, table, [{"id": 42, "amount": 1.0}], mode)
            if within:
                with engine.transaction(AUTHOR) as another:
                    _put(another, table, [{"id": 42, "amount": 2.0}], mode)
                    another.commit()
            else:
                table.put([{"id": 42, "amount": 2.0}], mode)
            with pytest.raises(Conflict):
                transaction.commit()
        assert table.rows(columns=("id", "amount"), filter="id = 42") == [{"id": 42, "amount": 2.0}]

    def test_rows_of_many_statements(self, engine: Any, table: TableHandle) -> None:
        """Few and many at a time, changed in between: every row is there once."""
        with engine.transaction(AUTHOR) as transaction:
            expected, next_id = {1, 2, 3}, 10
            for size in (2, 300, 5, 40, 1):
                new = range(next_id, next_id + size)
                next_id += size
                _put(transaction, table, [{"id": i} for i in new])
                expected |= set(new)
                transaction.update(table.ref, {"amount": "1"}, f"id IN (2, {new[0]})", AUTHOR)
                transaction.delete(table.ref, f"id = {new[-1]}", AUTHOR)
                expected.discard(new[-1])
                transaction.update(table.ref, {"amount": "2"}, f"id < {new[-1]}", AUTHOR)
                assert _ids(transaction, table) == sorted(expected)
        assert table.ids() == sorted(expected)
        numbers = table.scan(with_row_id=True).column("_row_id").to_pylist()
        assert len(set(numbers)) == len(expected)

    def test_a_token_in_it(self, engine: Any, table: TableHandle) -> None:
        """Is used when the transaction is committed, and not when it is rolled back."""
        for duplicate, ends in ((False, "rollback"), (False, "commit"), (True, "commit")):
            with engine.transaction(AUTHOR) as transaction:
                commit = _put(transaction, table, [{"id": 4}], token="a")
                assert commit.duplicate is duplicate
                getattr(transaction, ends)()
        assert table.ids() == [1, 2, 3, 4]


_LATE = Unavailable("Not now.")


def _commits(transaction: Any) -> bool:
    """Whether the transaction was committed; if not, it says what aborted it."""
    try:
        transaction.commit()
    except InvalidRequest as error:
        message = error.message
    else:
        return True
    assert "aborted by the earlier error" in message
    return False


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
