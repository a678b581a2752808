"""Indexes and searches over HTTP and Flight: what is near, within what may be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import ErrorCode, InvalidRequest, NotFound, PixelflightError, Unsupported
from tests.fix_foreign import WatchedEngine
from tests.fix_http import TwoDoors
from tests.fix_permissions import new_role, refused

V1 = "/api/v1/tables"
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "owner": ["ann", "bob", "ann", "cyd"],
        "secret": ["s", "t", "u", "v"],
        "v": pa.array([[1, 0], [0, 1], [3, 4], None], pa.list_(pa.float32(), 2)),
        "w": pa.array([[1, 0], [0, 1], [3, 4], [0, 2]], pa.list_(pa.float32(), 2)),
    }
)
ARROW = {"accept": "application/vnd.apache.arrow.stream"}
UP = {"column": "v", "vector": [0, 1]}


@pytest.fixture
def table(memory: WatchedEngine) -> str:
    """A table of the other catalog, with an index by name of each of two columns."""
    return "memory:" + memory.put(ROWS).rsplit(".", 1)[1]


@pytest.fixture
def admin(doors: TwoDoors) -> Any:
    with connect(doors.flight.url, doors.key) as client:
        yield client


@pytest.fixture
def indexed(admin: Client, table: str) -> str:
    """The same, with an index of each of two columns."""
    for column in ("v", "w"):
        admin.create_index(table, column, name=f"by_{column}", metric="l2")
    return table


@pytest.fixture
def limited(doors: TwoDoors, api: httpx.Client, indexed: str) -> Any:
    """The key of somebody who sees the rows of ann and bob, and neither `secret` nor `w`."""
    shown = {"columns": ["id", "owner", "v"], "rows": "owner <> 'cyd' AND id <> 2"}
    return doors.key_of(new_role(api, {"actions": ["read"], "table": indexed, **shown}))


def test_an_index_is_made_listed_and_dropped(api: httpx.Client, table: str) -> None:
    path = f"{V1}/{table}/indexes"
    made = api.post(path, json={"column": "V", "name": "near", "metric": "ip"})
    assert made.status_code == 201, made.text
    assert set(made.json()) == {"commit"}
    listed: dict[str, Any] = {
        "name": "near",
        "column": "v",
        "kind": "embedding",
        "metric": "ip",
        "precision": None,
        "embedders": {},
    }
    assert api.get(path).json() == {"indexes": [listed]}
    again = api.post(path, json={"column": "v", "name": "near"})
    assert refused(again)[:2] == (409, "already_exists")
    assert api.delete(f"{path}/NEAR").status_code == 200
    assert refused(api.delete(f"{path}/near"))[:2] == (404, "index_not_found")
    assert refused(api.post(f"{V1}/{table}/search", json=UP))[:2] == (404, "index_not_found")


def test_rows_come_as_json_and_as_arrow(api: httpx.Client, indexed: str) -> None:
    body = UP | {"columns": ["id"], "where": {"owner": {"ne": "bob"}}}
    answer = api.post(f"{V1}/{indexed}/search", json=body)
    assert answer.json() == {
        "rows": [{"id": 1, "_score": 2**0.5}, {"id": 3, "_score": 18**0.5}],
    }
    rows = pa.ipc.open_stream(
        api.post(f"{V1}/{indexed}/search", json=UP, headers=ARROW).content
    ).read_all()
    assert rows.column_names == [*ROWS.column_names, "_score"]
    assert rows["id"].to_pylist() == [2, 1, 3]


def test_rows_come_by_flight(admin: Client, indexed: str) -> None:
    found = admin.search(indexed, "v", vector=[0, 1], columns=["id"], filter="id > 1", limit=1)
    assert found.to_pylist() == [{"id": 2, "_score": 0.0}]
    [named] = [one for one in admin.indexes(indexed) if one["column"] == "w"]
    assert (named["name"], named["metric"]) == ("by_w", "l2")
    admin.drop_index(indexed, "by_w")
    with pytest.raises(NotFound) as told:
        admin.search(indexed, "w", vector=[0, 1]).to_arrow()
    assert told.value.code is ErrorCode.INDEX_NOT_FOUND


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"text": "near"}, 400, "invalid_request"),
        ({"vector": None}, 400, "invalid_request"),
        ({"limit": -1}, 400, "invalid_request"),
        ({"vector": None, "image": "no base64"}, 400, "invalid_request"),
        ({"vector": None, "text": "near"}, 501, "unsupported"),
        ({"column": "x"}, 400, "column_not_found"),
        ({"columns": ["x"]}, 400, "column_not_found"),
        ({"where": "x = 1"}, 400, "column_not_found"),
        ({"where": "_score > 1"}, 400, "column_not_found"),
        ({"index": "by_w"}, 404, "index_not_found"),
        ({"order_by": "id"}, 400, "invalid_request"),
    ],
)
def test_what_is_wrong_is_told(
    api: httpx.Client, indexed: str, more: dict[str, Any], status: int, code: str
) -> None:
    answer = api.post(f"{V1}/{indexed}/search", json=UP | more)
    assert refused(answer)[:2] == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        {"column": "id", "kind": "btree", "metric": "l2"},
        {"column": "v", "embedders": {"vector": "f"}},
        {"column": "v", "embedders": {"smell": "f"}},
        {"column": "v", "metric": "far"},
        {"column": "secret"},
    ],
)
def test_what_no_index_can_be_is_told(api: httpx.Client, table: str, body: dict[str, Any]) -> None:
    answer = api.post(f"{V1}/{table}/indexes", json=body)
    assert refused(answer)[:2] == (400, "invalid_request")


def test_what_is_hidden_is_not_found(doors: TwoDoors, limited: str, indexed: str) -> None:
    with connect(doors.flight.url, limited) as client, doors.client(limited) as web:
        found = client.search(indexed, "v", vector=[0, 1], limit=1).to_arrow()
        # The nearest of all is hidden, and takes nobody's place.
        assert found.column_names == ["id", "owner", "v", "_score"]
        assert found["id"].to_pylist() == [1]
        assert [one["column"] for one in client.indexes(indexed)] == ["v"]
        told = []
        for column in ("secret", "w", "missing"):
            with pytest.raises(InvalidRequest) as error:
                client.search(indexed, column, vector=[0, 1]).to_arrow()
            told.append((error.value.code, error.value.message.replace(column, "…")))
            asked = web.post(f"{V1}/{indexed}/search", json=UP | {"column": column})
            assert refused(asked)[1] == "column_not_found"
        assert told[0] == told[1] == told[2]


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, table: client.search(table, "v", vector=[0, 1]).to_arrow(),
        lambda client, table: client.indexes(table),
        lambda client, table: client.create_index(table, "v"),
        lambda client, table: client.drop_index(table, "by_v"),
    ],
)
def test_strangers_know_nothing_of_it(
    doors: TwoDoors, api: httpx.Client, indexed: str, ask: Callable[[Client, str], Any]
) -> None:
    with connect(doors.flight.url, doors.key_of(new_role(api))) as stranger:
        told = []
        for name in (indexed, "memory:missing"):
            with pytest.raises(PixelflightError) as error:
                ask(stranger, name)
            told.append((error.value.code, error.value.message.replace(name, "…")))
    assert told[0] == told[1]


def test_who_only_reads_makes_and_drops_none(doors: TwoDoors, indexed: str) -> None:
    with connect(doors.flight.url, doors.key_of("reader")) as reader:
        assert reader.search(indexed, "v", vector=[0, 1]).to_arrow().num_rows == 3
        with pytest.raises(PixelflightError) as told:
            reader.create_index(indexed, "v")
        assert told.value.code is ErrorCode.FORBIDDEN
        with pytest.raises(PixelflightError) as told:
            reader.drop_index(indexed, "by_v")
        assert told.value.code is ErrorCode.FORBIDDEN


def test_a_column_that_is_read_by_a_grant_of_its_own_is_searched(
    doors: TwoDoors, api: httpx.Client, indexed: str
) -> None:
    grant = {"actions": ["read"], "table": indexed, "columns": ["w"]}
    with connect(doors.flight.url, doors.key_of(new_role(api, grant))) as client:
        found = client.search(indexed, "w", vector=[0, 2], limit=1).to_arrow()
    assert found.to_pylist() == [{"w": [0.0, 2.0], "_score": 0.0}]


def test_a_plan_of_a_search_tells_its_columns(admin: Client, doors: TwoDoors, indexed: str) -> None:
    from tests.fix_client import Client as RawClient

    raw = RawClient(doors.flight.url, doors.key)
    command = {"table": indexed, "column": "v", "vector": [0, 1], "columns": ["id"]}
    info = raw.info(search=command)
    assert info.schema.names == raw.schema(search=command).names == ["id", "_score"]
    [part] = info.endpoints
    assert raw.flight.do_get(part.ticket, raw.options()).read_all()["id"].to_pylist() == [2, 1, 3]
    raw.close()


def test_the_lake_is_not_searched(admin: Client) -> None:
    admin.put("points", ROWS.select(["id", "v"]), mode="overwrite")
    with pytest.raises(Unsupported):
        admin.search("points", "v", vector=[0, 1]).to_arrow()
    with pytest.raises(Unsupported):
        admin.create_index("points", "v")
