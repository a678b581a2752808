"""One row over HTTP: by its id, by its key, at a version that nobody has changed since."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.fix_client import Client
from tests.fix_http import TwoDoors

DATA = pa.table(
    {
        "code": ["AA", "AA", "b/c", "é"],
        "number": [1, 2, 3, 4],
        "price": pa.array([1.5, None, 2.5, 3.5]),
        "day": pa.array(["2026-01-01"] * 4).cast(pa.date32()),
        "tags": pa.array([["x"], [], None, ["y"]], pa.list_(pa.string())),
        "object": pa.array([{"expr": "a"}] * 4, pa.struct([("expr", pa.string())])),
    }
)


@pytest.fixture
def table(client: Client, name: str) -> str:
    client.put(DATA, ingest={"table": name, "mode": "create", "key": ["code", "number"]})
    return name


def url_of(table: str, row: str) -> str:
    return f"/api/v1/tables/{table}/rows/{row}"


def row_of(api: httpx.Client, table: str, row: str = "0") -> dict[str, Any]:
    answer = api.get(url_of(table, row))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_a_row_is_read_by_its_id(api: httpx.Client, table: str) -> None:
    answer = api.get(url_of(table, "0"), params={"with_row_id": True, "select": "code,day"})
    assert answer.json() == {"code": "AA", "day": "2026-01-01", "_row_id": 0}
    assert answer.headers["etag"] == f'"{answer.headers["x-version"]}"'
    csv = api.get(url_of(table, "1"), params={"select": "number"}, headers={"accept": "text/csv"})
    assert csv.text == '"number"\n2\n'


@pytest.mark.parametrize(
    ("key", "number"), [("AA/1", 1), ("AA/2", 2), ("b%2Fc/3", 3), ("%C3%A9/4", 4)]
)
def test_a_row_is_read_by_its_key(api: httpx.Client, table: str, key: str, number: int) -> None:
    assert row_of(api, table, f"key/{key}")["number"] == number


@pytest.mark.parametrize(
    ("row", "status", "code", "told_of"),
    [
        ("99", 404, "row_not_found", "no such row"),
        ("key/AA/9", 404, "row_not_found", "no such row"),
        ("key/AA", 400, "invalid_request", "(code, number)"),
        ("key/AA/1/2", 400, "invalid_request", "3 values"),
        ("key/AA/x", 400, "invalid_data", "'number'"),
        ("x", 400, "invalid_request", "no row id"),
        ("-1", 400, "invalid_request", "no row id"),
        ("9" * 30, 400, "invalid_request", "no row id"),
        ("key", 400, "invalid_request", "no row id"),
    ],
)
def test_rows_that_there_are_not(
    api: httpx.Client, table: str, row: str, status: int, code: str, told_of: str
) -> None:
    for answer in (
        api.get(url_of(table, row)),
        api.patch(url_of(table, row), json={"price": 1}),
        api.put(url_of(table, row), json={"code": "AA", "number": 1}),
        api.delete(url_of(table, row)),
    ):
        found = told(answer)
        assert found[:2] == (status, code)
        assert told_of in found[2]


def test_a_table_without_a_key_has_no_rows_by_key(
    client: Client, api: httpx.Client, name: str
) -> None:
    client.put(pa.table({"a": [1, 1]}), ingest={"table": name, "mode": "create"})
    assert "has no key" in told(api.get(url_of(name, "key/1")))[2]


def test_several_rows_of_one_key_are_not_one(client: Client, api: httpx.Client, name: str) -> None:
    client.put(pa.table({"a": [1, 1]}), ingest={"table": name, "mode": "create", "key": ["a"]})
    for answer in (api.get(url_of(name, "key/1")), api.delete(url_of(name, "key/1"))):
        assert told(answer)[:2] == (409, "conflict")


def test_some_columns_are_set(api: httpx.Client, table: str) -> None:
    changes = {"price": {"expr": "price * 2"}, "tags": ["p", None], "day": "2026-02-28"}
    answer = api.patch(url_of(table, "0"), json=changes)
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows_updated"] == 1
    row = row_of(api, table)
    assert (row["price"], row["tags"], row["day"]) == (3.0, ["p", None], "2026-02-28")
    assert (row["code"], row["number"]) == ("AA", 1)
    by_key = api.patch(url_of(table, "key/b%2Fc/3"), json={"price": None})
    assert by_key.json()["rows"] == 1
    assert row_of(api, table, "2")["price"] is None


def test_a_value_is_never_sql(api: httpx.Client, table: str) -> None:
    text = "x'); DROP TABLE t; --"
    api.patch(url_of(table, "0"), json={"code": text, "object": {"expr": "1 + 1"}})
    row = row_of(api, table)
    assert (row["code"], row["object"]) == (text, {"expr": "1 + 1"})


def test_a_row_is_replaced(client: Client, api: httpx.Client, table: str) -> None:
    changes = [{"set_default": {"name": "price", "default": "7.5"}}]
    client.action("alter_table", table=table, changes=changes)
    answer = api.put(url_of(table, "key/AA/1"), json={"code": "ZZ", "number": 9})
    assert answer.status_code == 200, answer.text
    row = row_of(api, table, "key/ZZ/9")
    assert (row["price"], row["day"], row["tags"], row["object"]) == (7.5, None, None, None)
    assert told(api.get(url_of(table, "key/AA/1")))[0] == 404


@pytest.mark.parametrize(
    ("body", "code", "told_of"),
    [
        ({"nope": 1}, "column_not_found", "nope"),
        ({"number": "x"}, "invalid_data", "'number'"),
        ({}, "invalid_request", "'set' is empty"),
        ([], "invalid_data", "an object is needed"),
        ({"price": {"expr": "nope + 1"}}, "column_not_found", "nope"),
        ({"price": {"expr": "1; DROP TABLE t"}}, "invalid_sql", ""),
        ({"price": {"expr": "(SELECT 1)"}}, "forbidden", "subquery"),
        ({"price": {"other": 1}}, "invalid_data", "is not a number"),
        ({"price": 1, "PRICE": 2}, "invalid_request", "twice"),
    ],
)
def test_changes_that_are_refused(
    api: httpx.Client, table: str, body: Any, code: str, told_of: str
) -> None:
    before = row_of(api, table)
    found = told(api.patch(url_of(table, "0"), json=body))
    assert found[1] == code
    assert told_of in found[2]
    assert row_of(api, table) == before


def test_a_row_is_deleted(api: httpx.Client, table: str) -> None:
    assert api.delete(url_of(table, "0")).json()["rows_deleted"] == 1
    assert told(api.delete(url_of(table, "0")))[:2] == (404, "row_not_found")
    assert api.delete(url_of(table, "key/AA/2")).json()["rows_deleted"] == 1


def test_a_change_that_comes_late_is_refused(
    client: Client, api: httpx.Client, table: str, name: str
) -> None:
    read = api.get(url_of(table, "0"))
    tag = read.headers["etag"]
    client.put(pa.table({"a": [1]}), ingest={"table": f"{name}_other", "mode": "create"})
    first = api.patch(url_of(table, "0"), json={"price": 10}, headers={"if-match": tag})
    assert first.status_code == 200, first.text
    for answer in (
        api.patch(url_of(table, "0"), json={"price": 11}, headers={"if-match": tag}),
        api.delete(url_of(table, "key/AA/1"), headers={"if-match": tag}),
    ):
        assert told(answer)[:2] == (412, "version_changed")
    assert row_of(api, table)["price"] == 10
    now = f'"{first.json()["commit"]}"'
    assert api.delete(url_of(table, "0"), headers={"if-match": now}).status_code == 200
    wrong = api.patch(url_of(table, "1"), json={"price": 1}, headers={"if-match": "soon"})
    assert "If-Match" in told(wrong)[2]


def test_a_row_that_is_hidden_is_missing(doors: TwoDoors, table: str) -> None:
    with doors.client(doors.key_of("reader")) as reader:
        assert reader.get(url_of(table, "0")).status_code == 200
        assert told(reader.patch(url_of(table, "0"), json={"price": 1}))[:2] == (403, "forbidden")
        assert told(reader.delete(url_of(table, "0")))[:2] == (403, "forbidden")


class TestMany:
    """PATCH and DELETE of many rows."""

    def url(self, table: str) -> str:
        return f"/api/v1/tables/{table}/rows"

    def count(self, api: httpx.Client, table: str) -> int:
        return len(api.get(self.url(table)).json()["rows"])

    def test_rows_are_set_where_a_filter_holds(self, api: httpx.Client, table: str) -> None:
        body = {"where": {"code": "AA"}, "set": {"price": {"expr": "coalesce(price, 0) + 1"}}}
        assert api.patch(self.url(table), json=body).json()["rows"] == 2
        body = {"where": "number >= 3", "set": {"price": 0, "code": "same"}}
        assert api.patch(self.url(table), json=body).json()["rows"] == 2
        rows = api.get(self.url(table), params={"order_by": "number"}).json()["rows"]
        assert [row["price"] for row in rows] == [2.5, 1.0, 0.0, 0.0]
        body = {"set": {"price": 5}, "all": True}
        assert api.patch(self.url(table), json=body).json()["rows"] == 4

    def test_rows_are_deleted_where_a_filter_holds(self, api: httpx.Client, table: str) -> None:
        url = self.url(table)
        assert api.delete(url, params={"where": '{"number": 1}'}).json()["rows"] == 1
        body = json.dumps({"where": {"number": {"lt": 3}}})
        answer = api.request("DELETE", url, content=body)
        assert answer.json()["rows"] == 1
        assert api.delete(url, params={"all": True}).json()["rows"] == 2
        assert self.count(api, table) == 0

    def test_without_where_nothing_happens(self, api: httpx.Client, table: str) -> None:
        for answer in (
            api.patch(self.url(table), json={"set": {"price": 1}}),
            api.delete(self.url(table)),
            api.delete(self.url(table), params={"soft": True}),
            api.request("DELETE", self.url(table), json={"soft": True}),
        ):
            assert told(answer)[:2] == (400, "invalid_request")
        misspelt = api.patch(self.url(table), json={"were": "a = 1", "set": {"price": 1}})
        assert "Did you mean 'where'" in told(misspelt)[2]
        both = api.request("DELETE", self.url(table), params={"all": True}, json={"all": True})
        assert "not in both" in told(both)[2]
        assert self.count(api, table) == 4

    def test_what_was_deleted_softly_comes_back(self, api: httpx.Client, table: str) -> None:
        url = self.url(table)
        before = api.get(url, params={"order_by": "number"}).json()["rows"]
        gone = api.delete(url, params={"where": "code = 'AA'", "soft": True}).json()
        assert (gone["rows_deleted"], self.count(api, table)) == (2, 2)
        one = api.delete(url_of(table, "key/b%2Fc/3"), params={"soft": True}).json()
        listed = api.get(f"{url}/deletions").json()["deletions"]
        assert [(each["deletion"], each["rows"]) for each in listed] == [
            (one["commit"], 1),
            (gone["commit"], 2),
        ]
        back = api.post(f"{url}/undelete", params={"deletion": gone["commit"]})
        assert back.json()["rows_inserted"] == 2, back.text
        assert api.post(f"{url}/undelete").json()["rows_inserted"] == 1
        assert api.get(url, params={"order_by": "number"}).json()["rows"] == before
        assert told(api.post(f"{url}/undelete"))[:2] == (404, "version_not_found")
        again = api.post(f"{url}/undelete", params={"deletion": gone["commit"]})
        assert told(again)[:2] == (404, "version_not_found")

    def test_keys_that_are_there_again(self, api: httpx.Client, table: str) -> None:
        url = self.url(table)
        api.delete(url, params={"where": "code = 'AA'", "soft": True})
        api.post(url, json={"code": "AA", "number": 1, "price": 99})
        refused = api.post(f"{url}/undelete")
        assert told(refused)[:2] == (409, "conflict")
        assert "on_conflict=skip" in told(refused)[2]
        back = api.post(f"{url}/undelete", params={"on_conflict": "skip"})
        assert back.json()["rows_inserted"] == 1
        assert row_of(api, table, "key/AA/1")["price"] == 99
        assert row_of(api, table, "key/AA/2")["price"] is None

    def test_a_reader_brings_nothing_back(self, doors: TwoDoors, table: str) -> None:
        with doors.client(doors.key_of("reader")) as reader:
            assert told(reader.post(f"{self.url(table)}/undelete"))[:2] == (403, "forbidden")
