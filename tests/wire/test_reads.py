"""Reading over Flight: descriptors, plain tickets, flight infos, listings, the past."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal

DATA = pa.table({"a": [1, 2, 3, 4], "b": ["x", "y", None, "z"]})


@pytest.fixture
def table(client: Client, name: str) -> str:
    client.put(DATA, ingest={"table": name, "mode": "create"})
    return name


def test_a_path_is_the_whole_table(client: Client, table: str) -> None:
    info = client.info(table)
    assert info.schema == DATA.schema
    assert info.total_records == 4
    assert info.descriptor.path == [table.encode()]
    assert json.loads(info.app_metadata)["snapshot"] > 0
    (endpoint,) = info.endpoints
    assert endpoint.locations == []
    lifetime = endpoint.expiration_time.as_py() - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=14) < lifetime < dt.timedelta(minutes=16)
    assert client.stream(endpoint.ticket).read_all().equals(DATA)


def test_estimated_bytes_are_those_of_the_files(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client]
) -> None:
    server = start_server()
    client = connect(server)
    # Numbers that encodings make little of.
    chance = random.Random(7)
    numbers = [chance.getrandbits(40) for _ in range(200_000)]
    client.put(pa.table({"n": numbers}), ingest={"table": "t", "mode": "create"})
    on_disk = sum(path.stat().st_size for path in server.data.rglob("*.parquet"))
    assert on_disk > 100_000
    assert client.info("t").total_bytes == on_disk
    assert client.action("describe_table", table="t")["bytes"] == on_disk
    assert client.info(scan={"table": "t", "limit": 50_000}).total_bytes == on_disk // 4
    assert client.info(scan={"table": "t", "filter": "n > 5"}).total_bytes == -1


def test_rows_in_the_catalog_are_in_no_file(client: Client, table: str) -> None:
    told = client.action("describe_table", table=table)
    assert (told["rows"], told["files"], told["bytes"]) == (4, 0, 0)
    assert client.info(table).total_bytes == 0


def test_a_path_may_name_the_catalog(client: Client, table: str) -> None:
    assert client.get("lake", "main", table).equals(DATA)
    assert client.get("main", table).equals(DATA)
    assert client.get("lake", table).equals(DATA)


@pytest.mark.parametrize(
    ("scan", "rows"),
    [
        ({"columns": ["b"]}, [{"b": b} for b in ("x", "y", None, "z")]),
        ({"filter": "a > 2", "columns": ["a"]}, [{"a": 3}, {"a": 4}]),
        ({"order_by": "a DESC", "limit": 2, "columns": ["a"]}, [{"a": 4}, {"a": 3}]),
        ({"order_by": "a", "limit": 2, "offset": 3, "columns": ["a"]}, [{"a": 4}]),
        ({"filter": "b IS NULL"}, [{"a": 3, "b": None}]),
        ({"limit": 0}, []),
    ],
)
def test_scans(
    client: Client, table: str, scan: dict[str, object], rows: list[dict[str, object]]
) -> None:
    request = {"table": table} | scan
    assert client.get(scan=request).to_pylist() == rows
    assert client.read(scan=request).to_pylist() == rows
    assert client.schema(scan=request) == client.get(scan=request).schema


def test_row_ids(client: Client, table: str) -> None:
    found = client.read(scan={"table": table, "with_row_id": True})
    assert found.schema.names == ["a", "b", "_row_id"]
    assert len(set(found["_row_id"].to_pylist())) == 4


def test_sql_with_parameters(client: Client, table: str) -> None:
    sql = f"SELECT count(*) AS n FROM {table} WHERE a > ?"
    assert client.get(sql=sql, parameters=[2]).to_pylist() == [{"n": 2}]
    named = client.read(sql=sql.replace("?", "$least"), parameters={"least": 1})
    assert named.to_pylist() == [{"n": 3}]
    assert client.schema(sql=sql, parameters=[2]) == pa.schema({"n": pa.int64()})


@pytest.mark.parametrize("where", ["", "WHERE b = '$1'"])
def test_a_parameter_that_a_statement_has_not_is_refused(
    client: Client, table: str, where: str
) -> None:
    text = f"SELECT a FROM {table} {where}"
    found = refusal(lambda: client.get(sql=text, parameters=["x"]))
    assert found.code == "invalid_sql"
    assert "parameters: 1" in found.message


def test_an_info_of_sql_is_pinned(client: Client, table: str) -> None:
    info = client.info(sql=f"SELECT count(*) AS n FROM {table}")
    client.put(DATA, table)
    assert client.stream(info.endpoints[0].ticket).read_all().to_pylist() == [{"n": 4}]


def test_an_info_of_a_scan_is_pinned(client: Client, table: str) -> None:
    info = client.info(table)
    client.action("drop_table", table=table)
    assert client.stream(info.endpoints[0].ticket).read_all().equals(DATA)


def test_the_past_by_version_tag_and_time(client: Client, table: str) -> None:
    first = client.info(table).app_metadata
    version = json.loads(first)["snapshot"]
    between = dt.datetime.now(dt.UTC).isoformat()
    client.action("create_tag", table=table, name="before")
    client.put(DATA, table)
    for past in ({"version": version}, {"version": "before"}, {"as_of": between}):
        assert client.read(scan={"table": table} | past).num_rows == 4
        assert client.get(scan={"table": table} | past).num_rows == 4
    sql = f"SELECT * FROM {table}"
    assert client.read(sql=sql, version=version).num_rows == 4
    assert client.get(sql=sql, as_of=between).num_rows == 4
    assert client.read(sql=sql).num_rows == 8
    both = {"table": table, "version": version, "as_of": between}
    assert refusal(lambda: client.read(scan=both)).code == "invalid_request"


def test_changes_and_differences(client: Client, table: str) -> None:
    before = json.loads(client.info(table).app_metadata)["snapshot"]
    client.action("update", table=table, set={"b": "'q'"}, filter="a = 1")
    client.action("delete", table=table, filter="a = 2")
    changes = client.get(changes={"table": table, "after": before})
    assert changes.schema.names == ["_snapshot", "_row_id", "_change", "a", "b"]
    assert changes["_change"].to_pylist() == ["update_postimage", "delete"]
    both = client.read(changes={"table": table, "after": before, "images": "both"})
    assert both["b"].to_pylist()[:2] in (["x", "q"], ["q", "x"])
    difference = client.get(diff={"table": table, "older": before})
    assert sorted(difference["_change"].to_pylist()) == [
        "delete",
        "update_postimage",
        "update_preimage",
    ]


def test_a_pinned_diff_ends_where_it_was_asked(client: Client, table: str) -> None:
    before = json.loads(client.info(table).app_metadata)["snapshot"]
    info = client.info(changes={"table": table, "after": before})
    client.put(DATA, table)
    assert client.stream(info.endpoints[0].ticket).read_all().num_rows == 0


def test_list_flights(client: Client) -> None:
    client.action("create_namespace", namespace="listed")
    client.put(DATA, ingest={"table": "listed.Apples", "mode": "create"})
    client.put(DATA.slice(0, 1), ingest={"table": "listed.pears", "mode": "create"})

    def listed(**criteria: str) -> dict[bytes, int]:
        found = client.flight.list_flights(json.dumps(criteria).encode(), client.options())
        return {info.descriptor.path[-1]: info.total_records for info in found}

    assert listed(namespace="listed") == {b"Apples": 4, b"pears": 1}
    assert listed(namespace="listed", pattern="p*") == {b"pears": 1}
    assert listed(pattern="LISTED.a*") == {b"Apples": 4}
    assert listed(catalog="lake", pattern="no such") == {}
    assert refusal(lambda: listed(namespace="nowhere")).code == "namespace_not_found"
    assert refusal(lambda: listed(catalog="nowhere")).code == "catalog_not_found"
    assert "Did you mean 'pattern'" in refusal(lambda: listed(patern="x")).message


def test_what_is_listed_can_be_read(client: Client, table: str) -> None:
    criteria = json.dumps({"pattern": table}).encode()
    (info,) = client.flight.list_flights(criteria, client.options())
    assert info.schema == DATA.schema
    assert client.stream(info.endpoints[0].ticket).read_all().equals(DATA)


def test_a_large_scan_has_several_endpoints_in_order(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client]
) -> None:
    client, rows = connect(start_server(endpoint_bytes=2**20)), 300_000
    for start in range(0, 3 * rows, rows):
        part = pa.table(
            {"n": range(start, start + rows), "text": [f"{i:040}" for i in range(rows)]}
        )
        client.put(part, ingest={"table": "large", "create_if_missing": True})
    info = client.info("large")
    assert len(info.endpoints) > 1
    assert info.ordered
    assert info.total_records == 3 * rows
    parts = [client.stream(part.ticket).read_all()["n"] for part in info.endpoints]
    assert pa.concat_tables([pa.table({"n": part}) for part in parts])["n"].to_pylist() == list(
        range(3 * rows)
    )


def test_batches_have_the_wires_size(client: Client, name: str) -> None:
    data = pa.table({"n": range(1_000_000)})
    client.put(data, ingest={"table": name, "mode": "create"})
    chunks = client.stream(json.dumps({"scan": {"table": name}}).encode()).to_reader()
    sizes = [batch.nbytes for batch in chunks]
    assert sum(sizes) == data.nbytes
    assert all(2**19 <= size <= 3 * 2**19 for size in sizes[:-1])


def test_dictionaries_arrive(client: Client, name: str) -> None:
    kind = pa.dictionary(pa.int8(), pa.string())
    data = pa.table({"d": pa.array(["a", "b", "a", None], kind), "n": [1, 2, 3, 4]})
    client.put(data, ingest={"table": name, "mode": "create"})
    found = client.get(name)
    assert found.schema == data.schema
    assert found.to_pylist() == data.to_pylist()


def test_polars_and_pandas(client: Client, table: str) -> None:
    frame = pl.from_arrow(client.get(table))
    assert isinstance(frame, pl.DataFrame)
    assert frame["a"].sum() == 10
    client.put(frame.to_arrow(), table)
    pandas = client.stream(json.dumps({"scan": {"table": table}}).encode()).read_pandas()
    assert isinstance(pandas, pd.DataFrame)
    assert pandas["a"].sum() == 20


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ({"scan": {"table": "no_such"}}, "table_not_found", "There is no table 'no_such'"),
        ({"scan": {"table": "a.b.c"}}, "invalid_name", "'a.b.c'"),
        ({"scan": {"tabel": "t"}}, "invalid_request", "Did you mean 'table'?"),
        ({"scan": {"table": "t", "limit": -1}}, "invalid_request", "'limit'"),
        ({"scan": {"table": "t", "as_of": "2026-01-01T00:00:00"}}, "invalid_request", "time zone"),
        ({"scan": {"table": "t", "as_of": "soon"}}, "invalid_request", '"soon"'),
        ({"scan": {"table": "t", "limit": "many"}}, "invalid_request", '"many"'),
        ({"scan": "t"}, "invalid_request", "an object is needed"),
        ({"scan": {"table": "t"}, "limit": 3}, "invalid_request", "'limit' beside 'scan'"),
        ({"scam": {}}, "invalid_request", "Did you mean 'scan'?"),
        ({}, "invalid_request", "known are"),
        ({"sql": "SELEKT 1"}, "invalid_sql", "SELEKT"),
        ({"sql": "SELECT 1; SELECT 2"}, "invalid_sql", ""),
        ({"sql": "SELECT * FROM '/etc/passwd'"}, "", ""),
        ({"sql": 7}, "invalid_request", "7"),
        ({"scan": {"table": "t", "columns": "a"}}, "invalid_request", "should be a list."),
        ({"sql": "SELECT ?", "parameters": 7}, "invalid_request", "should be an object."),
        ({"changes": {"table": "no_such", "after": 1}}, "table_not_found", "no_such"),
    ],
)
def test_mistakes(client: Client, command: dict[str, object], code: str, says: str) -> None:
    ticket = json.dumps(command).encode()
    for call in (lambda: client.info(**command), lambda: client.stream(ticket).read_all()):
        found = refusal(call)
        assert code in found.code
        assert says in found.message


def test_a_version_from_before_the_table_is_told_as_that(client: Client, name: str) -> None:
    client.put(DATA, ingest={"table": f"{name}_first", "mode": "create"})
    version = json.loads(client.info(f"{name}_first").app_metadata)["snapshot"]
    client.put(DATA, ingest={"table": name, "mode": "create"})
    sql = f"SELECT * FROM {name} AT (VERSION => {version})"
    for read in ({"scan": {"table": name, "version": version}}, {"sql": sql}):
        found = refusal(lambda read=read: client.info(**read))  # type: ignore[misc]
        assert found.code == "version_not_found"
        assert f"'{name}' did not exist at version {version}" in found.message


@pytest.mark.parametrize("ticket", [b"", b"{", b"[1]", b"\xff\xfe", b'"text"', b"7" * 5000])
def test_tickets_that_are_nothing(client: Client, ticket: bytes) -> None:
    assert refusal(lambda: client.stream(ticket).read_all()).code == "invalid_request"


def test_get_schema_refuses_without_a_traceback(client: Client) -> None:
    # pyarrow's client drops the details of this one call; the message and the class remain.
    with pytest.raises(KeyError) as caught:
        client.schema("no_such_table")
    assert "There is no table 'no_such_table'" in str(caught.value)
    assert "table_not_found" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    with pytest.raises(pa.ArrowInvalid, match="Did you mean 'table'"):
        client.schema(scan={"tabel": "x"})


def test_paths_that_are_none(client: Client) -> None:
    four = flight.FlightDescriptor.for_path("a", "b", "c", "d")
    found = refusal(lambda: client.flight.get_flight_info(four, client.options()))
    assert found.code == "invalid_name"


def test_exchange_is_told_apart_from_a_failure(client: Client) -> None:
    def exchange() -> None:
        writer, reader = client.flight.do_exchange(
            flight.FlightDescriptor.for_command(b"{}"), client.options()
        )
        with writer:
            writer.done_writing()
            reader.read_all()

    assert refusal(exchange).code == "unsupported"
