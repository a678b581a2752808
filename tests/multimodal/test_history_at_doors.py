"""The history and the rows of Pixeltable's tables, one by one, through both doors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import ErrorCode, Forbidden, InvalidRequest, NotFound, Unsupported
from flight_server.testing.server import LocalServer, local_server
from tests.fix_http import TwoDoors, two_doors
from tests.fix_permissions import new_role

NUMBERS, FEW = "pixeltable:numbers", "pixeltable:views.few"
ROWS = f"/api/v1/tables/{NUMBERS}/rows"


@pytest.fixture(scope="module")
def kept(written_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server over a home that is written to."""
    data = tmp_path_factory.mktemp("kept")
    with local_server(data, durability="none", pixeltable=str(written_home)) as server:
        yield server


@pytest.fixture(scope="module")
def both(kept: LocalServer) -> Iterator[TwoDoors]:
    with two_doors(kept) as doors:
        yield doors


@pytest.fixture
def web(both: TwoDoors) -> Iterator[httpx.Client]:
    with both.client() as client:
        yield client


@pytest.fixture
def client(kept: LocalServer) -> Iterator[Client]:
    with connect(kept.url, kept.key) as client:
        yield client


def test_history_over_http(web: httpx.Client) -> None:
    told = web.get(f"/api/v1/tables/{NUMBERS}/versions", params={"limit": 100}).json()["versions"]
    [deleted] = [one for one in told if one["version"] == 3]
    assert (deleted["changes"], deleted["rows"]) == (["deleted"], 1)
    params = {"where": "id = 3", "as_of": told[-3]["committed_at"]}
    rows = web.get(ROWS, params=params)
    assert [row["id"] for row in rows.json()["rows"]] == [3]
    assert rows.headers["x-version"] == "2"
    before = web.get(ROWS, params={"as_of": "1999-01-01T00:00:00Z"})
    assert (before.status_code, before.json()["error"]["code"]) == (404, "version_not_found")


def test_differences_over_http(web: httpx.Client) -> None:
    table = f"/api/v1/tables/{NUMBERS}"
    diff = web.get(f"{table}/diff", params={"from": 2, "to": 3}).json()
    assert [(row["_change"], row["id"]) for row in diff["rows"]] == [("delete", 3)]
    feed = web.get(f"{table}/changes", params={"after": 1, "until": 3, "images": "both"}).json()
    kinds = [row["_change"] for row in feed["rows"]]
    assert (kinds.count("update_preimage"), kinds.count("update_postimage")) == (10, 10)
    assert kinds[-1] == "delete"
    newest = web.get(f"{table}/changes", params={"after": 4}).json()
    assert newest["until"] == web.get(f"{table}/versions").json()["versions"][0]["version"]
    refused = web.get(f"{table}/tags")
    assert refused.status_code == 501
    assert "tags" in refused.json()["error"]["message"]


def test_history_over_flight(client: Client) -> None:
    made = "pixeltable:of_flight"
    client.put(made, pa.table({"id": [1, 2]}), mode="create", key=["id"])
    first = client.versions(made)[0]
    client.delete(made, "id = 1")
    newest = client.versions(made)[0]
    assert (newest.author, newest.changes, newest.rows) == ("admin", ("deleted",), 1)
    assert client.scan(made, as_of=first.committed_at).to_arrow().num_rows == 2
    gone = client.diff(made, first.snapshot).to_pylist()
    assert [(row["_change"], row["id"]) for row in gone] == [("delete", 1)]
    fed = client.changes(made, after=first.snapshot).to_pylist()
    assert [(row["_snapshot"], row["id"]) for row in fed] == [(newest.snapshot, 1)]
    assert client.restore(made, first.snapshot).snapshot == newest.snapshot + 1
    moment = first.committed_at.isoformat()
    sql = f"SELECT count(*) AS n FROM pixeltable.main.of_flight AT (TIMESTAMP => '{moment}')"
    assert client.sql(sql).to_pylist() == [{"n": 2}]
    with pytest.raises(Unsupported, match="tags"):
        client.scan(made, version="a tag").to_arrow()


