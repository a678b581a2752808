"""The process that holds Pixeltable: when it starts, what its death means, what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import Cancelled, InvalidRequest, Unavailable
from flight_server.model import ScanRequest
from tests.fix_pixeltable import NUMBERS, PICTURES, postgres_of


@pytest.fixture
def own(own_home: Path) -> Iterator[PixeltableEngine]:
    """An engine over a home of its own."""
    with closing(PixeltableEngine.at(own_home)) as engine:
        yield engine


def test_it_starts_with_the_first_request_and_ends_with_the_engine(own_home: Path) -> None:
    with closing(PixeltableEngine.at(own_home)) as engine:
        assert engine.about == {}
        assert not postgres_of(own_home)
        assert "kinds" in engine.namespaces()
        assert engine.is_awake
        assert engine.about["version"] == "0.7.21"
        assert engine.about["distrust"] == ""
        assert postgres_of(own_home)
    assert not postgres_of(own_home)
    with pytest.raises(Unavailable, match="stopping"):
        engine.namespaces()


def test_a_database_that_ran_before_is_left_running(own_home: Path) -> None:
    other = PixeltableEngine.at(own_home)
    with closing(other):
        other.namespaces()
        with closing(PixeltableEngine.at(own_home)) as engine:
            engine.namespaces()
        assert postgres_of(own_home)
        assert other.scan(NUMBERS, ScanRequest()).read_all().num_rows == 500
    assert not postgres_of(own_home)


def test_after_its_death_another_one_answers(own: PixeltableEngine, own_home: Path) -> None:
    rows = own.scan(NUMBERS, ScanRequest()).read_all().num_rows
    kill(own)
    with suppress(Unavailable):
        # The death may not have been noticed yet.
        own.namespaces()
    assert own.scan(NUMBERS, ScanRequest()).read_all().num_rows == rows
    own.close()
    assert not postgres_of(own_home)


def test_death_in_the_middle_of_a_request_is_told_as_that(own: PixeltableEngine) -> None:
    own.namespaces()
    for _ in range(2):
        killer = threading.Timer(0.02, kill, [own])
        killer.start()
        with pytest.raises(Unavailable):
            read_without_end(own)
        killer.join()
    assert own.scan(NUMBERS, ScanRequest(limit=1)).read_all().num_rows == 1


def test_a_database_that_died_is_started_again(own: PixeltableEngine, own_home: Path) -> None:
    own.scan(NUMBERS, ScanRequest()).read_all()
    (postgres,) = postgres_of(own_home)
    postgres.kill()
    until = time.monotonic() + 30
    while not answers(own):
        assert time.monotonic() < until, "it has not come back"


def test_a_reader_that_is_closed_early_holds_nothing_up(own: PixeltableEngine) -> None:
    for _ in range(20):
        reader = own.scan(NUMBERS, ScanRequest())
        next(reader)
        reader.close()
    assert own.scan(NUMBERS, ScanRequest()).read_all().num_rows == 500


def test_a_cancelled_request_ends_at_once(own: PixeltableEngine) -> None:
    own.namespaces()
    cancellation = Cancellation()
    cancellation.cancel(Cancelled("Enough."))
    with pytest.raises(Cancelled, match="Enough"):
        own.scan(NUMBERS, ScanRequest(), cancellation)


def test_it_does_not_outlive_a_server_that_is_killed(own_home: Path, tmp_path: Path) -> None:
    asking = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from flight_server.engines.pixeltable.engine import PixeltableEngine\n"
        f"engine = PixeltableEngine.at(Path({str(own_home)!r}))\n"
        "engine.namespaces()\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", asking], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        children = psutil.Process(server.pid).children(recursive=True)
        workers = [one for one in children if "flight_server" in " ".join(one.cmdline())]
        server.kill()
    assert len(workers) == 1
    assert psutil.wait_procs(workers, timeout=15)[1] == []
    assert not postgres_of(own_home)


def test_what_is_no_home_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="is no folder"):
        PixeltableEngine.at(tmp_path / "file")


def test_a_database_that_does_not_answer_is_told_of(tmp_path: Path) -> None:
    nowhere = "postgresql://nobody:hidden@127.0.0.1:1/nothing"
    with closing(PixeltableEngine.at(tmp_path / "home", nowhere)) as engine:
        with pytest.raises(Unavailable) as told:
            engine.namespaces()
        assert "hidden" not in told.value.message


def read_without_end(engine: PixeltableEngine) -> None:
    while True:
        engine.scan(PICTURES, ScanRequest()).read_all()


def answers(engine: PixeltableEngine) -> bool:
    """Whether it gives all rows; where not, it has said that it is to be asked again."""
    try:
        rows = engine.scan(NUMBERS, ScanRequest()).read_all().num_rows
    except Unavailable:
        return False
    assert rows == 500
    return True


def kill(engine: PixeltableEngine) -> None:
    process = engine._process._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
