"""Sixteen ADBC clients do everything at once, and the server keeps what it promised.

Some clients are killed and some are cut off in the middle of their streams. In the end every
acknowledged write is there once, nothing that was rolled back is, nobody met an error that was
not to be expected, and the server holds nothing of those who have left.

`PIXELFLIGHT_TEST_LOAD=long` (`make test-load`) goes on for ten minutes. Both forms go on for longer
on a slow machine, until enough was done to mean something, and fail where that does not come about.
"""

from __future__ import annotations

import gc
import os
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow as pa
import pytest

from flight_server.engines.lake.commits import CommitLog, WriteTransaction
from flight_server.testing.server import LocalServer, local_server
from flight_server.wire import sessions
from tests.end_to_end.load.client import COUNTERS, ROWS, SCHEMA
from tests.end_to_end.load.crew import Crew
from tests.end_to_end.load.oracle import Journal
from tests.fix_adbc import open_adbc

CLIENTS_EACH = 4
LEAVE_SECONDS_MAX = 30


@dataclass(frozen=True)
class Extent:
    """How long it goes on, how often somebody is hurt, and what must have been done in the end."""

    seconds: float
    seconds_max: float
    hurt_seconds: float
    least: dict[str, int]
    growth_bytes_max: int


# In the short form the process is still growing to its working size, with threads and DuckDB's
# buffers, by 40 to 70 MiB where it was measured, and its bound leaves room for other machines: it
# stops what keeps a MiB or two of each call. The long form's stops what keeps some 60 KiB of each.
SHORT = Extent(
    15,
    90,
    3,
    {
        "acknowledged insert": 20, "acknowledged ingest": 10, "acknowledged commit": 10,
        "gone roll_back": 10, "gone leave": 3, "read": 50, "stream": 10, "cancel": 5,
    },
    200 << 20,
)  # fmt: skip
LONG = Extent(
    600, 1200, 10, {name: count * 20 for name, count in SHORT.least.items()}, 300 << 20
)  # fmt: skip
EXTENT = LONG if os.environ.get("PIXELFLIGHT_TEST_LOAD") == "long" else SHORT


@pytest.mark.timeout(EXTENT.seconds_max + 180)
def test_everything_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Scans that are kept in memory would pass for a leak. What is idle stays as long as by default:
    # what a client had must go with the client.
    with local_server(tmp_path / "data", durability="none", hot_bytes_max=0) as server:
        assert server.services.settings.transaction_idle_seconds > 5 * LEAVE_SECONDS_MAX
        prepare(server)
        before, opened = threads(), connections(server)
        collided = counted_failures(monkeypatch)
        crew = Crew(server, tmp_path, CLIENTS_EACH)
        growth = hurt(crew)
        journal = crew.join()
        report(journal, crew, growth)
        assert journal.failures == []
        check_enough(crew)
        with closing(open_adbc(server, autocommit=True)) as connection, connection.cursor() as all_:
            all_.execute(f"FROM {ROWS}")
            journal.check(all_.fetch_arrow_table())
        check_nothing_is_left(server, monkeypatch)
        assert comes_true(lambda: threads() <= before), f"threads: {threads() - before}"
        # DuckLake drops a transaction only once its COMMIT has succeeded: for each that has not,
        # a connection to its catalog, rolled back, stays until the lake is closed.
        allowed = opened + len(collided)
        assert comes_true(lambda: connections(server) <= allowed), "DuckDB's connections are left"
        assert growth < EXTENT.growth_bytes_max, f"the process grew by {growth >> 20} MiB"


