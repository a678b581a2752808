"""Writing over Flight: modes, acknowledgements, exactly-once tokens, long-lived streams."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer, local_server
from tests.fix_client import Client, read_acks, refusal

DATA = pa.table({"id": [1, 2, 3], "text": ["x", "y", "z"]})


def make(client: Client, name: str, data: pa.Table = DATA, **ingest: Any) -> list[dict[str, Any]]:
    return client.put(data, ingest={"table": name, "mode": "create"} | ingest)


def test_create_is_acknowledged_once(client: Client, name: str) -> None:
    (ack,) = make(client, name)
    commit = ack.pop("commit")
    assert commit > 0
    assert ack == {"rows": 3, "rows_inserted": 3, "rows_updated": 0, "offset": 3}
    assert client.get(name).equals(DATA)
    assert refusal(lambda: make(client, name)).code == "already_exists"
    assert client.get(name).equals(DATA)


def test_a_path_appends(client: Client, name: str) -> None:
    make(client, name)
    (ack,) = client.put(DATA.slice(0, 1), name)
    assert ack["rows"] == ack["offset"] == 1
    assert client.get(name).num_rows == 4
    assert refusal(lambda: client.put(DATA, "no_such_table")).code == "table_not_found"


def test_create_if_missing(client: Client, name: str) -> None:
    for rows in (3, 6):
        client.put(DATA, ingest={"table": name, "create_if_missing": True})
        assert client.get(name).num_rows == rows


def test_overwrite(client: Client, name: str) -> None:
    make(client, name)
    client.put(DATA.slice(1, 1), ingest={"table": name, "mode": "overwrite"})
    assert client.get(name).to_pylist() == [{"id": 2, "text": "y"}]


def test_upsert_counts(client: Client, name: str) -> None:
    make(client, name, key=["id"])
    more = pa.table({"id": [3, 4], "text": ["Z", "W"]})
    (ack,) = client.put(more, ingest={"table": name, "mode": "upsert"})
    assert (ack["rows"], ack["rows_inserted"], ack["rows_updated"]) == (2, 1, 1)
    assert client.read(scan={"table": name, "order_by": "id"})["text"].to_pylist() == [
        "x",
        "y",
        "Z",
        "W",
    ]


def test_merge_sets_only_what_came(client: Client, name: str) -> None:
    wide = pa.table({"id": [1], "text": ["x"], "n": [7]})
    make(client, name, wide)
    merge = {"table": name, "mode": "merge", "key": ["id"]}
    client.put(pa.table({"id": [1], "text": ["new"]}), ingest=merge)
    assert client.get(name).to_pylist() == [{"id": 1, "text": "new", "n": 7}]


def test_what_does_not_fit_names_the_column(client: Client, name: str) -> None:
    make(client, name)
    wrong = pa.table({"id": ["one"], "text": ["x"]})
    found = refusal(lambda: client.put(wrong, name))
    assert found.code == "schema_mismatch"
    assert "'id'" in found.message
    assert "string" in found.message
    assert "int64" in found.message
    found = refusal(lambda: client.put(pa.table({"id": [1], "txet": ["x"]}), name))
    assert found.code == "schema_mismatch"
    assert "Did you mean 'text'" in found.message
    assert client.get(name).equals(DATA)


def test_a_schema_without_batches_creates_or_keeps(client: Client, name: str) -> None:
    nothing = DATA.slice(0, 0)
    (ack,) = make(client, name, nothing)
    assert ack["rows"] == ack["offset"] == 0
    assert ack["commit"] > 0
    assert client.get(name).schema == DATA.schema
    client.put(DATA, name)
    (ack,) = client.put(nothing, ingest={"table": name, "create_if_missing": True})
    assert ack["rows"] == 0
    assert client.get(name).equals(DATA)


@pytest.mark.parametrize(
    "odd",
    ['with "quotes"', "a/b", "dotted.name", "co:lon", "🛩️ flights", "select", "ünï cödé", "' -- x"],
)
def test_odd_names(client: Client, odd: str) -> None:
    column = f"{odd} column"
    data = pa.table({column: [1, 2]})
    quoted = '"' + odd.replace('"', '""') + '"'
    client.action("create_namespace", namespace=quoted)
    table = f"{quoted}.{quoted}"
    make(client, table, data)
    assert client.get(odd, odd).equals(data)
    assert client.read(scan={"table": table, "columns": [column]}).equals(data)
    identifier = column.replace('"', '""')
    found = client.read(sql=f'SELECT max("{identifier}") AS m FROM {quoted}.{quoted}')
    assert found.to_pylist() == [{"m": 2}]
    (ack,) = client.put(data, odd, odd)
    assert ack["rows"] == 2
    client.action("drop_table", table=table)
    client.action("drop_namespace", namespace=quoted)


def test_batches_of_no_rows_and_of_five_million(client: Client, name: str) -> None:
    empty = pa.record_batch({"n": pa.array([], pa.int64())})
    large = pa.record_batch({"n": pa.array(range(5_000_000))})
    writer, acks = client.open_put(empty.schema, ingest={"table": name, "mode": "create"})
    with writer:
        for batch in (empty, large, empty):
            writer.write_batch(batch)
        writer.done_writing()
        (ack,) = read_acks(acks)
    assert ack["rows"] == 5_000_000
    found = client.read(sql=f"SELECT count(*) AS n, sum(n) AS total FROM {name}")
    assert found.to_pylist()[0]["n"] == 5_000_000


def test_slices_of_a_larger_table(client: Client, name: str) -> None:
    large = pa.table({"n": range(1000), "text": [f"{i}" for i in range(1000)]})
    make(client, name, large.slice(990, 5))
    assert client.get(name).equals(large.slice(990, 5))


def test_commit_every_rows(client: Client, name: str) -> None:
    data = pa.table({"n": range(1000)})
    every = {"table": name, "create_if_missing": True, "commit_every": {"rows": 250}}
    writer, acks = client.open_put(data.schema, ingest=every)
    with writer:
        for batch in data.to_batches(max_chunksize=100):
            writer.write_batch(batch)
        writer.done_writing()
        told = list(read_acks(acks))
    assert sum(ack["rows"] for ack in told) == 1000
    assert [ack["offset"] for ack in told] == sorted({ack["offset"] for ack in told})
    assert told[-1]["offset"] == 1000
    assert len({ack["commit"] for ack in told}) == len(told) >= 4


def test_commit_every_bytes(client: Client, name: str) -> None:
    data = pa.table({"n": range(100_000)})
    every = {"table": name, "create_if_missing": True, "commit_every": {"bytes": 100_000}}
    writer, acks = client.open_put(data.schema, ingest=every)
    with writer:
        for batch in data.to_batches(max_chunksize=10_000):
            writer.write_batch(batch)
        writer.done_writing()
        told = list(read_acks(acks))
    assert len(told) >= 4
    assert told[-1]["offset"] == 100_000


def test_commit_every_ms_while_the_client_waits(client: Client, name: str) -> None:
    data = pa.table({"n": [1]})
    every = {"table": name, "create_if_missing": True, "commit_every": {"ms": 100}}
    writer, acks = client.open_put(data.schema, ingest=every)
    told = read_acks(acks)
    with writer:
        for offset in (1, 2):
            writer.write_batch(data.to_batches()[0])
            # Nothing more is sent: the commit comes by the clock.
            assert next(told)["offset"] == offset
            assert client.get(name).num_rows == offset
        writer.done_writing()
        assert [ack["rows"] for ack in told if ack["rows"]] == []
    assert client.get(name).num_rows == 2


def test_a_live_stream_that_fails_is_told_while_it_waits(client: Client, name: str) -> None:
    columns = [{"name": "n", "type": "int64", "nullable": False}]
    client.action("create_table", table=name, columns=columns)
    schema = pa.schema({"n": pa.int64()})
    writer, acks = client.open_put(schema, ingest={"table": name, "commit_every": {"rows": 1}})
    told = read_acks(acks)
    writer.write_batch(pa.record_batch({"n": [1]}, schema))
    assert next(told)["offset"] == 1
    writer.write_batch(pa.record_batch({"n": [None]}, schema))
    # The client waits for an acknowledgement and sends nothing: the stream cannot be ended yet.
    failed = next(told)["error"]
    assert failed["code"] == "invalid_data"
    assert "'n'" in failed["message"]
    assert refusal(writer.close).shape == failed
    assert client.get(name).num_rows == 1


def test_a_token_used_again_is_answered_again(client: Client, name: str) -> None:
    (first,) = make(client, name, token="once")
    (again,) = make(client, name, token="once")
    assert again == first | {"duplicate": True}
    assert client.get(name).num_rows == 3
    append = {"table": name, "token": "more"}
    (first,) = client.put(DATA, ingest=append)
    (again,) = client.put(DATA, ingest=append)
    assert again == first | {"duplicate": True}
    assert client.get(name).num_rows == 6


def test_a_token_used_for_something_else(client: Client, name: str) -> None:
    make(client, name, token="once")
    other = {"table": name, "token": "once"}
    found = refusal(lambda: client.put(DATA.slice(1), ingest=other))
    assert found.code == "token_conflict"
    assert client.get(name).num_rows == 3


def test_a_token_from_two_clients_at_once(
    server: LocalServer, client: Client, connect: Callable[..., Client], name: str
) -> None:
    make(client, name, DATA.slice(0, 0))
    clients = [connect(server) for _ in range(4)]
    request = {"table": name, "token": "race"}
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda one: one.put(DATA, ingest=request), clients))
    assert len({ack["commit"] for (ack,) in told}) == 1
    assert sorted("duplicate" in ack for (ack,) in told) == [False, True, True, True]
    assert client.get(name).num_rows == 3


def test_a_token_after_a_restart(
    start_server: Callable[..., LocalServer],
    connect: Callable[..., Client],
    tmp_path: Path,
) -> None:
    request = {"table": "t", "mode": "create", "token": "once"}
    with local_server(tmp_path / "kept", housekeeping_seconds=0) as before:
        (first,) = connect(before).put(DATA, ingest=request)
    client = connect(start_server(data=tmp_path / "kept"))
    (again,) = client.put(DATA, ingest=request)
    assert again == first | {"duplicate": True}
    assert client.get("t").num_rows == 3


def test_a_stream_with_a_token_resumes(client: Client, name: str) -> None:
    data = pa.table({"n": range(300)})
    request = {
        "table": name,
        "create_if_missing": True,
        "token": "resumed",
        "commit_every": {"rows": 100},
    }
    writer, acks = client.open_put(data.schema, ingest=request)
    writer.write_batch(data.slice(0, 100).to_batches()[0])
    writer.write_batch(data.slice(100, 50).to_batches()[0])
    assert next(read_acks(acks))["offset"] == 100
    writer.close()
    # All of it again: what was committed is not written twice.
    told = client.put(data, ingest=request)
    assert told[-1]["offset"] == 300
    assert sorted(client.get(name)["n"].to_pylist()) == list(range(300))


def test_concurrent_small_puts_share_commits(
    server: LocalServer, client: Client, connect: Callable[..., Client], name: str
) -> None:
    make(client, name, DATA.slice(0, 0))
    clients = [connect(server) for _ in range(8)]
    gate = threading.Barrier(8)

    def put_many(number: int) -> list[int]:
        gate.wait()
        commits = []
        for round_number in range(5):
            row = pa.table({"id": [number * 100 + round_number], "text": ["x"]})
            (ack,) = clients[number].put(row, name)
            assert ack["rows"] == 1
            commits.append(ack["commit"])
        return commits

    with ThreadPoolExecutor(8) as pool:
        commits = [commit for found in pool.map(put_many, range(8)) for commit in found]
    rows = client.get(name)["id"].to_pylist()
    assert sorted(rows) == sorted(n * 100 + r for n in range(8) for r in range(5))
    assert len(set(commits)) < 40


def test_puts_during_a_scan_are_not_seen_by_it(client: Client, name: str) -> None:
    make(client, name, pa.table({"n": range(1_000_000)}))
    reader = client.stream(client.info(name).endpoints[0].ticket)
    seen = reader.read_chunk().data.num_rows
    client.put(pa.table({"n": [7]}), name)
    time.sleep(0.05)
    assert seen + reader.read_all().num_rows == 1_000_000


@pytest.mark.parametrize(
    ("ingest", "code"),
    [
        ({"mode": "upsert"}, "invalid_request"),
        ({"mode": "replace"}, "invalid_request"),
        ({"commit_every": {}}, "invalid_request"),
        ({"commit_every": {"rows": 0}}, "invalid_request"),
        ({"token": ""}, "invalid_request"),
        ({"mode": "upsert", "key": ["nope"]}, "column_not_found"),
        ({"tokens": "x"}, "invalid_request"),
    ],
)
def test_mistakes(client: Client, name: str, ingest: dict[str, object], code: str) -> None:
    make(client, name)
    request = {"table": name} | ingest
    assert refusal(lambda: client.put(DATA, ingest=request)).code == code
    assert refusal(lambda: client.put(DATA, scan={"table": name})).code == "invalid_request"
    assert client.get(name).equals(DATA)


def test_a_result_that_is_written_back_leaves_its_column_metadata_behind(
    client: Client, name: str
) -> None:
    kept = {b"unit": b"m"}
    told = {b"ARROW:FLIGHT:SQL:TABLE_NAME": b"elsewhere", **kept}
    fields = [pa.field("a", pa.int64(), metadata=told), pa.field("b", pa.string())]
    data = pa.table([[1], ["x"]], schema=pa.schema(fields))
    client.put(data, ingest={"table": name, "mode": "create"})
    schema = client.schema(name)
    assert schema.field("a").metadata == kept
    assert client.get(name).to_pylist() == [{"a": 1, "b": "x"}]
