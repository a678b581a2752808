"""Pixeltable's process and its PostgreSQL are killed while rows are written: none is lost or twice.

What is killed, and when, is random. `PIXELFLIGHT_TEST_CRASH=long` kills 30 times.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import PixelflightError
from flight_server.model import (
    Author,
    CommitEvery,
    IngestMode,
    IngestRequest,
    ScanRequest,
    TableRef,
    TableSpec,
)
from tests.fix_pixeltable import postgres_of

IS_LONG = os.environ.get("PIXELFLIGHT_TEST_CRASH") == "long"
KILLS = 30 if IS_LONG else 2
# A part of Pixeltable's is 20,000 rows: some puts are of two.
ROWS, WRITERS = (1, 300, 25_000), 2
TABLE = TableRef("pixeltable", "main", "t")
ANA = Author("ana", principal_id="ana")


class Killer:
    """Kills the one or the other at random moments, until it has done so often enough."""

    def __init__(self, engine: PixeltableEngine, home: Path) -> None:
        self.kills: Counter[str] = Counter()
        self.is_done = threading.Event()
        self._engine = engine
        self._home = home
        self._chance = random.Random()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        self.is_done.set()
        self._thread.join()

    def _run(self) -> None:
        while self.kills.total() < KILLS:
            # It takes some three seconds to come back.
            if self.is_done.wait(self._chance.uniform(1, 6)):
                return
            what = self._chance.choice(["process", "postgres"])
            if self._kill(what):
                self.kills[what] += 1
        self.is_done.set()

    def _kill(self, what: str) -> bool:
        if what == "postgres":
            found = postgres_of(self._home)
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            return bool(found)
        if not self._engine.is_awake:
            return False
        started = self._engine._process._process
        assert started is not None
        os.kill(started.pid, signal.SIGKILL)
        return True


def write(engine: PixeltableEngine, writer: int, killer: Killer, errors: list[str]) -> int:
    """One put after another, each under a token until it is acknowledged: how many there were."""
    number = 0
    while not killer.is_done.is_set():
        count = ROWS[number % len(ROWS)]
        rows = pa.table({"put": [f"{writer}.{number}"] * count, "row": range(count)})
        every = CommitEvery(rows=10_000) if number % 4 > 1 else None
        request = IngestRequest(IngestMode.APPEND, token=f"{writer}.{number}", commit_every=every)
        # Some are copied, and some inserted.
        engine._bulk_writes = number % 2 == 0
        while True:
            try:
                engine.ingest(TABLE, request, rows.to_reader(), ANA)
                break
            except PixelflightError as error:
                if not error.code.retryable:
                    raise
                errors.append(error.code.name)
        number += 1
    return number


@pytest.mark.timeout(1500 if IS_LONG else 180)
def test_every_row_is_there_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with closing(PixeltableEngine.at(home)) as engine:
        schema = pa.schema({"put": pa.string(), "row": pa.int64()})
        engine.create_table(TABLE, TableSpec(schema), ANA)
        killer = Killer(engine, home)
        written: dict[int, int] = {}
        errors: list[str] = []

        def run(writer: int) -> None:
            written[writer] = write(engine, writer, killer, errors)

        threads = [threading.Thread(target=run, args=(writer,)) for writer in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        killer.join()
        assert killer.kills.total() == KILLS
        found = engine.scan(TABLE, ScanRequest()).read_all()
        check(found, written)
        print(f"{written} puts, {dict(killer.kills)} kills, {Counter(errors)}")
        assert len(errors) >= KILLS // 2, "too few were hurt"
    assert not postgres_of(home)


def check(found: pa.Table, written: dict[int, int]) -> None:
    """Every row of every put is there, and there once."""
    assert set(written) == set(range(WRITERS)), "a writer met what it should not have"
    rows = Counter(zip(found["put"].to_pylist(), found["row"].to_pylist(), strict=True))
    expected = {
        (f"{writer}.{number}", row)
        for writer, count in written.items()
        for number in range(count)
        for row in range(ROWS[number % len(ROWS)])
    }
    assert set(rows) == expected
    assert max(rows.values()) == 1
