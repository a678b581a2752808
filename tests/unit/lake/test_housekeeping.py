"""The lake tends itself, and nothing vanishes under a reader."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.flushes import CLOCK_SLACK_SECONDS
from flight_server.errors import ErrorCode, InvalidRequest, NotFound, PixelflightError
from flight_server.model import AddColumn, ChangesRequest, Housekeeping, IngestRequest, ScanRequest
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    TableHandle,
    batches_of,
    reader_of,
    refused,
)
from tests.fix_lake import EAGER, OpenLake, parquet_files, wait_until

FILE_ROWS = 5_000


@pytest.fixture
def lake_threads() -> int:
    """Files are written and read by several of DuckDB's threads."""
    return 2


@pytest.fixture
def eager(open_lake: OpenLake) -> LakeEngine:
    """A lake that keeps nothing that is not needed, and does so only when asked."""
    return open_lake(**EAGER, batch_bytes=4096, small_file_bytes=2**26)


def table_of_files(engine: LakeEngine, count: int, name: str = "t") -> TableHandle:
    """A table of so many small files; its ids count from zero."""
    table = TableHandle(engine, name).create()
    for number in range(count):
        table.put(rows_of_file(number))
    return table


def rows_of_file(number: int) -> pa.Table:
    ids = range(number * FILE_ROWS, (number + 1) * FILE_ROWS)
    columns = {"id": ids, "name": [f"{i * 7919}" for i in ids], "amount": [i / 7 for i in ids]}
    return pa.table({name: list(values) for name, values in columns.items()}, SCHEMA)


def settle(engine: LakeEngine) -> list[Housekeeping]:
    """Rounds until one finds nothing to do, after the tickets of a former life have expired."""
    rounds = []
    end = time.monotonic() + 30
    while time.monotonic() < end:
        # What was replaced just now is held for as long as a ticket for it may be out.
        time.sleep(0.06)
        rounds.append(engine.housekeep())
        if rounds[-1] == Housekeeping():
            return rounds
    raise AssertionError(f"housekeeping never ends: {rounds[-3:]}")


@contextmanager
def half_read(table: TableHandle) -> Iterator[tuple[list[int], Iterator[pa.RecordBatch]]]:
    """An open stream: the ids that came first, and what is still to come."""
    with table.engine.scan(table.ref, ScanRequest()) as stream:
        first = next(iter(stream)).column("id").to_pylist()
        yield first, iter(stream)


def test_nothing_vanishes_under_a_reader(eager: LakeEngine, tmp_path: Path) -> None:
    table = table_of_files(eager, 10)
    whole = list(range(10 * FILE_ROWS))
    table.delete("id % 3 = 0")
    tagged = table.ids()
    tag = eager.create_tag(table.ref, "kept", None, AUTHOR)
    table.update({"amount": "-1"}, "id % 1000 = 1")
    eager.hold(eager.snapshot(), 3600)
    ticket, held = eager.snapshot(), table.rows()
    table.stream(reader_of(batches_of(whole, FILE_ROWS)), "overwrite")
    with half_read(table) as (begun, rest):
        table.delete("id >= 10")
        table.put([{"id": -1}])
        table.stream(reader_of(batches_of(range(50), 50)), "overwrite")
        for number in range(9):
            table.put(rows_of_file(number))
            table.put([{"id": -2}])
        rounds = settle(eager)
        assert sum(one.rows_flushed for one in rounds) >= 9
        assert sum(one.files_merged for one in rounds) >= 9
        assert sum(one.snapshots_expired for one in rounds) >= 9
        assert table.ids(version=tag.snapshot) == tagged
        assert table.rows(version=ticket) == held
        left = [i for batch in rest for i in batch.column("id").to_pylist()]
        assert len(begun) < len(whole)
        assert sorted(begun + left) == whole
    assert table.ids(version=eager.tagged(table.ref, "kept")) == tagged


def test_an_open_stream_is_read_to_its_end(eager: LakeEngine, tmp_path: Path) -> None:
    """Though its table is emptied, merged and expired: most of its files are not yet open."""
    table = table_of_files(eager, 40)
    files = parquet_files(tmp_path / "data")
    with half_read(table) as (begun, rest):
        table.delete()
        table.put(rows_of_file(50))
        assert sum(one.files_removed for one in settle(eager)) == 0
        assert files <= parquet_files(tmp_path / "data")
        left = [i for batch in rest for i in batch.column("id").to_pylist()]
    assert sorted(begun + left) == list(range(40 * FILE_ROWS))
    settle(eager)
    assert not files & parquet_files(tmp_path / "data")


