"""Acknowledged means on the disk: what a power cut takes is what nobody was told was safe.

A disk that forgets stands in for the power cut: of a file it keeps what was flushed, of a folder
the names that were in it when it was flushed. Only DuckDB's own catalog, which flushes itself
from C, is taken as it lies there.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import PixelflightError, Unavailable
from flight_server.model import CommitEvery, IngestRequest, TableSpec
from flight_server.testing.conformance.handles import (
    AUTHOR,
    SCHEMA,
    TableHandle,
    batches_of,
    reader_of,
)
from tests.fix_lake import OpenLake

CATALOG = {"catalog.duckdb", "catalog.duckdb.wal"}


class ForgetfulDisk:
    """Remembers what was flushed: of files how much, of folders which names."""

    def __init__(self) -> None:
        self.sizes: dict[Path, int] = {}
        self.names: dict[Path, set[str]] = {}

    def fsync(self, descriptor: int) -> None:
        """Stands in for os.fsync."""
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self.names[path] = set(os.listdir(path))
        else:
            self.sizes[path] = status.st_size

    def cut_power(self, folder: Path, survivor: Path) -> None:
        """What is left of the folder, written to another one."""
        survivor.mkdir()
        for entry in folder.iterdir():
            to = survivor / entry.name
            if entry.name in CATALOG:
                to.write_bytes(entry.read_bytes())
            elif entry.name not in self.names.get(folder, ()):
                continue
            elif entry.is_dir():
                self.cut_power(entry, to)
            else:
                to.write_bytes(entry.read_bytes()[: self.sizes.get(entry, 0)])


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> ForgetfulDisk:
    found = ForgetfulDisk()
    monkeypatch.setattr(os, "fsync", found.fsync)
    return found


@pytest.fixture
def engine(disk: ForgetfulDisk, open_lake: OpenLake) -> LakeEngine:
    # Everything that can be a file is one: nothing is grouped.
    return open_lake(durability="flush", group_rows_max=0, small_file_bytes=2**26)


class Survivors:
    """Opens what is left after a power cut, as often as a test cuts the power."""

    def __init__(self, disk: ForgetfulDisk, open_lake: OpenLake, folder: Path) -> None:
        self._disk, self._open, self._folder, self._cuts = disk, open_lake, folder, 0

    def ids(self, name: str = "t") -> list[int]:
        """The ids of a table in the lake that is left now."""
        self._cuts += 1
        survivor = self._folder / f"survivor-{self._cuts}"
        self._disk.cut_power(self._folder / "data", survivor)
        engine = self._open(data=survivor)
        try:
            return TableHandle(engine, name).ids()
        finally:
            engine.close()


@pytest.fixture
def survivors(disk: ForgetfulDisk, open_lake: OpenLake, tmp_path: Path) -> Survivors:
    return Survivors(disk, open_lake, tmp_path)


def test_the_disk_forgets(open_lake: OpenLake, survivors: Survivors) -> None:
    """Without flushing a power cut does take the rows: the other tests can fail."""
    engine = open_lake(durability="none", group_rows_max=0)
    table = TableHandle(engine).create()
    table.stream(reader_of(batches_of(range(5_000), 5_000)))
    assert len(table.ids()) == 5_000
    with pytest.raises(PixelflightError):
        survivors.ids()


def test_every_acknowledged_put_survives(engine: LakeEngine, survivors: Survivors) -> None:
    table = TableHandle(engine).create(partition_by=("name",))
    seen: list[list[int]] = []
    sent: list[int] = []
    for start, size in ((0, 1), (1, 300), (301, 5_000)):
        sent += range(start, start + size)
        rows = [{"id": i, "name": f"part {i % 3}"} for i in range(start, start + size)]
        table.put(rows, token=f"t{start}", acknowledge=lambda _: seen.append(survivors.ids()))
        assert seen[-1] == sent
    assert len(seen) == 3


def test_every_commit_of_a_stream_survives(engine: LakeEngine, survivors: Survivors) -> None:
    table = TableHandle(engine).create()
    seen: list[tuple[int, list[int]]] = []
    batches = reader_of(batches_of(range(6_000), 500))
    every = CommitEvery(rows=2_000)
    table.stream(
        batches,
        commit_every=every,
        acknowledge=lambda commit: seen.append((commit.offset, survivors.ids())),
    )
    assert seen == [(offset, list(range(offset))) for offset in (2_000, 4_000, 6_000)]


def test_everything_else_survives(engine: LakeEngine, survivors: Survivors) -> None:
    """Updates, deletes, upserts, overwrites, restores, undrops, merged files."""
    table = TableHandle(engine).create(key=("id",))
    table.stream(reader_of(batches_of(range(3_000), 3_000)))
    old = engine.snapshot()
    table.update({"amount": "0"}, "id < 1500")
    assert survivors.ids() == list(range(3_000))
    table.delete("id >= 1000")
    assert survivors.ids() == list(range(1_000))
    table.stream(reader_of(batches_of(range(500, 2_500), 500)), "upsert")
    assert survivors.ids() == list(range(2_500))
    table.stream(reader_of(batches_of(range(100, 2_000), 500)), "overwrite")
    assert survivors.ids() == list(range(100, 2_000))
    engine.restore(table.ref, old, AUTHOR)
    assert survivors.ids() == list(range(3_000))
    engine.drop_table(table.ref, AUTHOR)
    engine.undrop_table(table.ref, AUTHOR)
    assert survivors.ids() == list(range(3_000))
    for start in range(3_000, 12_000, 1_000):
        table.stream(reader_of(batches_of(range(start, start + 1_000), 1_000)))
        table.put([{"id": start + 100_000}])
    done = engine.housekeep()
    assert done.files_merged
    assert done.rows_flushed
    expected = [*range(12_000), *(start + 100_000 for start in range(3_000, 12_000, 1_000))]
    assert survivors.ids() == expected


def test_many_at_once_survive(open_lake: OpenLake, survivors: Survivors) -> None:
    """Grouped puts, each with a token, together with large ones."""
    engine = open_lake(durability="flush")
    table = TableHandle(engine).create()
    errors: list[BaseException] = []

    def put(number: int) -> None:
        try:
            size = 20_000 if number % 4 == 0 else 1 + number * 7
            ids = range(number * 100_000, number * 100_000 + size)
            table.stream(reader_of(batches_of(ids, 5_000)), token=f"t{number}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert survivors.ids() == table.ids()
    assert len(table.ids()) == sum(20_000 if n % 4 == 0 else 1 + n * 7 for n in range(24))


def test_a_transaction_survives(engine: LakeEngine, survivors: Survivors) -> None:
    tables = [TableHandle(engine, name).create() for name in ("a", "b")]
    with engine.transaction(AUTHOR) as transaction:
        for table in tables:
            rows = reader_of(batches_of(range(2_000), 2_000))
            transaction.ingest(table.ref, IngestRequest(), rows, AUTHOR)
    assert survivors.ids("a") == survivors.ids("b") == list(range(2_000))


def test_files_are_flushed_before_the_catalog_names_them(
    engine: LakeEngine, disk: ForgetfulDisk, tmp_path: Path
) -> None:
    table = TableHandle(engine).create()
    named: list[Path] = []

    def check(_: Any) -> None:
        data = tmp_path / "data"
        rows = engine._instance.rows(
            "SELECT s.path || t.path || f.path "
            "FROM __ducklake_metadata_lake.main.ducklake_data_file f "
            "JOIN __ducklake_metadata_lake.main.ducklake_table t USING (table_id) "
            "JOIN __ducklake_metadata_lake.main.ducklake_schema s USING (schema_id)"
        )
        named[:] = [data / "lake" / "files" / path for (path,) in rows]
        for path in named:
            assert disk.sizes[path] == path.stat().st_size
            assert path.name in disk.names[path.parent]

    for start in (0, 3_000):
        batches = reader_of(batches_of(range(start, start + 3_000), 1_000))
        table.stream(batches, acknowledge=check)
    assert len([path for path in named if "t" in path.parts]) == 2


def test_without_durability_nothing_is_flushed(open_lake: OpenLake, disk: ForgetfulDisk) -> None:
    engine = open_lake(durability="none", group_rows_max=0)
    disk.sizes.clear()
    disk.names.clear()
    table = TableHandle(engine).create()
    table.stream(reader_of(batches_of(range(5_000), 1_000)))
    table.delete("id < 100")
    engine.housekeep()
    assert (disk.sizes, disk.names) == ({}, {})


@pytest.fixture
def flushing(open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch) -> Iterator[LakeEngine]:
    """A lake whose disk is full whenever something is to reach it."""
    engine = open_lake(durability="flush", group_rows_max=0)
    engine.create_table(TableHandle(engine).ref, TableSpec(SCHEMA), AUTHOR)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", "/secret/folder/file.parquet")

    monkeypatch.setattr(os, "fsync", full)
    yield engine
    monkeypatch.undo()


def test_what_cannot_be_flushed_is_not_committed(flushing: LakeEngine) -> None:
    table, before = TableHandle(flushing), flushing.snapshot()
    acknowledged: list[Any] = []
    with pytest.raises(Unavailable, match="disk is full") as caught:
        table.stream(
            pa.RecordBatchReader.from_batches(SCHEMA, batches_of(range(5_000), 1_000)),
            token="a",
            acknowledge=acknowledged.append,
        )
    assert "secret" not in caught.value.message
    assert (acknowledged, table.ids(), flushing.snapshot()) == ([], [], before)
