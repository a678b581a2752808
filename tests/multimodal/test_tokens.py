"""Rows that come under a token are written once, whoever sends them how often at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import AlreadyExists, Conflict, ErrorCode
from flight_server.model import Author, Commit, IngestMode, IngestRequest, TableRef
from tests.fix_pixeltable import PICTURES, put, read


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
