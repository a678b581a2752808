"""The metastore's file, its transactions, and what it says when it cannot be opened."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from flight_server.errors import InvalidRequest, PixelflightError, Unavailable
from flight_server.metastore import Metastore, database
from flight_server.metastore.tables import server_secrets

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.timezone(dt.timedelta(hours=5)))


def add(metastore: Metastore, name: str, at: dt.datetime = NOON) -> None:
    with metastore.begin() as connection:
        connection.execute(insert(server_secrets).values(name=name, value=b"v", created_at=at))


def names(metastore: Metastore) -> list[str]:
    with metastore.read() as connection:
        return sorted(connection.scalars(select(server_secrets.c.name)))


def test_sqlite_is_set_up_for_safety(metastore: Metastore) -> None:
    with metastore.read() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert found == ["wal", 2, 1, database.BUSY_MS_MAX]


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with Metastore.open(folder / "m.sqlite") as metastore:
        add(metastore, "a")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(("m.sqlite", "m.sqlite-wal", "m.sqlite-shm"), 0o600)


@pytest.mark.parametrize("name", ["m.sqlite", "100% sure.sqlite", "größe ü.sqlite", "a?b#c.sqlite"])
def test_rows_outlive_the_metastore_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    with Metastore.open(tmp_path / name) as metastore:
        add(metastore, "a")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with Metastore.open(str(tmp_path / name)) as metastore:
        assert names(metastore) == ["a"]


def test_a_url_names_the_same_file(tmp_path: Path) -> None:
    with Metastore.open(f"sqlite:///{tmp_path}/m.sqlite") as metastore:
        add(metastore, "a")
    with Metastore.open(tmp_path / "m.sqlite") as metastore:
        assert names(metastore) == ["a"]


def test_times_come_back_in_utc(metastore: Metastore) -> None:
    add(metastore, "a")
    with metastore.read() as connection:
        found = connection.scalar(select(server_secrets.c.created_at))
    assert found == NOON
    assert found.utcoffset() == dt.timedelta(0)


def test_a_time_without_a_zone_is_a_bug(metastore: Metastore) -> None:
    with pytest.raises((AssertionError, StatementError), match="no time zone"):
        add(metastore, "a", dt.datetime(2026, 1, 2))
    assert names(metastore) == []


def test_an_error_undoes_the_whole_block(metastore: Metastore) -> None:
    def fails() -> None:
        with metastore.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE extra (id INTEGER)")
            connection.execute(insert(server_secrets).values(name="a", value=b"", created_at=NOON))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert names(metastore) == []
    with metastore.read() as connection, pytest.raises(OperationalError, match="no such table"):
        connection.exec_driver_sql("SELECT * FROM extra")


def test_reading_leaves_nothing_behind(metastore: Metastore) -> None:
    with metastore.read() as connection:
        connection.execute(insert(server_secrets).values(name="a", value=b"", created_at=NOON))
    assert names(metastore) == []


def test_a_reader_sees_one_moment_and_waits_for_nobody(metastore: Metastore) -> None:
    add(metastore, "a")
    statement = select(server_secrets.c.name).order_by(server_secrets.c.name)
    with metastore.read() as reader:
        assert list(reader.scalars(statement)) == ["a"]
        add(metastore, "b")
        assert list(reader.scalars(statement)) == ["a"]
        with metastore.begin():
            assert names(metastore) == ["a", "b"]


def test_writers_that_read_first_wait_for_each_other(metastore: Metastore) -> None:
    def count_up(_: int) -> None:
        with metastore.begin() as connection:
            seen = len(list(connection.scalars(select(server_secrets.c.name))))
            connection.execute(
                insert(server_secrets).values(name=f"{seen:03}", value=b"", created_at=NOON)
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(40)))
    assert names(metastore) == [f"{n:03}" for n in range(40)]


def test_servers_that_open_a_new_metastore_at_once_all_succeed(tmp_path: Path) -> None:
    ready = threading.Barrier(6)

    def open_and_add(number: int) -> None:
        ready.wait()
        with Metastore.open(tmp_path / "m.sqlite") as metastore:
            add(metastore, str(number))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_and_add, range(6)))
    with Metastore.open(tmp_path / "m.sqlite") as metastore:
        assert names(metastore) == [str(n) for n in range(6)]


def test_opening_waits_longer_than_other_writers_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.sqlite"
    Metastore.open(path).close()
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(database, "BUSY_MS_MAX", 50)
    release = threading.Timer(0.5, holder.close)
    release.start()
    with Metastore.open(path) as metastore:
        assert names(metastore) == []
    release.join()


def test_opening_again_drops_no_lock_of_this_process(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    # Refused to another process as long as this one holds its lock on the open database.
    leave = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], timeout=0)\n"
        "print(connection.execute('PRAGMA journal_mode = DELETE').fetchone()[0])"
    )
    with Metastore.open(path) as metastore, metastore.read():
        Metastore.open(path).close()
        other = subprocess.run(
            [sys.executable, "-c", leave, path], capture_output=True, text=True, check=False
        )
    assert other.stderr.splitlines()[-1:] == ["sqlite3.OperationalError: database is locked"]


def test_opening_waits_for_the_lock_that_turns_the_write_ahead_log_on(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN")
    holder.execute("SELECT * FROM sqlite_master").fetchall()  # holds the file for reading
    release = threading.Timer(0.3, holder.close)
    release.start()
    with Metastore.open(path) as metastore:
        assert names(metastore) == []
    release.join()


def test_waiting_too_long_for_the_lock_is_unavailable_and_names_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS_MAX", 30)
    path = tmp_path / "m.sqlite"
    with Metastore.open(path) as metastore, Metastore.open(path) as other:
        with (
            metastore.begin(),
            pytest.raises(Unavailable, match="busy or out of reach: try again") as caught,
            other.begin(),
        ):
            raise AssertionError("the lock was not held")
        assert str(tmp_path) not in caught.value.message


def test_too_many_at_once_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/m.sqlite"
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with (
        Metastore(engine, url) as metastore,
        metastore.read(),
        pytest.raises(Unavailable, match="overloaded"),
        metastore.read(),
    ):
        raise AssertionError("there was a second connection")


def test_wrong_sql_is_a_bug_not_an_outage(metastore: Metastore) -> None:
    with pytest.raises(OperationalError, match="no such table"), metastore.begin() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")


def test_a_broken_constraint_is_told_as_itself(metastore: Metastore) -> None:
    add(metastore, "a")
    with pytest.raises(IntegrityError):
        add(metastore, "a")


def test_what_was_committed_survives_sigkill(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, pathlib\n"
        "sys.path.insert(0, '.')\n"
        "from flight_server.auth import KeyStore\n"
        "from flight_server.metastore import Metastore\n"
        "store = KeyStore(Metastore.open(pathlib.Path(sys.argv[1])))\n"
        "for number in range(5):\n"
        "    store.create(f'key {number}', ['reader'], created_by='test')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "m.sqlite"
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    with Metastore.open(path) as metastore, metastore.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM api_keys").scalar() == 5


def junk(tmp_path: Path) -> Path:
    path = tmp_path / "junk.sqlite"
    path.write_text("dear diary, " * 1000)
    return path


def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


def below_a_file(tmp_path: Path) -> Path:
    return junk(tmp_path) / "m.sqlite"


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        (junk, InvalidRequest, "is not a metastore: file is not a database"),
        (folder, Unavailable, "cannot be opened: Is a directory"),
        (below_a_file, Unavailable, "cannot be opened: File exists"),
        (lambda _: "sqlite://", InvalidRequest, "names no file"),
        (lambda _: "sqlite:///:memory:", InvalidRequest, "names no file"),
        (lambda _: "oracle7://h/d", InvalidRequest, "URL cannot be used"),
        (lambda _: "post gres://u:hush@h/d", InvalidRequest, "URL cannot be used"),
    ],
)
def test_a_place_that_is_no_metastore_is_refused(
    tmp_path: Path, place: object, error: type[PixelflightError], message: str
) -> None:
    assert callable(place)
    location = place(tmp_path)
    with pytest.raises(error, match=message) as caught:
        Metastore.open(location)
    assert "hush" not in caught.value.message


def test_a_metastore_that_is_locked_for_good_is_unavailable_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS_MAX", 30)
    monkeypatch.setattr(database, "OPENING_MS_MAX", 60)
    path = tmp_path / "m.sqlite"
    with (
        Metastore.open(path) as metastore,
        metastore.begin(),
        pytest.raises(Unavailable, match=r"m\.sqlite' cannot be opened: database is locked"),
    ):
        Metastore.open(path)


def test_an_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    path.touch()
    os.chmod(path, 0o640)
    with Metastore.open(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
