"""Commits: their order, their record, what happens before and after them."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import Cancelled, Conflict, ErrorCode, InvalidRequest, Unsupported
from flight_server.model import (
    AddColumn,
    Author,
    IngestRequest,
    ScanRequest,
    SetComment,
    SetKey,
    TableRef,
    TableSpec,
)
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    THREE,
    TableHandle,
    batches_of,
    reader_of,
    refused,
)
from tests.fix_lake import OpenLake


@pytest.fixture
def lake_threads() -> int:
    """Commits of many rows, as DuckDB's threads make them."""
    return 2


def test_nothing_written_is_no_commit(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    before = lake.snapshot()
    with lake.transaction(AUTHOR) as transaction:
        assert transaction.commit().snapshot == before
    table.stream(reader_of([]), "overwrite")
    assert table.delete("id = 1").rows == 0
    assert lake.snapshot() == before


def test_awkward_authors(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    author = Author('o\'ada "x" 😀', "id'); DROP TABLE t; --", "it's\na reason")
    table.put([{"id": 1}], author=author)
    newest = lake.versions(table.ref, 1)[0]
    assert (newest.author, newest.reason) == (author.principal, author.reason)


def test_a_failed_statement_spoils_the_transaction(lake: LakeEngine) -> None:
    """Each later statement says so, in a coded error; nothing is written."""
    table = TableHandle(lake).create()
    table.put([{"id": 1}])
    with lake.transaction(AUTHOR) as transaction:
        rows = pa.table({"id": [2]}).to_reader()
        transaction.ingest(table.ref, IngestRequest(), rows, AUTHOR)
        with pytest.raises(InvalidRequest):
            transaction.update(table.ref, {"amount": "CAST('a' AS INT)"}, None, AUTHOR)
        statements: list[Any] = [
            lambda: transaction.ingest(
                table.ref, IngestRequest(), pa.table({"id": [3]}).to_reader(), AUTHOR
            ),
            lambda: transaction.delete(table.ref, None, AUTHOR),
            lambda: transaction.scan(table.ref, ScanRequest()).read_all(),
            transaction.commit,
        ]
        for statement in statements:
            with pytest.raises(InvalidRequest, match=r"aborted by the earlier error .*: roll it"):
                statement()
    assert table.ids() == [1]


def test_a_block_that_fails_writes_nothing(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()

    def fail() -> None:
        with lake.transaction(AUTHOR) as transaction:
            rows = pa.table({"id": [2]}).to_reader()
            transaction.ingest(table.ref, IngestRequest(), rows, AUTHOR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert table.ids() == []
    assert lake._pins.oldest_stream()[0] is None


def test_overwrites_at_once(lake: LakeEngine) -> None:
    """One comes after the other or is told of the conflict; never are two mixed."""
    table = TableHandle(lake).create()
    refused, wrong = list[str](), list[object]()

    def overwrite(start: int) -> None:
        for _ in range(6):
            batches = batches_of(range(start, start + 3_000), 500)
            try:
                table.stream(reader_of(batches), "overwrite")
            except Conflict as error:
                refused.append(error.message)
            found = table.ids()
            if found != list(range(found[0], found[0] + 3_000)):
                wrong.append(found)

    threads = [threading.Thread(target=overwrite, args=(n * 10_000,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(refused) < 18


def test_appends_while_others_change_the_table(lake: LakeEngine) -> None:
    """Small and large puts, columns that come and go, restores: acknowledged is what is there."""
    table = TableHandle(lake).create()
    acknowledged: list[int] = []
    odd: list[BaseException] = []

    def act(action: Any) -> bool:
        try:
            action()
        except Conflict:
            return False
        except BaseException as error:
            odd.append(error)
        return True

    def append(first: int, size: int) -> None:
        for start in range(first, first + 8 * size, size):
            batches = batches_of(range(start, start + size), 5_000)
            if act(lambda batches=batches: table.stream(reader_of(batches))):
                acknowledged.extend(range(start, start + size))

    def alter() -> None:
        for number in range(6):
            act(lambda number=number: table.alter(AddColumn(pa.field(f"c{number}", pa.int8()))))

    puts = [(0, 1), (1_000, 1), (100_000, 12_000)]
    threads = [threading.Thread(target=append, args=arguments) for arguments in puts]
    threads.append(threading.Thread(target=alter))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert odd == []
    assert acknowledged
    assert table.ids() == sorted(acknowledged)


def test_many_make_one_table(lake: LakeEngine) -> None:
    """Small puts that make their table: one does, the others add to it."""
    table = TableHandle(lake)
    errors: list[BaseException] = []

    def put(number: int) -> None:
        try:
            table.put({"id": [number]}, create_if_missing=True)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert table.ids() == list(range(8))


@pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "create"])
def test_a_cancelled_stream_writes_nothing(lake: LakeEngine, mode: str) -> None:
    table = TableHandle(lake)
    if mode != "create":
        table.create(key=("id",)).stream(reader_of(batches_of(range(100), 100)))
    before, cancellation = lake.snapshot(), Cancellation()

    def batches() -> Any:
        yield from batches_of(range(50, 20_000), 5_000)
        cancellation.cancel()
        yield from batches_of(range(20_000, 30_000), 5_000)

    with pytest.raises(Cancelled):
        table.stream(reader_of(batches()), mode, cancellation=cancellation, token="a")
    assert lake.snapshot() == before
    if mode != "create":
        assert table.ids() == list(range(100))
    answer = table.stream(reader_of(batches_of(range(50, 30_000), 5_000)), mode, token="a")
    assert not answer.duplicate


def test_what_is_written_names_nothing_that_is_not_there(open_lake: OpenLake) -> None:
    """After failures of every kind the catalog and the folder agree."""
    engine = open_lake(group_rows_max=0)
    table = TableHandle(engine).create()
    for number in range(4):
        broken = reader_of(batches_of(range(5_000), 1_000), ValueError("the line is cut"))
        with pytest.raises(ValueError, match="the line is cut"):
            table.stream(broken)
        table.stream(reader_of(batches_of(range(number * 100, number * 100 + 100), 100)))
    engine.close()
    assert TableHandle(open_lake()).ids() == list(range(400))


def test_a_table_is_renamed_before_it_is_altered(lake: LakeEngine) -> None:
    """The other way round DuckLake would write a catalog that nobody can read."""
    table, to = TableHandle(lake).create(), TableRef.of("u")
    table.put(THREE)
    add = [AddColumn(pa.field("n", pa.int8()))]
    with lake.transaction(AUTHOR) as transaction:
        transaction.alter_table(table.ref, add, AUTHOR)
        with refused(ErrorCode.UNSUPPORTED, "before", error=Unsupported):
            transaction.rename_table(table.ref, to, AUTHOR)
    with lake.transaction(AUTHOR) as transaction:
        transaction.alter_table(table.ref, [SetComment("x"), SetKey(("id",))], AUTHOR)
        transaction.rename_table(table.ref, to, AUTHOR)
        transaction.alter_table(to, [AddColumn(pa.field("m", pa.int8()))], AUTHOR)
        with refused(ErrorCode.UNSUPPORTED, "before", error=Unsupported):
            transaction.rename_table(to, table.ref, AUTHOR)
        transaction.create_table(table.ref, TableSpec(SCHEMA), AUTHOR)
        transaction.alter_table(table.ref, add, AUTHOR)
        transaction.rename_table(table.ref, TableRef.of("new"), AUTHOR)
    assert TableHandle(lake, "u").schema().names == [*SCHEMA.names, "n", "m"]
    assert TableHandle(lake, "u").scan().num_rows == 3
    assert TableHandle(lake, "new").schema().names == [*SCHEMA.names, "n"]
