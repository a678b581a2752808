"""New files and folders reach the disk; a disk that takes no more leaves nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flight_server.engines.lake.flushes import CLOCK_SLACK_SECONDS, Flusher
from flight_server.testing.conformance.handles import TableHandle, batches_of, reader_of
from tests.fix_lake import OpenLake, parquet_files, wait_until

LONG_AGO = 1_000_000.0


@pytest.fixture
def lake_threads() -> int:
    """Files are written by several of DuckDB's threads."""
    return 2


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that were flushed, in order."""
    paths: list[Path] = []
    monkeypatch.setattr(
        os,
        "fsync",
        lambda descriptor: paths.append(Path(os.readlink(f"/proc/self/fd/{descriptor}"))),
    )
    return paths


def make(path: Path, at: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"rows")
    if at is not None:
        os.utime(path, (at, at))
    return path


def age(*folders: Path) -> None:
    for folder in folders:
        os.utime(folder, (LONG_AGO, LONG_AGO))


def test_only_what_is_new(tmp_path: Path, flushed: list[Path]) -> None:
    old = make(tmp_path / "a" / "old.parquet", LONG_AGO)
    new = make(tmp_path / "b" / "deep" / "new.parquet")
    beside = make(tmp_path / "b" / "deep" / "beside.parquet", LONG_AGO)
    age(tmp_path / "a")
    Flusher(tmp_path).flush_since(time.time())
    assert set(flushed) == {tmp_path, tmp_path / "b", tmp_path / "b" / "deep", new}
    assert not {old, beside} & set(flushed)


def test_a_new_file_in_an_old_folder_of_an_old_tree(tmp_path: Path, flushed: list[Path]) -> None:
    """Folders above it keep their times; the one it stands in does not."""
    make(tmp_path / "a" / "b" / "old.parquet", LONG_AGO)
    new = make(tmp_path / "a" / "b" / "new.parquet")
    age(tmp_path, tmp_path / "a")
    Flusher(tmp_path).flush_since(time.time())
    assert set(flushed) == {tmp_path / "a" / "b", new}


def test_a_coarse_clock(tmp_path: Path, flushed: list[Path]) -> None:
    since = time.time()
    file = make(tmp_path / "t.parquet", since - CLOCK_SLACK_SECONDS / 2)
    Flusher(tmp_path).flush_since(since)
    assert file in flushed


def test_a_file_is_flushed_once_unless_it_grows(tmp_path: Path, flushed: list[Path]) -> None:
    file, flusher, since = make(tmp_path / "t.parquet"), Flusher(tmp_path), time.time()
    for _ in range(3):
        flusher.flush_since(since)
    assert flushed.count(file) == 1
    status = file.stat()
    with file.open("ab") as more:
        more.write(b"more")
    # The clock of the file system is coarse: it may well say the same.
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    flusher.flush_since(since)
    assert flushed.count(file) == 2


def test_files_are_flushed_while_they_grow(tmp_path: Path, flushed: list[Path]) -> None:
    flusher, since = Flusher(tmp_path), time.time()
    with flusher.ahead(since):
        file = make(tmp_path / "t.parquet")
        wait_until(lambda: file in flushed, "it is flushed before the end")
    flushed.clear()
    flusher.flush_since(since)
    assert file not in flushed


def test_a_flush_that_failed_is_not_taken_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells of a failure once, to whoever happens to ask first."""
    file, flusher, since = make(tmp_path / "t.parquet"), Flusher(tmp_path), time.time()
    told: list[int] = []

    def fail_once(descriptor: int) -> None:
        told.append(descriptor)
        if len(told) == 1:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail_once)
    with flusher.ahead(since):
        wait_until(lambda: bool(told), "it is flushed")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            flusher.flush_since(since)
    file.unlink()
    flusher.flush_since(since)


def test_files_that_go_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: list[Path]
) -> None:
    """Another transaction that rolls back takes its files away; that is no failure of this one."""
    gone, kept = make(tmp_path / "gone.parquet"), make(tmp_path / "kept.parquet")
    stat = os.stat

    def stat_and_lose(path: str, *arguments: object, **options: object) -> os.stat_result:
        found = stat(path)
        if Path(path) == gone:
            gone.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(os, "stat", stat_and_lose)
    Flusher(tmp_path).flush_since(time.time())
    monkeypatch.undo()
    assert kept in flushed
    assert gone not in flushed


def test_rollbacks_beside_commits(open_lake: OpenLake) -> None:
    """Streams that break, and so remove their files, disturb no commit."""
    engine = open_lake(durability="flush", group_rows_max=0)
    tables = [TableHandle(engine, name).create() for name in ("good", "bad")]
    errors: list[BaseException] = []

    def put(table: TableHandle, failure: Exception | None) -> None:
        for number in range(15):
            rows = batches_of(range(number * 1_000, number * 1_000 + 1_000), 500)
            try:
                table.stream(reader_of(rows, failure))
            except BaseException as error:
                if error is not failure:
                    errors.append(error)

    threads = [
        threading.Thread(target=put, args=arguments)
        for arguments in ((tables[0], None), (tables[1], ValueError("the line is cut")))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (tables[0].ids(), tables[1].ids()) == (list(range(15_000)), [])


# A limit on the size of any file stands in for a full disk: real writes fail, in DuckDB's own code.
FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
import pyarrow as pa
from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import PixelflightError
from flight_server.settings import Settings
from flight_server.testing.conformance.handles import TableHandle

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
engine = LakeEngine.open(
    Settings(data=Path(sys.argv[1]), housekeeping_seconds=0, threads=2, durability="flush")
)
table = TableHandle(engine).create()
table.put([{"id": -1}])
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
acknowledged, refused = [-1], []
for start, size in [(0, 60_000), *((10**6 + i, 1) for i in range(int(sys.argv[3])))]:
    names = [f"{number * 7919}" for number in range(size)]
    rows = pa.table({"id": range(start, start + size), "name": names})
    try:
        table.put(rows, token=f"t{start}")
        acknowledged += range(start, start + size)
    except PixelflightError as error:
        refused.append([error.code.text, error.message])
    except BaseException as error:
        refused.append(["bug", f"{type(error).__name__}: {error}"])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps([acknowledged, refused]))
sys.stdout.flush()
"""


@pytest.mark.parametrize(("limit", "puts"), [(100_000, 3), (25_000, 40)])
def test_a_disk_that_takes_no_more(
    tmp_path: Path, open_lake: OpenLake, limit: int, puts: int
) -> None:
    """Coded errors without a path; afterwards exactly what was acknowledged is there."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "data"), str(limit), str(puts)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    acknowledged, refused = json.loads(answer.stdout)
    assert refused
    for code, message in refused:
        assert code == "unavailable", message
        assert str(tmp_path) not in message
    table = TableHandle(open_lake())
    assert table.ids() == sorted(acknowledged)
    assert table.put([{"id": -2}]).rows == 1
    # Nothing of a put that failed is named, and most of it is gone.
    assert len([path for path in parquet_files(tmp_path / "data") if "t" in path.parts]) <= 2
