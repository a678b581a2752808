"""Putting batches in: what is grouped and what streams, in bounded memory, whatever its shape."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pyarrow as pa
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import Conflict, ErrorCode, InvalidRequest, Unavailable
from flight_server.model import Commit, CommitEvery, IngestRequest, NamespaceRef, TableRef
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    TableHandle,
    batches_of,
    reader_of,
    refused,
)
from tests.fix_lake import EAGER, OpenLake, parquet_files, wait_until

STREAMED_MEGABYTES = 600
AWKWARD = "a\"b/c😀'"


@pytest.fixture
def lake_threads() -> int:
    """Streams of many rows are pulled by whichever of DuckDB's threads."""
    return 2


def test_small_puts_stay_in_the_catalog(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    table.put([{"id": 1}])
    assert lake.describe(table.ref).files == 0
    table.stream(reader_of(batches_of(range(5_000), 1_000)))
    assert lake.describe(table.ref).files == 1
    assert lake.describe(table.ref).rows == 5_001


@pytest.mark.parametrize("rows", [9_999, 10_000, 10_001, 30_000])
def test_the_edge_between_grouped_and_streamed(lake: LakeEngine, rows: int) -> None:
    table = TableHandle(lake).create()
    answer = table.stream(reader_of(batches_of(range(rows), 2_500)), token="a")
    assert (answer.rows, answer.rows_inserted, answer.offset) == (rows, rows, rows)
    assert table.stream(reader_of(batches_of(range(rows), 900)), token="a").duplicate
    assert table.ids() == list(range(rows))


def test_wide_rows_are_streamed(lake: LakeEngine) -> None:
    """Few rows of many bytes are no small put."""
    table = TableHandle(lake).create()
    big = [{"id": i, "name": "x" * 1_000_000} for i in range(20)]
    table.put(big)
    assert lake._groups._waiting == []
    assert [len(row["name"]) for row in table.rows()] == [1_000_000] * 20


def test_memory_is_bounded(open_lake: OpenLake) -> None:
    """A stream far larger than what DuckDB may use goes through."""
    engine = open_lake(memory_bytes_max=256 * 2**20)
    table = TableHandle(engine)
    # Rows that do not compress, made as they are asked for.
    count = 2**20 // 8
    process = psutil.Process()

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(STREAMED_MEGABYTES):
            values = pa.py_buffer(os.urandom(count * 8))
            array = pa.Array.from_buffers(pa.int64(), count, [None, values])
            peaks.append(process.memory_info().rss)
            yield pa.record_batch([array], ["n"])
            assert number < STREAMED_MEGABYTES

    peaks: list[int] = []
    schema = pa.schema([("n", pa.int64())])
    before = process.memory_info().rss
    answer = table.stream(pa.RecordBatchReader.from_batches(schema, batches()), "create")
    assert answer.rows == STREAMED_MEGABYTES * count
    assert max(peaks) - before < 450 * 2**20


def test_many_columns(lake: LakeEngine) -> None:
    data = {f"column {i}": [i, None] for i in range(400)}
    table = TableHandle(lake)
    table.put(data, "create", token="a")
    table.put(data)
    assert table.scan().num_columns == 400
    assert table.scan(columns=("column 399",)).column(0).to_pylist() == [399, None] * 2


def test_awkward_names_everywhere(lake: LakeEngine) -> None:
    """In namespaces, tables, columns, tags, tokens, filters, housekeeping."""
    lake.create_namespace(NamespaceRef("lake", AWKWARD), AUTHOR)
    table = TableHandle(lake, AWKWARD, AWKWARD)
    data = {AWKWARD: list(range(50)), "x'\"": ["y"] * 50}
    table.put(data, "create", token=AWKWARD)
    assert table.put(data, "create", token=AWKWARD).duplicate
    table.put(data, "upsert", key=(AWKWARD,))
    lake.create_tag(table.ref, AWKWARD, None, AUTHOR)
    for start in range(2):
        table.put({AWKWARD: list(range(start * 1_000, start * 1_000 + 900)), "x'\"": ["z"] * 900})
    assert lake.housekeep([table.ref]).files_merged == 3
    lake.rename_table(table.ref, TableRef("lake", AWKWARD, AWKWARD + "2"), AUTHOR)
    table = TableHandle(lake, AWKWARD + "2", AWKWARD)
    column = '"' + AWKWARD.replace('"', '""') + '"'
    assert table.scan(filter=f'{column} = 49 AND "x\'""" = \'y\'').num_rows == 1
    assert [tag.name for tag in lake.tags(table.ref)] == [AWKWARD]
    lake.drop_table(table.ref, AUTHOR)
    lake.undrop_table(table.ref, AUTHOR)
    assert table.scan().num_rows == 1_850


def test_an_overwrite_within_commits(lake: LakeEngine) -> None:
    """The first commit replaces what was there, those after it add to it."""
    table = TableHandle(lake).create()
    table.put([{"id": -1}])
    offsets: list[int] = []
    table.stream(
        reader_of(batches_of(range(25), 5)),
        "overwrite",
        commit_every=CommitEvery(rows=10),
        acknowledge=lambda commit: offsets.append(commit.offset),
    )
    assert offsets == [10, 20, 25]
    assert table.ids() == list(range(25))


def test_an_overwrite_that_met_another_commit(lake: LakeEngine) -> None:
    """What came meanwhile is not swept away unseen."""
    table = TableHandle(lake).create()

    def batches() -> Iterator[pa.RecordBatch]:
        yield from batches_of(range(100, 105), 5)
        table.put([{"id": 7}])
        yield from batches_of(range(105, 110), 5)

    with refused(ErrorCode.CONFLICT, "'t'", error=Conflict):
        table.stream(reader_of(batches()), "overwrite")
    assert table.ids() == [7]


def test_a_table_that_is_renamed_under_a_stream(lake: LakeEngine) -> None:
    """All of it or nothing, and no token under a name that is another table's."""
    table, other = TableHandle(lake).create(), TableHandle(lake, "other")

    def batches() -> Iterator[pa.RecordBatch]:
        yield from batches_of(range(20_000), 5_000)
        lake.rename_table(table.ref, other.ref, AUTHOR)
        yield from batches_of(range(20_000, 30_000), 5_000)

    with pytest.raises(Conflict):
        table.stream(reader_of(batches()), token="a")
    assert other.ids() == []
    assert not other.stream(reader_of(batches_of(range(30_000), 5_000)), token="a").duplicate


def test_a_table_that_is_dropped_and_made_under_a_stream(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()

    def batches() -> Iterator[pa.RecordBatch]:
        yield from batches_of(range(20_000), 5_000)
        lake.drop_table(table.ref, AUTHOR)
        table.create()
        yield from batches_of(range(20_000, 30_000), 5_000)

    with pytest.raises(Conflict):
        table.stream(reader_of(batches()), token="a")
    assert table.ids() == []
    assert not table.stream(reader_of(batches_of(range(10), 10)), token="a").duplicate


def test_housekeeping_under_a_stream(lake: LakeEngine) -> None:
    """Of the table itself and of the hidden ones that the commit will write to."""
    table = TableHandle(lake).create()
    for number in range(3):
        table.put([{"id": -number}], token=f"t{number}")

    def batches() -> Iterator[pa.RecordBatch]:
        yield from batches_of(range(1_000, 20_000), 5_000)
        assert lake.housekeep().rows_flushed >= 3
        yield from batches_of(range(20_000, 30_000), 5_000)

    assert table.stream(reader_of(batches()), token="a").rows == 29_000
    assert table.ids() == [-2, -1, 0, *range(1_000, 30_000)]
    assert table.put([{"id": 0}], token="t0").duplicate


@pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "merge", "create"])
def test_a_stream_that_breaks(open_lake: OpenLake, mode: str) -> None:
    """Leaves the table as it was, and the folder once housekeeping has been there."""
    engine = open_lake(**EAGER, group_rows_max=0)
    table = TableHandle(engine)
    if mode != "create":
        table.create(key=("id",)).stream(reader_of(batches_of(range(100), 100)))
    files = parquet_files(engine._instance.settings.data)
    before = engine.snapshot()
    broken = reader_of(batches_of(range(50, 20_000), 5_000), Unavailable("The line is cut."))
    with refused(ErrorCode.UNAVAILABLE, "The line is cut.", error=Unavailable):
        table.stream(broken, mode)
    assert engine.snapshot() == before
    left = parquet_files(engine._instance.settings.data) - files
    for path in left:
        os.utime(path, (0, 0))
    wait_until(lambda: not engine._pins.is_quiet, "no tickets are out")
    assert engine.housekeep().files_removed == len(left)
    assert not left & parquet_files(engine._instance.settings.data)
    if mode != "create":
        assert table.ids() == list(range(100))


def test_a_transaction_takes_tokens_and_gives_them_back(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()

    def ingest() -> Commit:
        with lake.transaction(AUTHOR) as transaction:
            rows = reader_of(batches_of(range(5), 5))
            return transaction.ingest(table.ref, IngestRequest(token="a"), rows, AUTHOR)

    def fail() -> None:
        with lake.transaction(AUTHOR) as transaction:
            rows = reader_of(batches_of(range(5), 5))
            transaction.ingest(table.ref, IngestRequest(token="a"), rows, AUTHOR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not ingest().duplicate
    assert ingest().duplicate
    assert table.ids() == list(range(5))


def test_nulls_where_none_may_be(lake: LakeEngine) -> None:
    table = TableHandle(lake).create()
    rows = pa.RecordBatchReader.from_batches(
        SCHEMA.set(0, pa.field("id", pa.int64())),
        [pa.record_batch({"id": [1, None], "name": ["a", "b"], "amount": [1.0, 2.0]})],
    )
    with pytest.raises(InvalidRequest, match="'id'"):
        table.stream(rows)
    assert table.ids() == []
