"""Views over HTTP, and over Flight beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal
from tests.fix_http import TwoDoors

DATA = pa.table({"id": [1, 2, 3], "n": ["a", "b", "c"]})
VIEWS = "/api/v1/views"


@pytest.fixture
def table(client: Client, name: str) -> str:
    client.put(DATA, ingest={"table": name, "mode": "create"})
    return name


@pytest.fixture
def view(api: httpx.Client, table: str) -> str:
    view = f"{table}_view"
    body = {"view": view, "sql": f"SELECT id, upper(n) AS n FROM {table}", "comment": "loud"}
    answer = api.post(VIEWS, json=body)
    assert (answer.status_code, set(answer.json())) == (201, {"commit"})
    return view


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_view_is_made_described_listed_and_dropped(
    api: httpx.Client, view: str, table: str
) -> None:
    found = api.get(f"{VIEWS}/{view}").json()
    assert (found["view"], found["kind"], found["comment"]) == (view, "view", "loud")
    assert found["definition"] == f"SELECT id, upper(n) AS n FROM {table}"
    assert [column["name"] for column in found["columns"]] == ["id", "n"]
    assert (found["rows"], found["bytes"], found["versions"]) == (None, None, 1)
    assert view in api.get(VIEWS).json()["views"]
    assert view in api.get(VIEWS, params={"namespace": "main"}).json()["views"]
    assert api.get(VIEWS, params={"of": table.upper()}).json() == {"views": [view]}
    assert api.get(VIEWS, params={"of": view}).json() == {"views": []}
    assert told(api.get(VIEWS, params={"of": "nowhere"})) == (404, "table_not_found")
    assert api.delete(f"{VIEWS}/{view}").status_code == 200
    assert told(api.get(f"{VIEWS}/{view}")) == (404, "table_not_found")


def test_a_view_is_read_in_every_way(api: httpx.Client, view: str) -> None:
    rows = f"/api/v1/tables/{view}/rows"
    loud = [{"id": 1, "n": "A"}, {"id": 2, "n": "B"}, {"id": 3, "n": "C"}]
    assert api.get(rows, params={"order_by": "id"}).json()["rows"] == loud
    some: dict[str, str | int] = {
        "where": "id > 1",
        "select": "n",
        "order_by": "id desc",
        "limit": 1,
    }
    assert api.get(rows, params=some).json()["rows"] == [{"n": "C"}]
    counted = api.get(rows, params={"aggregate": "count(*)"}).json()["rows"]
    assert list(counted[0].values()) == [3]
    sql = {"sql": f"SELECT n FROM {view} WHERE id = 2"}
    assert api.post("/api/v1/query", json=sql).json()["rows"] == [{"n": "B"}]
    paged = api.get(rows, params={"cursor": "", "limit": 2})
    assert told(paged) == (501, "unsupported")


def test_what_is_wrong_is_said(api: httpx.Client, view: str, table: str) -> None:
    again = {"view": view, "sql": "SELECT 1 AS n"}
    assert told(api.post(VIEWS, json=again)) == (409, "already_exists")
    assert api.post(VIEWS, json=again | {"replace": True}).status_code == 201
    assert told(api.post(VIEWS, json={"view": "v", "sql": "DROP TABLE t"})) == (501, "unsupported")
    wrong = api.post(VIEWS, json={"view": "v", "sql": "SELECT 1", "colums": ["a"]})
    assert told(wrong) == (400, "invalid_request")
    assert told(api.get(f"{VIEWS}/{table}")) == (400, "invalid_request")
    assert told(api.delete(f"{VIEWS}/{table}")) == (400, "invalid_request")
    assert told(api.post(f"/api/v1/tables/{view}/rows", json={"n": 1})) == (501, "unsupported")
    assert api.delete(f"{VIEWS}/nowhere").status_code == 404


def test_a_view_whose_table_went_says_so(api: httpx.Client, client: Client, view: str) -> None:
    client.action("drop_table", table=view.removesuffix("_view"))
    assert told(api.get(f"/api/v1/tables/{view}/rows")) == (409, "view_unreadable")
    assert api.get(f"{VIEWS}/{view}").json()["columns"][0]["name"] == "id"
    assert refusal(lambda: client.get(sql=f"SELECT * FROM {view}")).code == "view_unreadable"


def test_who_may(doors: TwoDoors, view: str) -> None:
    with doors.client(doors.key_of("reader")) as reader:
        assert view in reader.get(VIEWS).json()["views"]
        assert reader.get(f"/api/v1/tables/{view}/rows").status_code == 200
        mine = {"view": "mine", "sql": "SELECT 1 AS n"}
        assert told(reader.post(VIEWS, json=mine)) == (403, "forbidden")
        assert told(reader.delete(f"{VIEWS}/{view}")) == (403, "forbidden")
    with doors.client("") as nobody:
        assert nobody.get(VIEWS).status_code == 401


def test_flight_reads_lists_and_changes_views(client: Client, view: str, table: str) -> None:
    assert client.info(view).schema.names == ["id", "n"]
    assert client.get(view).num_rows == 3
    assert client.read(scan={"table": view, "filter": "id = 1"}).to_pylist() == [
        {"id": 1, "n": "A"}
    ]
    listed = client.flight.list_flights(b"", client.options())
    assert view in {info.descriptor.path[-1].decode() for info in listed}
    made = client.action("create_view", view=f"{view}2", sql=f"SELECT id FROM {view}")
    assert made["commit"] > 0
    client.action("rename_view", view=f"{view}2", to=f"{view}3")
    found = client.action("list_views", namespace="main")
    assert {view, f"{view}3"} <= set(found["views"])
    client.action("drop_view", view=f"{view}3")
    assert refusal(lambda: client.action("drop_view", view=f"{view}3")).code == "table_not_found"
    assert refusal(lambda: client.put(DATA, view)).code == "unsupported"


def test_adbc_makes_and_reads_views(
    server: LocalServer, connect_adbc: Callable[..., Any], table: str
) -> None:
    with connect_adbc(server, autocommit=True) as adbc, adbc.cursor() as cursor:
        cursor.execute(f"CREATE VIEW {table}_seen AS SELECT n FROM {table} WHERE id > 1")
        cursor.execute(f"SELECT * FROM {table}_seen ORDER BY n")
        assert cursor.fetchall() == [("b",), ("c",)]
        listing = adbc.adbc_get_objects(
            depth="tables", catalog_filter="lake", table_name_filter=f"{table}%"
        ).read_all()
        (catalog,) = listing.to_pylist()
        (schema,) = [
            one for one in catalog["catalog_db_schemas"] if one["db_schema_name"] == "main"
        ]
        kinds = {one["table_name"]: one["table_type"] for one in schema["db_schema_tables"]}
        assert kinds == {table: "TABLE", f"{table}_seen": "VIEW"}
        assert adbc.adbc_get_table_schema(f"{table}_seen").names == ["n"]
        cursor.execute(f"DROP VIEW {table}_seen")


def test_a_view_that_holds_its_rows_is_refreshed(
    api: httpx.Client, client: Client, table: str
) -> None:
    view = f"{table}_kept"
    body = {"view": view, "sql": f"SELECT id FROM {table} WHERE id > 1", "materialized": True}
    assert api.post(VIEWS, json=body).status_code == 201
    found = api.get(f"{VIEWS}/{view}").json()
    assert (found["kind"], found["rows"]) == ("materialized_view", 2)
    told = found["refresh"]
    assert (told["when"], told["is_stale"], told["mode"]) == ("on_demand", False, "full")
    client.put(DATA, table)
    assert api.get(f"{VIEWS}/{view}").json()["refresh"]["is_stale"]
    done = api.post(f"{VIEWS}/{view}/refresh").json()
    assert (done["mode"], done["rows"]) == ("incremental", 2)
    assert done["commit"] > done["snapshot"]
    assert len(api.get(f"/api/v1/tables/{view}/rows").json()["rows"]) == 4
    again = client.action("refresh_view", view=view)
    assert (again["mode"], again["rows"]) == (None, 0)
    assert client.action("describe_view", view=view)["refresh"]["mode"] == "incremental"


def test_what_cannot_be_refreshed_says_so(
    api: httpx.Client, doors: TwoDoors, view: str, table: str
) -> None:
    assert told(api.post(f"{VIEWS}/{view}/refresh")) == (501, "unsupported")
    assert told(api.post(f"{VIEWS}/{table}/refresh")) == (400, "invalid_request")
    assert told(api.post(f"{VIEWS}/nowhere/refresh")) == (404, "table_not_found")
    wrong = {"view": "v", "sql": "SELECT 1 AS n", "refresh": "on_change"}
    assert told(api.post(VIEWS, json=wrong)) == (400, "invalid_request")
    clock = wrong | {"sql": "SELECT now() AS n", "materialized": True}
    assert told(api.post(VIEWS, json=clock)) == (400, "invalid_request")
    kept = {"view": f"{table}_kept", "sql": f"SELECT id FROM {table}", "materialized": True}
    assert api.post(VIEWS, json=kept).status_code == 201
    with doors.client(doors.key_of("reader")) as reader:
        assert told(reader.post(f"{VIEWS}/{table}_kept/refresh")) == (403, "forbidden")
