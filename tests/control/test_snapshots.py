"""Named snapshots over HTTP and over Flight."""

from __future__ import annotations

import httpx
import pyarrow as pa
import pytest

from tests.fix_client import Client, refusal
from tests.fix_http import TwoDoors

DATA = pa.table({"id": [1, 2, 3]})
SNAPSHOTS = "/api/v1/snapshots"


@pytest.fixture
def namespace(client: Client, name: str) -> str:
    client.action("create_namespace", namespace=f"n/{name}")
    client.put(DATA, ingest={"table": f"n/{name}.t", "mode": "create"})
    return f"n/{name}"


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_namespace_is_kept_and_brought_back(
    api: httpx.Client, client: Client, namespace: str
) -> None:
    made = api.post(SNAPSHOTS, json={"name": "may", "namespace": namespace})
    assert made.status_code == 201
    body = made.json()
    assert (body["name"], body["table"]) == (f"{namespace}.may", None)
    assert body in api.get(SNAPSHOTS).json()["snapshots"]
    at = f"{SNAPSHOTS}/{body['name'].replace('/', '%2F')}"
    assert api.get(at).json()["tables"] == [f"{namespace}.t"]
    client.action("drop_table", table=f"{namespace}.t")
    done = api.post(f"{at}/restore").json()
    assert (done["tables"], done["commit"] > body["version"]) == ([f"{namespace}.t"], True)
    assert len(api.get(f"/api/v1/tables/{namespace}.t/rows").json()["rows"]) == 3
    assert api.delete(at).status_code == 204
    assert told(api.get(at)) == (404, "snapshot_not_found")
    assert told(api.delete(at)) == (404, "snapshot_not_found")
    assert told(api.post(f"{at}/restore")) == (404, "snapshot_not_found")


def test_a_table_at_a_tag(api: httpx.Client, client: Client, namespace: str) -> None:
    table = f"{namespace}.t"
    client.action("create_tag", table=table, name="opening")
    client.put(DATA, namespace, "t")
    body = {"name": "then", "table": table, "version": "opening"}
    made = api.post(SNAPSHOTS, json=body).json()
    assert made["table"] == table
    api.post(f"{SNAPSHOTS}/{made['name']}/restore")
    assert len(api.get(f"/api/v1/tables/{table}/rows").json()["rows"]) == 3


def test_what_is_wrong_is_said(api: httpx.Client, namespace: str) -> None:
    for wrong in (
        {"name": "x"},
        {"name": "x", "namespace": namespace, "table": f"{namespace}.t"},
        {"name": "x", "namespace": namespace, "version": "a tag"},
        {"name": "x", "namespace": namespace, "nmae": 1},
    ):
        assert told(api.post(SNAPSHOTS, json=wrong)) == (400, "invalid_request")
    assert told(api.post(SNAPSHOTS, json={"name": "", "namespace": namespace})) == (
        400,
        "invalid_name",
    )
    missing = {"name": "x", "table": f"{namespace}.nope"}
    assert told(api.post(SNAPSHOTS, json=missing)) == (404, "table_not_found")
    api.post(SNAPSHOTS, json={"name": "x", "namespace": namespace})
    again = api.post(SNAPSHOTS, json={"name": "X", "namespace": namespace})
    assert told(again) == (409, "already_exists")


def test_flight_does_the_same(client: Client, namespace: str) -> None:
    made = client.action("create_snapshot", name="flown", namespace=namespace)
    assert made in client.action("list_snapshots")["snapshots"]
    client.action("delete", table=f"{namespace}.t", all=True)
    done = client.action("restore_snapshot", snapshot=made["name"])
    assert done["tables"] == [f"{namespace}.t"]
    client.action("drop_snapshot", snapshot=made["name"])
    refused = refusal(lambda: client.action("restore_snapshot", snapshot=made["name"]))
    assert refused.code == "snapshot_not_found"


def test_a_reader_makes_one_and_restores_none(doors: TwoDoors, namespace: str) -> None:
    with doors.client(doors.key_of("reader")) as reader:
        made = reader.post(SNAPSHOTS, json={"name": "mine", "namespace": namespace}).json()
        at = f"{SNAPSHOTS}/{made['name']}"
        assert told(reader.post(f"{at}/restore")) == (403, "forbidden")
        with doors.client(doors.key_of("reader", name="other")) as other:
            assert told(other.delete(at)) == (403, "forbidden")
        assert reader.delete(at).status_code == 204
    with doors.client("") as nobody:
        assert nobody.get(SNAPSHOTS).status_code == 401


def test_a_view_of_what_is_gone_cannot_be_brought_back(api: httpx.Client, namespace: str) -> None:
    other = f"{namespace}2"
    assert api.post("/api/v1/namespaces", json={"namespace": other}).is_success
    columns = [{"name": "id", "type": "int64"}]
    for name in ("gone", "hidden"):
        made = api.post("/api/v1/tables", json={"table": f"{other}.{name}", "columns": columns})
        assert made.is_success
    view = {"view": f"{namespace}.v", "sql": f'select * from "{other}".gone'}
    assert api.post("/api/v1/views", json=view).is_success
    assert api.post(SNAPSHOTS, json={"name": "kept", "namespace": namespace}).is_success
    assert api.delete(f"/api/v1/tables/{other}.gone").is_success
    refused = api.post(f"{SNAPSHOTS}/{namespace.replace('/', '%2F')}.kept/restore")
    assert told(refused) == (409, "view_unreadable")
    assert "hidden" not in refused.text
