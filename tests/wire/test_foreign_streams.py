"""Scans of another catalog that fail, are left, take long, or never end."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from flight_server.errors import ErrorCode, NotFound
from tests.fix_client import Client, refusal
from tests.fix_flight_sql import SqlClient
from tests.fix_foreign import WatchedEngine


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id + 1 FROM {w}",
        "SELECT count(*) FROM {w} JOIN {l} USING (id)",
        "SELECT * FROM {w}",
        "INSERT INTO {l} SELECT id, word FROM {w}",
        "CREATE TABLE {l}_copy AS SELECT * FROM {w}",
    ],
)
@pytest.mark.parametrize("transacted", [False, True])
def test_its_errors_come_through_as_they_are(
    sql: SqlClient, memory: WatchedEngine, words: str, named: str, text: str, transacted: bool
) -> None:
    memory.fault = NotFound("A file of row 7 is missing.", code=ErrorCode.ROW_NOT_FOUND)
    statement = text.format(w=words, l=named)
    begun = sql.begin() if transacted else None
    ask = sql.rows if text.startswith("SELECT") else sql.update
    refused = refusal(lambda: ask(statement, begun))
    assert (refused.code, refused.message) == ("row_not_found", "A file of row 7 is missing.")
    if begun:
        sql.rollback(begun)
    memory.fault = None
    assert sql.count(named) == 3


def test_what_it_did_not_mean_to_raise_is_an_internal_error(
    sql: SqlClient, memory: WatchedEngine, words: str
) -> None:
    memory.fault = OSError("/a/secret/path")
    refused = refusal(lambda: sql.rows(f"SELECT id + 1 FROM {words}"))
    assert refused.code == "internal"
    assert "secret" not in refused.text


def test_a_reader_who_leaves_closes_the_scan(client: Client, memory: WatchedEngine) -> None:
    words = memory.put(pa.table({"id": range(20_000)}))
    memory.is_endless = True
    stream = client.stream(f'{{"sql": "SELECT id + 1 FROM {words}"}}'.encode())
    assert stream.read_chunk().data.num_rows
    assert memory.open == 1
    stream.cancel()
    deadline = time.monotonic() + 10
    while memory.open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert memory.open == 0


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE {l} SET name = w.word FROM {w} w WHERE w.id = {l}.id",
        "DELETE FROM {l} USING {w} w WHERE w.id = {l}.id",
        "MERGE INTO {l} USING {w} w ON w.id = {l}.id WHEN MATCHED THEN DELETE",
        "INSERT INTO {l} SELECT id, word FROM {w} WHERE id + 0 > 100",
    ],
)
def test_nobody_waits_for_a_scan_to_commit(
    sql: SqlClient, other: SqlClient, memory: WatchedEngine, words: str, named: str, text: str
) -> None:
    other.update(f"CREATE OR REPLACE TABLE {named}_other (a INTEGER)")
    memory.is_endless = True
    with ThreadPoolExecutor(1) as running:
        done = running.submit(sql.update, text.format(l=named, w=words))
        deadline = time.monotonic() + 10
        while not memory.open and time.monotonic() < deadline:
            time.sleep(0.01)
        assert other.update(f"INSERT INTO {named}_other VALUES (1)") == 1
        assert not done.done()
        memory.is_endless = False
        assert done.result(30) == (0 if "INSERT" in text else 2)


def test_a_deadline_ends_a_scan(client: Client, memory: WatchedEngine, words: str) -> None:
    memory.is_endless = True
    ticket = f'{{"sql": "SELECT sum(id) FROM {words}"}}'.encode()
    with pytest.raises(Exception, match=r"(?i)deadline|timed"):
        client.stream(ticket, timeout=0.5).read_all()


def test_a_limit_reads_no_further(client: Client, memory: WatchedEngine, words: str) -> None:
    memory.is_endless = True
    assert client.read(sql=f"SELECT id + 1 FROM {words} LIMIT 6").num_rows == 6
