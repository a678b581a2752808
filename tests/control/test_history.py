"""Versions, differences, changes, tags and restores over HTTP."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.fix_client import Client
from tests.fix_http import TwoDoors

ARROW = {"accept": "application/vnd.apache.arrow.stream"}
DATA = pa.table({"id": [1, 2, 3], "n": ["a", "b", "c"]})


@pytest.fixture
def table(client: Client, name: str) -> str:
    client.put(DATA, ingest={"table": name, "mode": "create", "key": ["id"]})
    return name


def of(table: str, rest: str) -> str:
    return f"/api/v1/tables/{table}/{rest}"


def newest(api: httpx.Client, table: str) -> int:
    versions = api.get(of(table, "versions")).json()["versions"]
    return int(versions[0]["version"])


def changed(api: httpx.Client, table: str) -> tuple[int, int]:
    """Two versions: between them one row went, one came, one has another value."""
    before = newest(api, table)
    rows = of(table, "rows")
    assert api.request("DELETE", rows, json={"where": {"id": 1}}).status_code == 200
    assert api.patch(rows, json={"where": {"id": 2}, "set": {"n": "B"}}).status_code == 200
    assert api.post(rows, json={"id": 4, "n": "d"}).status_code == 201
    return before, newest(api, table)


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_versions_are_listed_newest_first(api: httpx.Client, table: str) -> None:
    changed(api, table)
    versions = api.get(of(table, "versions")).json()["versions"]
    assert [one["changes"][0] for one in versions] == ["inserted", "updated", "deleted", "created"]
    assert versions[0]["author"]
    assert len(api.get(of(table, "versions"), params={"limit": 2}).json()["versions"]) == 2
    assert api.get(of(table, "versions"), params={"limit": 0}).status_code == 400


def test_a_difference_in_every_form(api: httpx.Client, table: str) -> None:
    before, after = changed(api, table)
    answer = api.get(of(table, "diff"), params={"from": before, "to": after})
    body = answer.json()
    assert (body["from"], body["to"]) == (before, after)
    assert answer.headers["x-version"] == str(after)
    found = {(row["_change"], row["id"], row["n"]) for row in body["rows"]}
    assert found == {
        ("delete", 1, "a"),
        ("update_preimage", 2, "b"),
        ("update_postimage", 2, "B"),
        ("insert", 4, "d"),
    }
    arrow = api.get(of(table, "diff"), params={"from": before}, headers=ARROW)
    assert pa.ipc.open_stream(io.BytesIO(arrow.content)).read_all().num_rows == 4
    lines = {"accept": "text/csv"}
    assert len(api.get(of(table, "diff"), params={"from": before}, headers=lines).text.split()) == 5


def test_a_difference_by_tags_and_what_is_wrong_with_one(api: httpx.Client, table: str) -> None:
    before, after = changed(api, table)
    api.post(of(table, "tags"), json={"name": "before", "version": before})
    answer = api.get(of(table, "diff"), params={"from": "before", "to": str(after)})
    assert len(answer.json()["rows"]) == 4
    assert told(api.get(of(table, "diff"), params={"from": "nope"})) == (404, "tag_not_found")
    wrong = {"from": after, "to": before}
    assert told(api.get(of(table, "diff"), params=wrong)) == (400, "invalid_request")
    assert told(api.get(of(table, "diff"))) == (400, "invalid_request")
    huge = {"from": "9" * 30}
    assert told(api.get(of(table, "diff"), params=huge)) == (400, "invalid_request")


def test_changes_are_followed(api: httpx.Client, table: str) -> None:
    before, after = changed(api, table)
    body = api.get(of(table, "changes"), params={"after": before}).json()
    assert [row["_change"] for row in body["rows"]] == ["delete", "update_postimage", "insert"]
    assert body["until"] >= after
    both: dict[str, int | str] = {"after": before, "until": after, "images": "both"}
    body = api.get(of(table, "changes"), params=both).json()
    assert (len(body["rows"]), body["until"]) == (4, after)
    rest = api.get(of(table, "changes"), params={"after": after}).json()
    assert rest["rows"] == []
    far = {"after": 10**9}
    assert told(api.get(of(table, "changes"), params=far)) == (404, "version_not_found")
    assert told(api.get(of(table, "changes"))) == (400, "invalid_request")


def test_a_table_is_restored(api: httpx.Client, table: str) -> None:
    before, after = changed(api, table)
    answer = api.post(of(table, "restore"), json={"version": before})
    assert answer.json()["commit"] > after
    rows = api.get(of(table, "rows"), params={"order_by": "id"}).json()["rows"]
    assert rows == DATA.to_pylist()
    api.post(of(table, "tags"), json={"name": "later", "version": after})
    assert api.post(of(table, "restore"), json={"version": "later"}).status_code == 200
    assert len(api.get(of(table, "rows"), params={"where": "id = 4"}).json()["rows"]) == 1
    assert told(api.post(of(table, "restore"), json={})) == (400, "invalid_request")
    wrong = {"versoin": 1}
    refused = api.post(of(table, "restore"), json=wrong)
    assert "'version'" in refused.json()["error"]["message"] or refused.status_code == 400


def test_a_dropped_table_comes_back(api: httpx.Client, client: Client, table: str) -> None:
    client.action("drop_table", table=table)
    assert told(api.get(of(table, "rows"))) == (404, "table_not_found")
    assert "commit" in api.post(of(table, "undrop")).json()
    assert len(api.get(of(table, "rows")).json()["rows"]) == 3
    assert told(api.post(of(table, "undrop"))) == (409, "already_exists")


def test_tags_are_made_listed_and_dropped(api: httpx.Client, table: str) -> None:
    made = api.post(of(table, "tags"), json={"name": "a/b"})
    assert (made.status_code, made.json()["name"]) == (201, "a/b")
    assert [tag["name"] for tag in api.get(of(table, "tags")).json()["tags"]] == ["a/b"]
    assert told(api.post(of(table, "tags"), json={"name": "a/b"})) == (409, "already_exists")
    assert told(api.post(of(table, "tags"), json={"name": "7"})) == (400, "invalid_name")
    assert api.delete(of(table, "tags/a%2Fb")).status_code == 204
    assert told(api.delete(of(table, "tags/a%2Fb"))) == (404, "tag_not_found")


def test_a_name_with_a_slash(api: httpx.Client, client: Client) -> None:
    client.action("create_namespace", namespace="old/times")
    client.put(DATA, ingest={"table": "old/times.t", "mode": "create"})
    assert newest(api, "old%2Ftimes.t") == newest(api, "old/times.t")
    assert told(api.get(of("nowhere", "versions"))) == (404, "table_not_found")


def test_the_past_of_a_table_needs_its_rights(doors: TwoDoors, table: str) -> None:
    refused: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "restore", {"version": 1}),
        ("POST", "tags", {"name": "mine"}),
        ("POST", "undrop", {}),
        ("DELETE", "tags/mine", {}),
    ]
    with doors.client(doors.key_of("reader")) as reader:
        assert reader.get(of(table, "versions")).status_code == 200
        assert reader.get(of(table, "changes"), params={"after": 1}).status_code == 200
        for method, rest, body in refused:
            answer = reader.request(method, of(table, rest), json=body or None)
            assert told(answer) == (403, "forbidden"), rest
    with doors.client("") as nobody:
        for rest in ("versions", "diff?from=1", "changes?after=1", "tags"):
            assert nobody.get(of(table, rest)).status_code == 401