def prepare(server: LocalServer) -> None:
    """The tables, and one counter that many want to raise."""
    with closing(open_adbc(server, autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        cursor.execute(
            f"CREATE TABLE {ROWS} (client BIGINT, number BIGINT, part BIGINT, text VARCHAR)"
        )
        cursor.execute(f"CREATE TABLE {COUNTERS} (client BIGINT, value BIGINT)")
        cursor.execute(f"INSERT INTO {COUNTERS} VALUES (0, 0)")


def hurt(crew: Crew) -> int:
    """Kills and cuts until the time is up and enough is done: by how much the process grew.

    Memory comes and goes with what runs: medians of the second and the last third are compared.
    """
    began = time.monotonic()
    process, sizes = psutil.Process(), []
    while (seconds := time.monotonic() - began) < EXTENT.seconds or (
        seconds < EXTENT.seconds_max and crew.few(EXTENT.least)
    ):
        time.sleep(EXTENT.hurt_seconds)
        crew.kill_one()
        crew.cut()
        sizes.append(int(process.memory_info().rss))
    third = max(1, len(sizes) // 3)
    print("\nMiB over time:", *(size >> 20 for size in sizes))
    return int(statistics.median(sizes[-third:]) - statistics.median(sizes[third : 2 * third]))


def check_enough(crew: Crew) -> None:
    """Enough was done to mean something."""
    few = crew.few(EXTENT.least)
    assert not few, f"too little was done: {few} of {EXTENT.least}"
    assert min(crew.kills, crew.cuts) >= EXTENT.seconds / EXTENT.hurt_seconds / 3


def check_nothing_is_left(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call or query runs, and no transaction, statement or session is there for nobody."""
    state, admission = server.door._state, server.services.admission
    assert state.calls.wait(LEAVE_SECONDS_MAX), "calls of clients that have left still run"
    assert comes_true(lambda: (admission.running, admission.waiting) == (0, 0)), "queries are left"
    assert comes_true(lambda: state.sessions.open_transactions == 0), "transactions are left"
    assert comes_true(lambda: len(state.statements) == 0), "prepared statements are left"
    assert state.statements.bound_bytes == 0, "bound rows are left"
    assert comes_true(lambda: kept_sessions(server) == []), "sessions of live clients are left"
    # Of clients that were lost stay the handles, for half a day: let it have passed.
    monkeypatch.setattr(sessions, "IDLE_SECONDS_MAX", 0.0)
    state.sessions.sweep(server.services.settings.transaction_idle_seconds)
    assert comes_true(lambda: len(state.sessions) == 0), "sessions are left"


def kept_sessions(server: LocalServer) -> list[sessions.Session]:
    """The sessions but for those of lost clients that hold nothing."""
    return [
        one
        for one in server.door.state.sessions._all()
        if "lost" not in {name.kind for name in one.names}
        or one.state.open_transactions
        or one.state.temporary is not None
    ]


def connections(server: LocalServer) -> int:
    """DuckDB's connections but for those that wait for the next query."""
    lake: Any = server.services.engines["lake"]
    lake._instance.forget_readers()
    with lake._instance._root.cursor() as cursor:
        return int(cursor.execute("FROM duckdb_connection_count()").fetchone()[0])


def counted_failures(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Every COMMIT that DuckLake refuses from here on; those that we refuse leave nothing."""
    failures: list[BaseException] = []
    commit = CommitLog.commit

    def counted(log: CommitLog, transaction: WriteTransaction) -> int:
        try:
            return commit(log, transaction)
        except BaseException as error:
            if isinstance(error.__cause__, duckdb.Error):
                failures.append(error)
            raise

    monkeypatch.setattr(CommitLog, "commit", counted)
    return failures


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether it is so within the time that anything may take to go."""
    until = time.monotonic() + LEAVE_SECONDS_MAX
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def threads() -> set[str]:
    """The threads of Python by their names; those that pyarrow calls in from are dummies."""
    gc.collect()
    return {thread.name for thread in threading.enumerate() if "Dummy" not in thread.name}


def report(journal: Journal, crew: Crew, growth: int) -> None:
    """What was done, for `-s`."""
    done = ", ".join(f"{name} {count}" for name, count in sorted(journal.events.items()))
    print(f"\n{done}; {crew.kills} kills, {crew.cuts} cuts, grew by {growth >> 20} MiB")
    for failure in journal.failures[:10]:
        print(failure)


def journal_of(*lines: dict[str, object]) -> Journal:
    """A journal that says this."""
    journal = Journal()
    for line in lines:
        journal.add(line)
    return journal


def rows_of(*keys: tuple[int, int, int]) -> pa.Table:
    """The table with these rows."""
    names = ("client", "number", "part")
    columns = {name: pa.array([key[n] for key in keys], pa.int64()) for n, name in enumerate(names)}
    return pa.table(
        columns | {"text": pa.array(["{}/{}/{}".format(*key) for key in keys], pa.string())}
    )


BEGUN = {"client": 1, "number": 1, "event": "begin", "kind": "insert", "rows": 2}
KEPT = {"client": 1, "number": 1, "event": "acknowledged"}
GONE = {"client": 1, "number": 1, "event": "gone"}
BOTH = ((1, 1, 0), (1, 1, 1))


def test_the_oracle_accepts_what_may_be() -> None:
    journal_of(BEGUN, KEPT).check(rows_of(*BOTH))
    journal_of(BEGUN, GONE).check(rows_of())
    # Nobody was told: all or nothing.
    journal_of(BEGUN).check(rows_of(*BOTH))
    journal_of(BEGUN).check(rows_of())


@pytest.mark.parametrize(
    ("lines", "keys", "said"),
    [
        ((BEGUN, KEPT), (), "not there as written"),
        ((BEGUN, KEPT), BOTH[:1], "not there as written"),
        ((BEGUN, KEPT), (*BOTH, BOTH[0]), "twice"),
        ((BEGUN, GONE), BOTH, "rolled back"),
        ((BEGUN,), BOTH[:1], "in part"),
        ((), BOTH, "nobody wrote"),
    ],
)
def test_the_oracle_notices_what_may_not_be(
    lines: tuple[dict[str, object], ...], keys: tuple[tuple[int, int, int], ...], said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        journal_of(*lines).check(rows_of(*keys))
