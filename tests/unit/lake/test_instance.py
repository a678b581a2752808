"""One DuckDB with the lake attached: opened once, locked down, moved, encrypted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from flight_server.engines.lake.engine import LakeEngine
from flight_server.engines.lake.instance import READERS_IDLE_MAX, Instance
from flight_server.errors import InvalidRequest, PixelflightError, Unavailable
from flight_server.model import SqlRequest
from flight_server.settings import Settings
from flight_server.testing.conformance.handles import AUTHOR, TableHandle, batches_of, reader_of
from tests.fix_lake import QUIET, OpenLake, parquet_files

HOLD = """
import sys
from pathlib import Path
from flight_server.engines.lake.engine import LakeEngine
from flight_server.settings import Settings
engine = LakeEngine.open(Settings(data=Path(sys.argv[1]), housekeeping_seconds=0))
print("open", flush=True)
sys.stdin.read()
"""


def test_another_process_has_it(tmp_path: Path, open_lake: OpenLake) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "data")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(Unavailable, match=r"in use by another server. Stop it"):
            open_lake()
        holder.kill()
    # What was killed holds nothing.
    assert open_lake().namespaces() == ["main"]


def test_this_process_has_it(open_lake: OpenLake) -> None:
    first = open_lake()
    with pytest.raises(Unavailable, match="in use"):
        open_lake()
    first.close()
    assert open_lake().namespaces() == ["main"]


def test_a_data_folder_may_be_moved(tmp_path: Path, open_lake: OpenLake) -> None:
    engine = open_lake()
    table = TableHandle(engine).create()
    table.stream(reader_of(batches_of(range(100), 100)))
    engine.close()
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    engine = open_lake(data=tmp_path / "elsewhere")
    table = TableHandle(engine)
    table.stream(reader_of(batches_of(range(100, 200), 100)))
    assert table.ids() == list(range(200))
    assert len(parquet_files(tmp_path / "elsewhere")) == 2


def test_files_kept_elsewhere_stay_there(tmp_path: Path, open_lake: OpenLake) -> None:
    files = tmp_path / "it's a folder"
    engine = open_lake(lake_files=str(files))
    TableHandle(engine).create().stream(reader_of(batches_of(range(100), 100)))
    engine.close()
    assert len(list(files.rglob("*.parquet"))) == 1
    with pytest.raises(InvalidRequest, match="kept elsewhere than 'lake_files' says"):
        open_lake()
    assert TableHandle(open_lake(lake_files=str(files))).ids() == list(range(100))


def test_s3_may_be_for_others_than_the_lake(open_lake: OpenLake) -> None:
    """Files that are imported and exported may lie there while the lake's own do not."""
    table = TableHandle(open_lake(s3_endpoint="127.0.0.1:9", s3_access_key_id="id")).create()
    table.stream(reader_of(batches_of(range(10), 10)))
    assert table.ids() == list(range(10))


def test_encryption_is_fixed(open_lake: OpenLake) -> None:
    open_lake().close()
    with pytest.raises(InvalidRequest, match="lake_encrypted"):
        open_lake(lake_encrypted=True)


def test_encrypted_files_are_closed_to_others(tmp_path: Path, open_lake: OpenLake) -> None:
    """Written, changed, merged, read at every version; the files alone tell nothing."""
    engine = open_lake(lake_encrypted=True, durability="flush", ticket_seconds=0.05)
    table = TableHandle(engine).create(key=("id",))
    for start in range(0, 1_000, 100):
        table.stream(reader_of(batches_of(range(start, start + 100), 100)))
    old = engine.snapshot()
    table.update({"name": "'a secret name'"}, "id < 500")
    table.delete("id >= 990")
    table.put([{"id": 5_000, "name": "a secret name"}], token="a")
    engine.housekeep()
    engine.close()
    files = parquet_files(tmp_path / "data")
    assert files
    for path in files:
        assert b"a secret name" not in path.read_bytes()
        with pytest.raises((OSError, ValueError)):
            pq.read_table(path)
        with duckdb.connect() as connection, pytest.raises(duckdb.Error):
            connection.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()
    table = TableHandle(open_lake(lake_encrypted=True))
    assert table.ids() == [*range(990), 5_000]
    assert table.ids(version=old) == list(range(1_000))
    assert len(table.rows(filter="name = 'a secret name'")) == 501
    assert table.put([{"id": 5_000, "name": "a secret name"}], token="a").duplicate


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "ATTACH '/tmp/other.db' AS other",
        "COPY (SELECT 1) TO '/tmp/other.csv'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT * FROM some_python_variable",
    ],
)
def test_nothing_outside_is_in_reach(lake: LakeEngine, sql: str) -> None:
    some_python_variable = TableHandle(lake).create().scan()
    with pytest.raises(PixelflightError):
        lake.run_sql(SqlRequest(sql)).read_all()
    assert some_python_variable.num_rows == 0


def test_readers_are_lent_again_while_nothing_changes(tmp_path: Path) -> None:
    instance = Instance(Settings(data=tmp_path, **QUIET))
    first = instance.lend(0)
    instance.give_back(first)
    assert instance.lend(0) is first
    instance.give_back(first)
    again = instance.lend(1)
    assert again is first
    instance.give_back(again)
    instance.forget_readers()
    assert instance.lend(0) is not first
    instance.close()


def test_few_readers_are_kept(tmp_path: Path) -> None:
    instance = Instance(Settings(data=tmp_path, **QUIET))
    readers = [instance.lend(0) for _ in range(READERS_IDLE_MAX + 3)]
    for reader in readers:
        instance.give_back(reader)
    assert len(instance._idle) == READERS_IDLE_MAX
    instance.close()


def test_a_commit_ends_idle_readers_of_what_was_before(open_lake: OpenLake) -> None:
    engine = open_lake()
    instance, table = engine._instance, TableHandle(engine).create()
    readers = [instance.lend(engine.snapshot()) for _ in range(4)]
    for reader in readers[1:]:
        instance.give_back(reader)
    assert instance._idle == readers[1:]
    table.stream(reader_of(batches_of(range(3), 3)))
    assert instance._idle == []
    # One that was at work then is still lent again, and sees what is new.
    instance.give_back(readers[0])
    with instance.reading(engine.snapshot()) as reader:
        assert reader is readers[0]
        assert reader.connection.execute("SELECT count(*) FROM lake.main.t").fetchone() == (3,)


def test_a_reader_whose_block_fails_is_not_lent_again(tmp_path: Path) -> None:
    instance = Instance(Settings(data=tmp_path, **QUIET))
    with pytest.raises(duckdb.Error), instance.reading(0) as reader:
        reader.connection.execute("SELECT nonsense")
    assert instance._idle == []
    instance.close()


def test_the_lake_is_open_to_plain_duckdb(tmp_path: Path, open_lake: OpenLake) -> None:
    engine = open_lake()
    TableHandle(engine).create().stream(reader_of(batches_of(range(100), 100)))
    engine.create_tag(TableHandle(engine).ref, "a", None, AUTHOR)
    engine.close()
    with duckdb.connect() as connection:
        connection.execute("LOAD ducklake")
        connection.execute(
            f"ATTACH 'ducklake:{tmp_path}/data/lake/catalog.duckdb' AS lake (READ_ONLY)"
        )
        assert connection.execute("SELECT sum(id) FROM lake.main.t").fetchone() == (4950,)
