"""Scans in parts, at old versions, over files and rows that are in no file."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.lake import answers
from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.scans import BATCH_ROWS_MAX, BATCH_ROWS_MIN
from flight_server.errors import Cancelled, InvalidRequest
from flight_server.model import AddColumn, DropColumn, ScanRequest, SqlRequest
from flight_server.settings import Settings
from flight_server.testing.conformance.handles import TableHandle, batches_of, reader_of
from tests.fix_lake import QUIET, OpenLake, wait_until

NAMES = itertools.count()


@pytest.fixture
def lake_threads() -> int:
    """Many rows are read by several of DuckDB's threads."""
    return 2


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeEngine]:
    """A lake in which every example has a table of its own."""
    data = tmp_path_factory.mktemp("shared")
    engine = LakeEngine.open(Settings(data=data, **QUIET | {"batch_bytes": 4096}))
    yield engine
    engine.close()


WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from([1, 5, 40, 300])),
        st.tuples(st.just("update"), st.integers(1, 7)),
        st.tuples(st.just("delete"), st.integers(2, 9)),
        st.tuples(st.just("upsert"), st.integers(1, 60)),
        st.tuples(st.just("alter"), st.just(0)),
        st.tuples(st.just("flush"), st.just(0)),
    ),
    min_size=2,
    max_size=9,
)


def apply(table: TableHandle, writes: list[tuple[str, int]]) -> list[int]:
    """Does all of it; the snapshot after each."""
    versions: list[int] = []
    rows = 0
    for what, size in writes:
        if what == "append":
            table.stream(reader_of(batches_of(range(rows, rows + size), 100)))
            rows += size
        elif what == "update":
            table.update({"amount": f"{size}"}, f"id % {size} = 0")
        elif what == "delete":
            table.delete(f"id % {size} = 1")
        elif what == "upsert":
            table.stream(reader_of(batches_of(range(0, rows + 1, size), 100)), "upsert")
        elif what == "alter":
            table.alter(AddColumn(pa.field(f"c{len(versions)}", pa.int32()), default="7"))
        else:
            table.engine.housekeep([table.ref])
        versions.append(table.engine.snapshot())
    return versions


@settings(max_examples=25)
@given(writes=WRITES, bytes_each=st.sampled_from([1, 2_000, 10**6]))
def test_slices_make_the_whole(
    shared: LakeEngine, writes: list[tuple[str, int]], bytes_each: int
) -> None:
    """Also of an old version, and whatever its rows are in: each row in one part."""
    table = TableHandle(shared, f"t{next(NAMES)}").create(key=("id",))
    versions = apply(table, writes)
    for version in {versions[-1], versions[len(versions) // 2]}:
        parts = shared.slices(table.ref, ScanRequest(version=version), bytes_each)
        found = [row for part in parts for row in table.rows(version=version, slice=part.name)]
        assert sorted(map(repr, found)) == sorted(map(repr, table.rows(version=version)))
        filtered = [
            i
            for part in parts
            for i in table.ids(version=version, slice=part.name, filter="id % 2 = 0")
        ]
        assert sorted(filtered) == table.ids(version=version, filter="id % 2 = 0")


def test_slices_of_a_partitioned_table(lake: LakeEngine) -> None:
    table = TableHandle(lake).create(partition_by=("name",))
    for start in (0, 1_000):
        rows = [{"id": i, "name": f"a/b='{i % 3}'"} for i in range(start, start + 1_000)]
        table.put(rows)
    parts = lake.slices(table.ref, ScanRequest(), 1)
    assert len(parts) == 6
    ids = [i for part in parts for i in table.ids(slice=part.name)]
    assert sorted(ids) == list(range(2_000))


def test_batches_are_near_the_size_that_is_set(shared: LakeEngine, open_lake: OpenLake) -> None:
    sizes = []
    for engine in (shared, open_lake()):
        table = TableHandle(engine, "sizes").create()
        table.stream(reader_of(batches_of(range(200_000), 50_000)))
        sizes.append(max(batch.num_rows for batch in engine.scan(table.ref, ScanRequest())))
    assert sizes[0] <= BATCH_ROWS_MIN < sizes[1] <= BATCH_ROWS_MAX


def test_readers_and_changing_columns(lake: LakeEngine) -> None:
    """A scan answers with the columns and the rows of one moment."""
    table = TableHandle(lake).create()
    table.stream(reader_of(batches_of(range(2_000), 2_000)))
    stop, wrong = threading.Event(), list[object]()

    def read() -> None:
        while not stop.is_set():
            try:
                found = table.scan()
                if found.num_rows != 2_000:
                    wrong.append(found.num_rows)
            except Exception as error:
                wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(8):
            table.alter(AddColumn(pa.field("more", pa.int32()), default=str(number)))
            table.alter(DropColumn("more"))
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []


def test_a_stream_that_is_closed_early_holds_nothing(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    table.stream(reader_of(batches_of(range(300_000), 50_000)))
    stream = lake.scan(table.ref, ScanRequest())
    next(iter(stream))
    assert lake._pins.oldest_stream()[0] is not None
    stream.close()
    assert lake._pins.oldest_stream()[0] is None
    with pytest.raises(StopIteration):
        next(iter(stream))
    assert table.ids(filter="id < 3") == [0, 1, 2]


@pytest.mark.parametrize(
    ("last", "wanted"), [("'x'", InvalidRequest), ("'1'", Cancelled)], ids=["fails", "does not"]
)
def test_a_failure_is_told_that_duckdb_hides_behind_an_interrupt(
    lake: LakeEngine, monkeypatch: pytest.MonkeyPatch, last: str, wanted: type[Exception]
) -> None:
    given = itertools.count()
    reader_of_answer = answers.arrow_reader

    def interrupted(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        yield reader.read_next_batch()
        # As it comes where another of its threads has failed.
        raise OSError("INTERRUPT Error: Interrupted!")

    def arrow_reader(answer: Any, rows_each: int) -> pa.RecordBatchReader:
        reader = reader_of_answer(answer, rows_each)
        if next(given):
            return reader
        return pa.RecordBatchReader.from_batches(reader.schema, interrupted(reader))

    monkeypatch.setattr(answers, "arrow_reader", arrow_reader)
    value = f"CASE WHEN i < 2900000 THEN '1' ELSE {last} END"
    sql = f"SELECT CAST({value} AS INTEGER) AS n FROM range(3000000) r(i)"
    batches = iter(lake.run_sql(SqlRequest(sql)))
    assert next(batches).num_rows
    with pytest.raises(wanted):
        list(batches)
    assert lake.run_sql(SqlRequest("SELECT 1 AS n")).read_all().num_rows == 1


def test_a_cancelled_query_ends_in_duckdb_too(lake: LakeEngine) -> None:
    cancellation = Cancellation()
    errors: list[BaseException] = []

    def query() -> None:
        sql = "SELECT sum(hash(a.range, b.range)) FROM range(1000000) a, range(1000000) b"
        try:
            lake.run_sql(SqlRequest(sql), cancellation).read_all()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=query)
    thread.start()
    wait_until(lambda: lake._pins.oldest_stream()[0] is not None, "the query runs")
    cancellation.cancel()
    thread.join(20)
    assert not thread.is_alive()
    assert [type(error) for error in errors] == [Cancelled]
    assert lake._pins.oldest_stream()[0] is None
    assert lake.run_sql(SqlRequest("SELECT 1 AS one")).read_all().to_pylist() == [{"one": 1}]
