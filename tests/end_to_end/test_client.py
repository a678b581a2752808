"""The Python client against a real server: streams both ways, every verb, ends in mid-stream."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from flight_server.client import Client, connect, results
from flight_server.errors import Conflict, InvalidRequest, NotFound, TimedOut
from flight_server.model import Commit, CommitEvery
from flight_server.testing.server import LocalServer, local_server

ROWS = pa.table({"id": range(1000), "x": [i / 2 for i in range(1000)]})


@pytest.fixture
def ours(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as client:
        yield client


def big(rows: int, start: int = 0) -> pa.Table:
    """Rows of which 8 bytes each do not compress."""
    ids = pa.array(range(start, start + rows), pa.int64())
    noise = pa.array(np.random.default_rng(start).integers(0, 2**62, rows))
    return pa.table({"id": ids, "noise": noise})


@pytest.fixture(scope="module")
def sliced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server that offers scans in many endpoints, and a table of 900,000 rows in 6 files."""
    folder = tmp_path_factory.mktemp("sliced")
    settings = {"endpoint_bytes": 2**20, "housekeeping_seconds": 0, "durability": "none"}
    with local_server(folder, **settings) as server, connect(server.url, server.key) as client:
        for part in range(6):
            client.put("big", big(150_000, part * 150_000))
        yield client


def test_a_scan_in_many_streams_arrives_in_order(sliced: Client) -> None:
    result = sliced.scan("big")
    assert len(result._parts) > results.PARALLEL
    streamed = pa.Table.from_batches(list(result.batches()))
    assert streamed.column("id").to_pylist() == list(range(900_000))
    assert sliced.scan("big").to_arrow().equals(streamed)


def test_leaving_a_scan_in_many_streams_ends_its_threads(sliced: Client) -> None:
    batches = sliced.scan("big").batches()
    next(batches)
    assert _reading_threads() > 0
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert _reading_threads() == 0


def _reading_threads() -> int:
    return sum(thread.name == "pixelflight-read" for thread in threading.enumerate())


def test_an_iterator_that_fails_abandons_the_put(ours: Client, name: str) -> None:
    ours.put(name, ROWS)

    def failing() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ours.put(name, failing())
    assert ours.describe(name).rows == 1000
    assert len(ours.versions(name)) == 1


def test_batches_that_change_abandon_the_put(ours: Client, name: str) -> None:
    ours.put(name, ROWS)
    with pytest.raises(InvalidRequest, match="Item 2 of the iterable has the columns 'id' string"):
        ours.put(name, iter([ROWS, pa.table({"id": ["x"]})]), commit_every={"ms": 60_000})
    assert ours.describe(name).rows == 1000


def test_a_key_is_for_upserts_and_append_does_not_check_it(ours: Client, name: str) -> None:
    ours.put(name, [{"id": 1}], key=["id"])
    ours.put(name, [{"id": 1}])
    assert ours.scan(name).to_pylist() == [{"id": 1}, {"id": 1}]
    ours.put(name, [{"id": 2}, {"id": 1}], mode="upsert")
    assert [row["id"] for row in ours.scan(name, order_by="id").to_pylist()][-1] == 2


def test_acknowledgements_come_while_rows_still_go(ours: Client, name: str) -> None:
    seen: list[Commit] = []
    sent: list[int] = []
    acknowledged = threading.Event()

    def batches() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        # The second batch leaves only after the first commit was heard of.
        assert acknowledged.wait(30)
        yield from ROWS.to_batches()

    def on_commit(commit: Commit) -> None:
        seen.append(commit)
        acknowledged.set()

    total = ours.put(
        name,
        batches(),
        commit_every=CommitEvery(rows=1000),
        on_commit=on_commit,
        on_sent=lambda rows, size: sent.append(rows),
    )
    assert [commit.offset for commit in seen][:2] == [1000, 2000]
    assert (total.rows, total.offset, sent) == (2000, 2000, [1000, 1000])
    assert total.snapshot == seen[-1].snapshot


def test_a_refusal_in_mid_put_is_the_servers_own(ours: Client, name: str) -> None:
    ours.put(name, ROWS)
    other = pa.table({"id": ["x"] * 100_000})
    with pytest.raises(InvalidRequest, match="'id'") as caught:
        ours.put(name, (batch for _ in range(500) for batch in other.to_batches()))
    assert caught.value.request_id


def test_large_batches_are_cut(ours: Client, name: str) -> None:
    sent: list[int] = []
    ours.put(name, big(1_000_000), on_sent=lambda rows, size: sent.append(size))
    assert len(sent) >= 6
    assert max(sent) <= 4 * 2**20
    assert ours.describe(name).rows == 1_000_000


def test_a_token_counts_once(ours: Client, name: str) -> None:
    first = ours.put(name, ROWS, token=f"{name} 1")
    again = ours.put(name, ROWS, token=f"{name} 1")
    assert (again.snapshot, again.duplicate) == (first.snapshot, True)
    with pytest.raises(Conflict):
        ours.put(name, ROWS.slice(1), token=f"{name} 1")


def test_rows_come_as_arrow_polars_pandas_and_dicts(ours: Client, name: str) -> None:
    ours.put(name, pl.DataFrame({"n": [1, 2], "s": ["a", None]}))
    result = ours.scan(name, order_by="n")
    assert result.to_polars().to_dicts() == result.to_pylist()
    assert list(result.to_pandas()["n"]) == [1, 2]
    assert pl.DataFrame(ours.scan(name, limit=1)).height == 1
    assert ours.sql(f"select sum(n) as t from {name}").to_pylist() == [{"t": 3}]
    assert sum(batch.num_rows for batch in ours.scan(name)) == 2


