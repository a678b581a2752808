"""Rows that come under a token are written once, whoever sends them how often at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import AlreadyExists, Conflict, ErrorCode, Unavailable
from flight_server.model import Author, Commit, CommitEvery, IngestMode, IngestRequest, TableRef
from tests.fix_pixeltable import ANA, PICTURES, put, read


def test_a_token_counts_once(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"id": pa.int64(), "of": pa.list_(pa.float32(), 3)})
    rows = pa.table({"id": [1, 2], "of": pa.array([[1, 2, 3], None], pa.list_(pa.float32(), 3))})
    first = put(writable, table, rows, token="t")
    assert not first.duplicate
    made = TableRef("pixeltable", "main", "made_under_a_token")
    twice = [put(writable, made, rows, "create", token="t") for _ in range(2)]
    assert [commit.duplicate for commit in twice] == [False, True]
    with pytest.raises(AlreadyExists):
        put(writable, made, rows, "create", token="other")
    again = put(writable, table, pa.concat_tables([rows.slice(0, 1), rows.slice(1)]), token="t")
    assert again.duplicate
    assert (again.snapshot, again.rows) == (first.snapshot, 2)
    with pytest.raises(Conflict) as told:
        put(writable, table, rows.slice(1), token="t")
    assert told.value.code is ErrorCode.TOKEN_CONFLICT
    assert read(writable, table).num_rows == 2
    request = IngestRequest(IngestMode.APPEND, token="t")
    other = writable.ingest(table, request, rows.to_reader(), Author("bob", principal_id="bob"))
    assert not other.duplicate


def test_a_table_is_made_once_though_its_maker_died_before_the_rows_were_in(
    written_home: Path, writable: PixeltableEngine
) -> None:
    half = TableRef("pixeltable", "main", "half_made")
    rows = pa.table({"id": range(25_000)})

    def kill_once_it_is_there() -> None:
        while half not in writable.tables("main"):
            time.sleep(0.05)
        killed = writable._process._process
        assert killed is not None
        killed.kill()
        # A request that met it while it was ending would be told so, too.
        killed.wait()

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_once_it_is_there)
        with pytest.raises(Unavailable):
            put(writable, half, rows, "create", token="t")
        killing.result()
    assert read(writable, half).num_rows == 0
    for token in ("other", None):
        with pytest.raises(AlreadyExists):
            put(writable, half, rows, "create", token=token)
    assert not put(writable, half, rows, "create", token="t").duplicate
    assert read(writable, half).num_rows == 25_000
    assert put(writable, half, rows, "create", token="t").duplicate


def test_of_two_streams_under_one_token_one_is_told_to_come_again(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"id": pa.int64(), "of": pa.list_(pa.int8())})
    rows = pa.table({"id": range(30), "of": [[n] for n in range(30)]})
    every = CommitEvery(rows=10)
    is_safe, others = threading.Event(), list[Commit]()

    def overtaken() -> Iterator[pa.RecordBatch]:
        first, *later = rows.to_batches(10)
        yield first
        assert is_safe.wait(60)
        others.append(put(writable, table, rows, token="t", commit_every=every))
        yield from later

    def acknowledged(commit: Commit) -> None:
        is_safe.set()

    request = IngestRequest(token="t", commit_every=every)
    reader = pa.RecordBatchReader.from_batches(rows.schema, overtaken())
    with pytest.raises(Conflict, match="send this one again") as told:
        writable.ingest(table, request, reader, ANA, acknowledged)
    assert told.value.code.retryable
    [other] = others
    assert (other.offset, other.rows, other.duplicate) == (30, 10, False)
    again = put(writable, table, rows, token="t", commit_every=every)
    assert (again.duplicate, again.snapshot) == (True, other.snapshot)
    assert sorted(read(writable, table)["id"].to_pylist()) == list(range(30))


def test_many_who_send_the_same_at_once(
    writable: PixeltableEngine, new_table: Callable[..., TableRef]
) -> None:
    table = new_table({"id": pa.int64()})
    done: list[Commit] = []

    def send(number: int) -> None:
        rows = pa.table({"id": [number // 2]})
        done.append(put(writable, table, rows, token=f"{number // 2}"))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 12
    assert sum(commit.duplicate for commit in done) == 6
    assert sorted(read(writable, table)["id"].to_pylist()) == list(range(6))


def test_the_first_tokens_of_a_home_may_come_at_once(own_home: Path) -> None:
    with closing(PixeltableEngine.at(own_home)) as engine:
        done: list[Commit] = []

        def send(number: int) -> None:
            rows = pa.table({"n": [100 + number]})
            table = PICTURES if number % 2 else TableRef("pixeltable", "/main", "inside")
            done.append(put(engine, table, rows, token=f"{number}"))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) == 8
