"""Paths and commands mean what the documentation says."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import flight

from flight_server.bodies.requests import Changes, Diff, Scan, Sql
from flight_server.errors import InvalidRequest
from flight_server.model import CommitEvery, IngestMode, IngestRequest, TableRef
from flight_server.wire.descriptors import (
    ingest_of,
    path_of_table,
    read_of,
    read_of_command,
    table_of_path,
)
from flight_server.wire.tickets import command_of

CATALOGS = ("lake", "pixeltable")
NAMES = st.one_of(
    st.sampled_from(["lake", "pixeltable", "main"]),
    st.text(st.characters(min_codepoint=32, codec="utf-8"), min_size=1, max_size=20).filter(
        lambda name: "\x7f" not in name
    ),
)


def command(**values: Any) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(json.dumps(values).encode())


@pytest.mark.parametrize(
    ("path", "table"),
    [
        (["t"], TableRef("lake", "main", "t")),
        (["sales", "daily"], TableRef("lake", "sales", "daily")),
        (["pixeltable", "films", "frames"], TableRef("pixeltable", "films", "frames")),
        (["pixeltable", "frames"], TableRef("pixeltable", "main", "frames")),
        (["lake", "t"], TableRef("lake", "main", "t")),
        (["a/b", "t.u"], TableRef("lake", "a/b", "t.u")),
    ],
)
def test_paths(path: list[str], table: TableRef) -> None:
    descriptor = flight.FlightDescriptor.for_path(*path)
    assert table_of_path(descriptor.path, CATALOGS) == table
    assert read_of(descriptor, CATALOGS) == Scan(table=str(table))
    assert ingest_of(descriptor, CATALOGS) == (table, IngestRequest())


@given(st.sampled_from(CATALOGS), NAMES, NAMES)
def test_the_path_of_a_table_leads_back_to_it(catalog: str, namespace: str, name: str) -> None:
    table = TableRef(catalog, namespace, name)
    parts = [part.encode() for part in path_of_table(table, CATALOGS)]
    assert table_of_path(parts, CATALOGS) == table


def test_a_scan_in_full() -> None:
    read = read_of(
        command(
            scan={
                "table": "sales.daily",
                "columns": ["a", "b"],
                "filter": "a > 1",
                "order_by": "a DESC",
                "limit": 10,
                "offset": 5,
                "as_of": "2026-01-31T12:00:00+02:00",
                "with_row_id": True,
            }
        ),
        CATALOGS,
    )
    assert isinstance(read, Scan)
    assert read.columns == ("a", "b")
    assert read.as_of == dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC)
    assert (read.limit, read.offset, read.with_row_id) == (10, 5, True)


def test_an_ingest_in_full() -> None:
    table, request = ingest_of(
        command(
            ingest={
                "table": "pixeltable:films.frames",
                "mode": "upsert",
                "key": ["id"],
                "create_if_missing": True,
                "token": "job-7",
                "commit_every": {"rows": 5, "ms": 100},
            }
        ),
        CATALOGS,
    )
    assert table == TableRef("pixeltable", "films", "frames")
    every = CommitEvery(rows=5, ms=100)
    assert request == IngestRequest(IngestMode.UPSERT, ("id",), True, "job-7", every)


@pytest.mark.parametrize("version", [7, "before"])
def test_a_version_is_a_number_or_a_tag(version: int | str) -> None:
    read = read_of(command(scan={"table": "t", "version": version}), CATALOGS)
    assert isinstance(read, Scan)
    assert read.version == version
    assert type(read.version) is type(version)


@pytest.mark.parametrize(
    "read",
    [
        Scan(table="t"),
        Scan(table="a.b", columns=("x",), version="tag", with_row_id=True, limit=0),
        Sql(sql="SELECT ?", parameters=[1, "x", None]),
        Sql(sql="SELECT $a", parameters={"a": [1.5]}, version=3),
        Changes(table="t", after=3, until=4),
        Diff(table="t", older="tag", newer=7),
    ],
    ids=lambda read: type(read).__name__,
)
def test_a_read_as_a_command_and_back(read: Any) -> None:
    assert read_of_command(json.dumps(command_of(read)).encode(), "ticket") == read


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"scan": {"table": "t", "filtr": "x"}}, "no field 'filtr'. Did you mean 'filter'?"),
        ({"scan": {}}, "needs the field 'table'"),
        ({"scan": {"table": ["t"]}}, "field 'table' of the command 'scan' is [\"t\"]"),
        ({"scan": {"table": "t", "version": 1.5}}, "'version'"),
        ({"scan": {"table": "t", "version": True}}, "'version'"),
        ({"scan": {"table": "t", "columns": "a"}}, "'columns'"),
        ({"sql": "x", "parameter": []}, "Did you mean 'parameters'?"),
        ({"changes": {"table": "t"}}, "needs the field 'after'"),
        ({"changes": {"table": "t", "after": 1, "images": "all"}}, "'after' or 'both'"),
        ({"ingest": {"table": "t", "mode": "upser"}}, "'upsert'"),
        ({"ingest": {"table": "t", "commit_every": {"row": 1}}}, "'commit_every.row'"),
        ({"ingest": {"table": "t", "commit_every": {"rows": -1}}}, "above 0"),
        ({"scan": None}, "an object is needed"),
        ({"scans": {}}, "Did you mean 'scan'?"),
        ({"scan": {"table": "t", "limit": 2**63}}, "'limit'"),
        ({"scan": {"table": "t", "version": 10**30}}, "'version'"),
        ({"changes": {"table": "t", "after": -(10**30)}}, "'after'"),
        ({"ingest": {"table": "t", "commit_every": {"ms": 10**30}}}, "'commit_every.ms'"),
        ({"scan": {"table": "t", "filter": "a = '\ud800'"}}, "surrogate"),
        ({"sql": "select ?", "parameters": ["\udfff"]}, "surrogate"),
    ],
)
def test_mistakes_are_explained(values: dict[str, Any], says: str) -> None:
    parse = ingest_of if "ingest" in values else read_of
    with pytest.raises(InvalidRequest) as caught:
        parse(command(**values), CATALOGS)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "Expecting property name"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"7" * 5000, "too many digits"),
        (b"[]", "is list, where an object is needed"),
    ],
)
def test_what_is_no_json_is_told_why(data: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        read_of_command(data, "ticket")


@given(st.binary(max_size=60))
def test_no_command_is_a_bug(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_of_command(data, "ticket")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["table", "scan", "sql", "after"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_no_json_is_a_bug(value: Any) -> None:
    try:
        read = read_of_command(json.dumps(value).encode(), "ticket")
    except InvalidRequest:
        return
    assert isinstance(read, Scan | Sql | Changes | Diff)