def test_one_row_by_its_id_and_by_its_key(web: httpx.Client) -> None:
    found = web.get(f"{ROWS}/key/100", params={"with_row_id": True})
    assert found.status_code == 200, found.text
    row = found.json()
    assert row["id"] == 100
    mine = f"{ROWS}/{row['_row_id']}"
    assert web.get(mine).json() == {key: row[key] for key in row if key != "_row_id"}
    done = web.patch(mine, json={"name": "patched", "x": {"expr": "x + 1"}})
    assert (done.status_code, done.json()["rows_updated"]) == (200, 1), done.text
    now = web.get(f"{ROWS}/key/100").json()
    assert (now["name"], now["x"], now["twice"]) == ("patched", row["x"] + 1, 2 * row["x"] + 2)
    done = web.put(mine, json={"id": 100, "name": "put", "even": True})
    assert done.status_code == 200, done.text
    now = web.get(mine).json()
    assert (now["name"], now["x"], now["twice"]) == ("put", None, None)
    other = web.put(mine, json={"id": 101, "name": "put", "even": True})
    assert other.status_code == 400
    assert "key of a row" in other.json()["error"]["message"]
    assert web.delete(f"{ROWS}/key/100").json()["rows_deleted"] == 1
    assert web.get(mine).status_code == 404
    assert web.patch(mine, json={"name": "x"}).status_code == 404


@pytest.mark.parametrize("order", [None, "even, x DESC, id"])
@pytest.mark.parametrize("table", [NUMBERS, FEW])
def test_pages(web: httpx.Client, table: str, order: str | None) -> None:
    path, where = f"/api/v1/tables/{table}/rows", "id BETWEEN 20 AND 45"
    params = {"where": where} | ({"order_by": order} if order else {})
    whole = [row["id"] for row in web.get(path, params=params).json()["rows"]]
    assert len(whole) == 26
    cursor: str | None = ""
    seen: list[int] = []
    while cursor is not None:
        page = web.get(path, params=params | {"limit": 10, "cursor": cursor}).json()
        assert len(page["rows"]) <= 10
        seen += [row["id"] for row in page["rows"]]
        cursor = page.get("next_cursor")
    assert sorted(seen) == sorted(whole)
    if order is None:
        assert len(seen) == 26
    else:
        assert seen == whole


def test_a_view_is_read_as_it_is(client: Client) -> None:
    """What changes in its base alone makes no version of it."""
    client.update(NUMBERS, {"name": "'seen'"}, "id = 5")
    for found in (
        client.scan(FEW, filter="id = 5"),
        client.sql(f"FROM {FEW.replace(':', '.')} WHERE id = 5"),
    ):
        assert found.to_arrow()["name"].to_pylist() == ["seen"]


def test_rights(both: TwoDoors, kept: LocalServer, web: httpx.Client, client: Client) -> None:
    client.put("pixeltable:secret", pa.table({"id": [1]}), mode="create")
    grant = {"table": NUMBERS, "actions": ["read", "update", "insert"]}
    role = new_role(web, {**grant, "columns": ["id", "name"]})
    with connect(kept.url, both.key_of(role)) as few:
        assert few.versions(NUMBERS)
        for act in (
            lambda: few.restore(NUMBERS, 1),
            lambda: few.diff(NUMBERS, 1, 2).to_arrow(),
            lambda: few.changes(NUMBERS, after=1).to_arrow(),
        ):
            with pytest.raises(Forbidden):
                act()
        with pytest.raises(NotFound) as hidden:
            few.versions("pixeltable:secret")
        with pytest.raises(NotFound) as missing:
            few.scan("pixeltable:secret", as_of="2026-01-01T00:00:00Z").to_arrow()
        assert hidden.value.code is missing.value.code is ErrorCode.TABLE_NOT_FOUND
        with pytest.raises(InvalidRequest):
            few.scan(NUMBERS, filter="x > 1").to_arrow()