def test_what_nobody_needs_goes(eager: LakeEngine, tmp_path: Path) -> None:
    table = table_of_files(eager, 9)
    eager.create_tag(table.ref, "kept", None, AUTHOR)
    old, before = eager.tagged(table.ref, "kept"), parquet_files(tmp_path / "data")
    table.stream(reader_of(batches_of(range(100), 100)), "overwrite")
    settle(eager)
    assert table.ids(version=old) == list(range(9 * FILE_ROWS))
    eager.drop_tag(table.ref, "kept", AUTHOR)
    removed = sum(one.files_removed for one in settle(eager))
    left = parquet_files(tmp_path / "data")
    assert removed >= 1
    assert not left & before
    assert table.ids() == list(range(100))
    with refused(ErrorCode.VERSION_NOT_FOUND, str(old), "oldest", error=NotFound):
        table.ids(version=old)


def test_an_expired_version_names_the_oldest_left(eager: LakeEngine) -> None:
    table = TableHandle(eager).create()
    first = table.put([{"id": 1}]).snapshot
    for number in range(2, 6):
        table.put([{"id": number}])
    settle(eager)
    with refused(ErrorCode.VERSION_NOT_FOUND, str(first), error=NotFound):
        table.ids(version=first)
    with pytest.raises(NotFound) as caught:
        list(eager.changes(table.ref, ChangesRequest(after=first)))
    assert caught.value.code is ErrorCode.VERSION_NOT_FOUND
    assert first < caught.value.details["oldest"] <= eager.snapshot()
    assert str(caught.value.details["oldest"]) in caught.value.message
    # From the oldest that is named the feed goes on.
    newest = table.put([{"id": 6}]).snapshot
    followed = eager.changes(table.ref, ChangesRequest(after=newest - 1)).read_all()
    assert followed.column("id").to_pylist() == [6]


def test_expiry_by_count(open_lake: OpenLake) -> None:
    engine = open_lake(**EAGER | {"snapshot_seconds_max": 3600, "snapshots_max": 5})
    table = TableHandle(engine).create()
    for number in range(20):
        table.put([{"id": number}])
    settle(engine)
    assert len(engine.versions(table.ref)) <= 5
    assert table.ids() == list(range(20))


def test_expiry_by_age_spares_the_young(open_lake: OpenLake) -> None:
    engine = open_lake(**EAGER | {"snapshot_seconds_max": 3600, "snapshots_max": 1000})
    table = TableHandle(engine).create()
    first = table.put([{"id": 1}]).snapshot
    for number in range(2, 10):
        table.put([{"id": number}])
    assert sum(one.snapshots_expired for one in settle(engine)) == 0
    assert table.ids(version=first) == [1]


def test_nothing_expires_while_tickets_of_a_former_life_may_be_out(open_lake: OpenLake) -> None:
    engine = open_lake(**EAGER | {"ticket_seconds": 3600})
    table = TableHandle(engine).create()
    first = table.put([{"id": 1}]).snapshot
    table.put([{"id": 2}])
    done = engine.housekeep()
    assert (done.snapshots_expired, done.files_removed) == (0, 0)
    assert table.ids(version=first) == [1]


def test_a_put_that_takes_long_keeps_its_files(eager: LakeEngine, tmp_path: Path) -> None:
    """Files of a commit that is still to come are named by nothing yet: they are no orphans."""
    table_of_files(eager, 2)
    written = parquet_files(tmp_path / "data")
    count = 400_000

    def slowly() -> Iterator[pa.RecordBatch]:
        yield from batches_of(range(count), 50_000)
        wait_until(lambda: parquet_files(tmp_path / "data") != written, "a file is written")
        (file,) = parquet_files(tmp_path / "data") - written
        # Old enough to be removed as an orphan, if it were one.
        age_seconds = CLOCK_SLACK_SECONDS + 1.5
        wait_until(lambda: time.time() - file.stat().st_mtime > age_seconds, "the file is old")
        assert eager.housekeep().files_removed == 0
        yield from batches_of(range(count, count + 10), 10)

    engine = TableHandle(eager, "long").create()
    engine.stream(pa.RecordBatchReader.from_batches(SCHEMA, slowly()))
    settle(eager)
    assert engine.ids() == list(range(count + 10))