def test_a_stream_is_read_once_a_table_as_often_as_one_likes(ours: Client, name: str) -> None:
    ours.put(name, ROWS)
    result = ours.scan(name)
    assert sum(batch.num_rows for batch in result) == 1000
    with pytest.raises(InvalidRequest, match="have been read"):
        result.to_arrow()
    kept = ours.scan(name)
    assert kept.to_arrow() is kept.to_arrow()
    assert sum(batch.num_rows for batch in kept.batches()) == 1000


def test_parameters_and_times(ours: Client, name: str) -> None:
    ours.put(name, ROWS)
    answer = ours.sql("select $a + 1 as a, $d::date as d", {"a": 1, "d": dt.date(2024, 1, 2)})
    assert answer.to_pylist() == [{"a": 2, "d": dt.date(2024, 1, 2)}]
    assert ours.sql("select ? as a", [7]).to_pylist() == [{"a": 7}]
    loaded = ours.versions(name)[0]
    ours.delete(name, "id >= 10")
    count = f"select count(*) as n from {name}"
    assert ours.sql(count, as_of=loaded.committed_at).to_pylist() == [{"n": 1000}]
    assert ours.sql(count, version=loaded.snapshot).to_pylist() == [{"n": 1000}]
    assert ours.scan(name, version=loaded.snapshot).to_arrow().num_rows == 1000
    assert ours.sql(count).to_pylist() == [{"n": 10}]


def test_history_tags_differences_and_restores(ours: Client, name: str) -> None:
    ours.put(name, ROWS)
    loaded = ours.versions(name)[0].snapshot
    tag = ours.tag(name, "loaded", loaded)
    assert (tag.name, tag.snapshot, ours.tags(name)) == ("loaded", loaded, [tag])
    assert ours.update(name, {"x": "x + 1"}, "id < 5").rows_updated == 5
    assert ours.delete(name, "id > 990").rows_deleted == 9
    kinds = ours.diff(name, loaded).to_arrow().column("_change").to_pylist()
    assert (kinds.count("delete"), kinds.count("update_postimage")) == (9, 5)
    assert ours.changes(name, loaded).to_arrow().num_rows == 14
    ours.restore(name, "loaded")
    assert ours.scan(name, order_by="id").to_arrow().equals(ROWS)
    ours.drop_tag(name, "loaded")
    assert ours.tags(name) == []


def test_tables_are_made_described_changed_and_dropped(ours: Client, name: str) -> None:
    schema = pa.schema([pa.field("id", pa.int32(), nullable=False), ("note", pa.string())])
    ours.create_table(name, schema, key=["id"], defaults={"note": "'none'"}, comment="A test.")
    spec = ours.describe(name).spec
    assert (spec.schema, spec.key, spec.comment) == (schema, ("id",), "A test.")
    ours.put(name, [{"id": 1}])
    assert ours.scan(name).to_pylist() == [{"id": 1, "note": "none"}]
    ours.alter_table(name, {"rename_column": {"name": "note", "new_name": "remark"}})
    assert ours.schema(name).names == ["id", "remark"]
    ours.rename_table(name, f"{name}_2")
    assert [str(found.table) for found in ours.tables(pattern=f"{name}*")] == [f"{name}_2"]
    ours.drop_table(f"{name}_2")
    with pytest.raises(NotFound):
        ours.describe(f"{name}_2")
    ours.undrop_table(f"{name}_2")
    assert ours.describe(f"{name}_2").rows == 1
    ours.create_namespace(f"{name}/n")
    assert f"{name}/n" in ours.namespaces()
    ours.drop_namespace(f"{name}/n")


def test_the_server_tells_how_it_is(ours: Client, name: str) -> None:
    ours.put(name, ROWS)
    assert ours.health()["status"] == "ready"
    assert "SCAN" in ours.explain(f"select * from {name}").upper()
    ours.optimize(name)


def test_a_time_limit_ends_a_call(server: LocalServer) -> None:
    endless = "select count(*) from range(100000000000) a where a.range % 7 = 8"
    with (
        connect(server.url, server.key, timeout_seconds=0.5) as client,
        pytest.raises(TimedOut),
    ):
        client.sql(endless)


def test_one_client_serves_many_threads(ours: Client, name: str) -> None:
    ours.put(name, ROWS)
    counts: list[int] = []

    def read() -> None:
        counts.append(ours.scan(name).to_arrow().num_rows)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1000] * 8


def test_a_live_put_that_fails_is_told_while_the_client_waits(ours: Client) -> None:
    """Its next batch is not sent into the void: the reason is raised instead."""
    ours.create_table("live", pa.schema([pa.field("a", pa.int64(), nullable=False)]))
    loose = pa.schema([pa.field("a", pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([pa.array([1])], schema=loose)
        yield pa.record_batch([pa.array([None], pa.int64())], schema=loose)
        # As long as it takes for the refusal to come back; nothing more is sent meanwhile.
        threading.Event().wait(1)
        yield pa.record_batch([pa.array([2])], schema=loose)

    rows = pa.RecordBatchReader.from_batches(loose, batches())
    with pytest.raises(InvalidRequest, match=r"'a'.*null"):
        ours.put("live", rows, commit_every=CommitEvery(rows=1))
    assert ours.scan("live").to_arrow().column("a").to_pylist() == [1]
