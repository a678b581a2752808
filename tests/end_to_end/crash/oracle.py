"""What must be in the tables: every acknowledged row once, and no row that nobody sent.

Looks at rows as clients read them, and, once the server has ended, at the files as plain DuckDB
reads them. Knows of the writers only what they were told.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from duckdb_extensions import import_extension

from tests.end_to_end.crash.clients import (
    IDS_EACH,
    ROWS,
    STATE,
    Appender,
    Upserter,
    Writer,
    text_of,
)
from tests.end_to_end.crash.wire import Line

VERSIONS_LOOKED_AT = 6


def check_survivors(line: Line, writers: Sequence[Writer], chance: random.Random) -> None:
    """What a killed server has left, as the one that came after it shows it."""
    allowed = {}
    for writer in writers:
        with writer.lock:
            allowed[writer] = writer.possible()
    appenders = [writer for writer in writers if isinstance(writer, Appender)]
    counts = check_ids(line.read(ROWS, ["id"]).column("id"), appenders)
    for appender, count in counts.items():
        assert count in allowed[appender], f"{appender.name}: {count} of {allowed[appender]} rows"
    for upserter in (writer for writer in writers if isinstance(writer, Upserter)):
        state = check_keys(line.read(STATE, ["key", "written"]))
        assert state in allowed[upserter], f"{upserter.name}: {state} and not {allowed[upserter]}"
    check_versions(line, appenders, chance)


def check_ids(ids: pa.ChunkedArray, appenders: Sequence[Appender]) -> dict[Appender, int]:
    """Each client's rows are the first ones it sent, each once: how many they are."""
    found = np.sort(ids.to_numpy())
    counts = {}
    for appender in appenders:
        first = appender.number * IDS_EACH
        mine = found[np.searchsorted(found, first) : np.searchsorted(found, first + IDS_EACH)]
        expected = np.arange(first, first + len(mine))
        assert np.array_equal(mine, expected), f"{appender.name}: {wrong(mine, expected)}"
        counts[appender] = len(mine)
    assert sum(counts.values()) == len(found), "there are rows that nobody sent"
    return counts


def wrong(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> str:
    """Where two sorted arrays of ids differ, for a person to read."""
    twice = len(found) - len(np.unique(found))
    missing = np.setdiff1d(expected, found)
    return f"{twice} rows twice, {len(missing)} missing: {missing[:5].tolist()}"


def check_keys(state: pa.Table) -> dict[int, int]:
    """What stands under each key; no key stands there twice."""
    keys = state.column("key").to_pylist()
    assert len(set(keys)) == len(keys), "a key is there twice"
    return dict(zip(keys, state.column("written").to_pylist(), strict=True))


def check_versions(line: Line, appenders: Sequence[Appender], chance: random.Random) -> None:
    """Acknowledged commits are in the log, and at each there is what was safe at it."""
    marks = []
    for appender in appenders:
        with appender.lock:
            marks += [(appender, *mark) for mark in appender.marks]
    listed = {one["version"] for one in line.act("list_versions", table=ROWS)["versions"]}
    lost = {snapshot for _, snapshot, _ in marks} - listed
    assert not lost, f"acknowledged commits are not in the log: {sorted(lost)}"
    for appender, snapshot, safe in chance.sample(marks, min(VERSIONS_LOOKED_AT, len(marks))):
        first = appender.number * IDS_EACH
        mine = f"id >= {first} AND id < {first + IDS_EACH}"
        past = line.read(ROWS, ["id"], version=snapshot, filter=mine)
        assert past.num_rows == safe, f"{appender.name} at {snapshot}: {past.num_rows} not {safe}"


def check_end(line: Line, writers: Sequence[Writer]) -> None:
    """Nothing is open any more: exactly what was acknowledged, to the last value."""
    appenders = [writer for writer in writers if isinstance(writer, Appender)]
    rows = line.read(ROWS, ["id", "text"])
    counts = check_ids(rows.column("id"), appenders)
    assert counts == {appender: appender.safe for appender in appenders}
    for name, text in zip(*(rows.column(name).to_pylist() for name in ("id", "text")), strict=True):
        assert text == text_of(name), f"row {name} holds {text!r}"
    for upserter in (writer for writer in writers if isinstance(writer, Upserter)):
        assert check_keys(line.read(STATE, ["key", "written"])) == upserter.state


def check_files(data: Path, writers: Sequence[Writer]) -> None:
    """The folder is a plain DuckLake: DuckDB reads the same rows from it, without the server."""
    import_extension("ducklake")
    with duckdb.connect() as connection:
        connection.execute("LOAD ducklake")
        connection.execute(f"ATTACH 'ducklake:{data}/lake/catalog.duckdb' AS lake (READ_ONLY)")
        row = connection.execute("SELECT count(*), sum(id) FROM lake.crash.rows").fetchone()
    ids = [
        np.arange(writer.safe, dtype=np.int64) + writer.number * IDS_EACH
        for writer in writers
        if isinstance(writer, Appender)
    ]
    assert row == (sum(map(len, ids)), sum(int(one.sum()) for one in ids))