def test_orphans_go(eager: LakeEngine, tmp_path: Path) -> None:
    table = table_of_files(eager, 1)
    (named,) = {path for path in parquet_files(tmp_path / "data") if "main" in path.parts}
    orphan = named.with_name("ducklake-orphan.parquet")
    orphan.write_bytes(named.read_bytes())
    os.utime(orphan, (0, 0))
    settle(eager)
    assert not orphan.exists()
    assert table.ids() == list(range(FILE_ROWS))


def test_tokens_survive_expiry(open_lake: OpenLake) -> None:
    engine = open_lake(**EAGER)
    table = TableHandle(engine).create()
    first = table.put([{"id": 1}], token="a")
    for number in range(2, 20):
        table.put([{"id": number}], token=f"t{number}")
    settle(engine)
    engine.close()
    engine = open_lake(**EAGER)
    again = TableHandle(engine).put([{"id": 1}], token="a")
    assert again.duplicate
    assert again.snapshot == first.snapshot
    assert TableHandle(engine).ids() == list(range(1, 20))


def test_rounds_in_the_background(open_lake: OpenLake, tmp_path: Path) -> None:
    engine = open_lake(**EAGER | {"housekeeping_seconds": 0.02}, small_file_bytes=2**26)
    table = table_of_files(engine, 12)
    data = tmp_path / "data"

    def is_merged() -> bool:
        return len(parquet_files(data)) < 12 and engine.describe(table.ref).files < 12

    wait_until(is_merged, "small files are merged")
    assert table.ids() == list(range(12 * FILE_ROWS))
    assert any(thread.name == "housekeeping" for thread in threading.enumerate())
    engine.close()
    assert not any(thread.name == "housekeeping" for thread in threading.enumerate())


def test_some_tables_only(eager: LakeEngine) -> None:
    tables = [table_of_files(eager, 3, name) for name in ("a", "b")]
    settled = eager.housekeep([tables[0].ref])
    assert settled.files_merged >= 3
    assert settled.snapshots_expired == 0
    assert eager.describe(tables[0].ref).files == 1
    assert eager.describe(tables[1].ref).files == 3
    with refused(ErrorCode.TABLE_NOT_FOUND, "nope", error=NotFound):
        eager.housekeep([TableHandle(eager, "nope").ref])


def test_versions_do_not_change_when_files_do(open_lake: OpenLake) -> None:
    """Merging and flushing is no version of a table, and takes none away."""
    engine = open_lake(**EAGER | {"snapshot_seconds_max": 3600, "snapshots_max": 1000})
    table = table_of_files(engine, 8)
    for number in range(5):
        table.put([{"id": -number}])
        table.update({"amount": "0"}, f"id = {number}")
    table.delete("id % 2 = 0")
    versions = [version.snapshot for version in engine.versions(table.ref)]
    before = {version: table.rows(version=version) for version in versions[:-1:4]}
    assert any(one.files_merged for one in settle(engine))
    assert [version.snapshot for version in engine.versions(table.ref)] == versions
    assert {version: table.rows(version=version) for version in before} == before
    changes = engine.changes(table.ref, ChangesRequest(after=versions[-1])).read_all()
    inserted = sum(1 for kind in changes.column("_change").to_pylist() if kind == "insert")
    assert inserted == 8 * FILE_ROWS + 5


def test_slices_hold_off_a_merge(open_lake: OpenLake) -> None:
    engine = open_lake(**EAGER | {"ticket_seconds": 3600}, small_file_bytes=2**26)
    table = table_of_files(engine, 6)
    request = ScanRequest(version=engine.snapshot())
    parts = engine.slices(table.ref, request, 1)
    assert len(parts) >= 6
    for number in range(6, 12):
        table.put(rows_of_file(number))
        table.put([{"id": -number}])
    assert engine.housekeep().files_merged == 0
    ids = [i for part in parts for i in table.ids(version=request.version, slice=part.name)]
    assert sorted(ids) == list(range(6 * FILE_ROWS))


