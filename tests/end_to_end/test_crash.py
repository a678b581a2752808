"""A server is killed again and again under clients that write, and nothing acknowledged is lost.

`PIXELFLIGHT_TEST_CRASH=long` (`make test-crash`) kills more often. Both forms fail when too little
was done to mean anything.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.crash.clients import (
    ROWS,
    ROWS_SCHEMA,
    STATE,
    STATE_SCHEMA,
    Appender,
    Streamer,
    Upserter,
    Writer,
)
from tests.end_to_end.crash.oracle import check_end, check_files, check_survivors
from tests.end_to_end.crash.victim import Victim, victim
from tests.end_to_end.crash.wire import Line


@dataclass(frozen=True)
class Extent:
    """How much is done at least, and how long a server lives at most before it is killed."""

    kills: int
    acknowledged: int
    life_seconds_max: float
    seconds_max: float


SHORT = Extent(kills=3, acknowledged=40, life_seconds_max=1.5, seconds_max=100)
LONG = Extent(kills=25, acknowledged=500, life_seconds_max=5.0, seconds_max=1500)
EXTENT = LONG if os.environ.get("PIXELFLIGHT_TEST_CRASH") == "long" else SHORT
# Every so many lives end before the server is ready: in the middle of its recovery.
STILLBORN_EVERY = 4


def test_every_acknowledged_row_is_there_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    with victim(tmp_path / "data") as server:
        make_tables(server)
        stop = threading.Event()
        arguments = (server.url, server.key, stop, seed)
        writers = [
            *(Appender(number, *arguments) for number in range(3)),
            Streamer(3, *arguments),
            Upserter(4, *arguments),
        ]
        for writer in writers:
            writer.start()
        try:
            kills = kill_repeatedly(server, writers, chance)
        finally:
            stop.set()
            open_gates(writers)
        for writer in writers:
            writer.join(90)
            assert not writer.is_alive(), f"{writer.name} was never answered\n{server.log}"
        check_broken(writers, server)
        line = Line(server.url, server.key)
        check_end(line, writers)
        line.close()
        server.kill()
        check_files(server.data, writers)
    acknowledged = sum(writer.acknowledged for writer in writers)
    with capsys.disabled():
        print(
            f"\nseed {seed}: {kills} kills, {acknowledged} acknowledged commits, "
            f"{sum(writer.duplicates for writer in writers)} acknowledged twice, "
            f"{sum(w.safe for w in writers if isinstance(w, Appender))} rows"
        )
    assert kills >= EXTENT.kills
    assert acknowledged >= EXTENT.acknowledged


def make_tables(server: Victim) -> None:
    line = Line(server.url, server.key)
    line.act("create_namespace", namespace="crash")
    for table, schema in ((ROWS, ROWS_SCHEMA), (STATE, STATE_SCHEMA)):
        columns = [
            {"name": field.name, "type": str(field.type), "nullable": field.nullable}
            for field in schema
        ]
        line.act("create_table", table=table, columns=columns)
    line.close()


def kill_repeatedly(server: Victim, writers: Sequence[Writer], chance: random.Random) -> int:
    """Until enough was done; how often."""
    began, kills = time.monotonic(), 0
    while kills < EXTENT.kills or sum(w.acknowledged for w in writers) < EXTENT.acknowledged:
        assert time.monotonic() - began < EXTENT.seconds_max, f"too slow: {kills} kills"
        open_gates(writers)
        live(chance.uniform(0.05, EXTENT.life_seconds_max), writers, server)
        server.kill()
        kills += 1
        for writer in writers:
            writer.gate.clear()
        if kills % STILLBORN_EVERY == 0:
            server.launch()
            live(chance.uniform(0.2, 1.5), writers, server)
            server.kill()
            kills += 1
        server.start()
        line = Line(server.url, server.key)
        check_survivors(line, writers, chance)
        line.close()
    return kills


def live(seconds: float, writers: Sequence[Writer], server: Victim) -> None:
    """Lets so much time pass, and says at once when a writer has met what it must not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        check_broken(writers, server)
        time.sleep(min(0.05, max(0.0, until - time.monotonic())))


def open_gates(writers: Sequence[Writer]) -> None:
    for writer in writers:
        writer.gate.set()


def check_broken(writers: Sequence[Writer], server: Victim) -> None:
    for writer in writers:
        if writer.broken is not None:
            raise AssertionError(f"{writer.name} failed\n{server.log}") from writer.broken