def test_small_files_are_sliced_until_a_round_has_to_wait(open_lake: OpenLake) -> None:
    """Then nobody holds them anew, and they are merged once the tickets have expired."""
    engine = open_lake(**EAGER | {"ticket_seconds": 2}, small_file_bytes=2**26)
    table = table_of_files(engine, 12)
    request = ScanRequest(version=engine.snapshot())
    parts = engine.slices(table.ref, request, 1)
    assert len(parts) == 12
    assert engine.housekeep().files_merged == 0
    ids = [i for part in parts for i in table.ids(version=request.version, slice=part.name)]
    assert sorted(ids) == list(range(12 * FILE_ROWS))
    assert [part.name for part in engine.slices(table.ref, request, 1)] == [None]
    time.sleep(2.1)
    assert engine.housekeep().files_merged == 12
    for number in range(12, 14):
        table.put(rows_of_file(number))
    assert len(engine.slices(table.ref, ScanRequest(), 1)) > 1


def test_slices_of_merged_files_are_refused(eager: LakeEngine) -> None:
    table = table_of_files(eager, 4)
    request = ScanRequest(version=eager.snapshot())
    eager.hold(eager.snapshot(), 3600)
    parts = eager.slices(table.ref, request, 1)
    for number in range(4, 10):
        table.put(rows_of_file(number))
    settle(eager)
    assert eager.describe(table.ref).files < 10
    with refused(ErrorCode.TICKET_EXPIRED, error=InvalidRequest):
        table.ids(version=request.version, slice=parts[1].name)
    assert table.ids(version=request.version) == list(range(4 * FILE_ROWS))


def test_an_open_transaction_keeps_what_it_reads_and_wrote(eager: LakeEngine) -> None:
    """However long it is idle; others commit, and housekeeping does the rest."""
    table = table_of_files(eager, 3)
    other = TableHandle(eager, "other").create()
    with eager.transaction(AUTHOR) as transaction:
        rows = rows_of_file(0)
        transaction.ingest(other.ref, IngestRequest(), rows.to_reader(), AUTHOR)
        for number in range(3, 12):
            table.put(rows_of_file(number))
        table.delete(f"id < {2 * FILE_ROWS}")
        for _ in range(3):
            eager.housekeep()
        found = transaction.scan(table.ref, ScanRequest()).read_all()
        assert sorted(found.column("id").to_pylist()) == list(range(3 * FILE_ROWS))
        assert transaction.scan(other.ref, ScanRequest()).read_all().num_rows == FILE_ROWS
    assert len(other.ids()) == FILE_ROWS
    settle(eager)
    assert len(other.ids()) == FILE_ROWS
    assert table.ids() == list(range(2 * FILE_ROWS, 12 * FILE_ROWS))


def test_inlined_rows_of_older_columns_wait_for_open_streams(eager: LakeEngine) -> None:
    """DuckLake drops what those rows are inlined in, whoever may still want to read it."""
    table = TableHandle(eager).create()
    table.put([{"id": 1}])
    table.alter(AddColumn(pa.field("more", pa.int32())))
    table.put([{"id": 2}])
    files = eager.describe(table.ref).files
    with eager.transaction(AUTHOR) as transaction:
        eager.housekeep([table.ref])
        found = transaction.scan(table.ref, ScanRequest()).read_all()
        assert found.column("id").to_pylist() == [1, 2]
    assert eager.describe(table.ref).files == files
    assert eager.housekeep([table.ref]).rows_flushed == 2
    assert table.ids() == [1, 2]


def test_readers_meanwhile(eager: LakeEngine) -> None:
    """Readers of an altered table see every row, whatever housekeeping does beside them."""
    table = TableHandle(eager).create()
    stop = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not stop.is_set():
            before = len(acknowledged)
            try:
                found = table.ids()
                if len(found) < before or len(set(found)) < len(found):
                    wrong.append((before, found))
            except PixelflightError as error:
                wrong.append(error)

    acknowledged: list[int] = []
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(40):
            table.put([{"id": number}])
            acknowledged.append(number)
            if number % 4 == 0:
                table.alter(AddColumn(pa.field(f"c{number}", pa.int32())))
            if number % 3 == 0:
                eager.housekeep()
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert table.ids() == list(range(40))
