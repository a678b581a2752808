"""Rows over HTTP, in and out, in every form, through a real socket."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import polars as pl
import pyarrow as pa
import pytest

from tests.fix_client import Client
from tests.fix_http import TwoDoors

ARROW = "application/vnd.apache.arrow.stream"
LINES = "application/x-ndjson"
CSV = "text/csv"
DATA = pa.table({"a": [1, 2, 3, 4], "b": ["x", "y", None, "z"]})


@pytest.fixture
def table(client: Client, name: str) -> str:
    client.put(DATA, ingest={"table": name, "mode": "create", "key": ["a"]})
    return name


def rows_url(table: str) -> str:
    return f"/api/v1/tables/{table}/rows"


def got(api: httpx.Client, table: str, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(rows_url(table), params=query)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return rows


def told(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"], error["message"]


def ipc(data: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write_table(data)
    return bytes(sink.getvalue())


def test_rows_come_as_json_with_their_version(api: httpx.Client, table: str) -> None:
    answer = api.get(rows_url(table))
    body = answer.json()
    assert body["rows"] == DATA.to_pylist()
    assert body["next_cursor"] is None
    assert answer.headers["x-version"] == str(body["version"])
    assert answer.headers["content-type"] == "application/json"
    assert "accept" in answer.headers["vary"]


def test_rows_come_in_the_form_that_is_asked_for(api: httpx.Client, table: str) -> None:
    lines = api.get(rows_url(table), headers={"accept": LINES})
    assert [json.loads(line) for line in lines.text.splitlines()] == DATA.to_pylist()
    csv = api.get(rows_url(table), headers={"accept": "text/csv, */*;q=0.1"})
    assert csv.text == '"a","b"\n1,"x"\n2,"y"\n3,\n4,"z"\n'
    arrow = api.get(rows_url(table), headers={"accept": ARROW})
    assert pa.ipc.open_stream(arrow.content).read_all().equals(DATA)
    assert arrow.headers["content-type"] == ARROW


def test_polars_reads_them_all(api: httpx.Client, table: str) -> None:
    expected = pl.DataFrame(DATA.to_pydict())
    forms: dict[str, Callable[[io.BytesIO], pl.DataFrame]] = {
        ARROW: pl.read_ipc_stream,
        LINES: pl.read_ndjson,
        CSV: pl.read_csv,
    }
    for form, read in forms.items():
        answer = api.get(rows_url(table), headers={"accept": form})
        assert read(io.BytesIO(answer.content)).equals(expected), form


def test_curl_reads_and_writes(doors: TwoDoors, table: str) -> None:
    def curl(*arguments: str) -> str:
        key = f"authorization: Bearer {doors.key}"
        command = ["curl", "-sS", "-H", key, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    url = doors.url + rows_url(table)
    made = json.loads(
        curl(url, "-d", '{"a": 5, "b": "five"}', "-H", "content-type: application/json")
    )
    assert made["rows_inserted"] == 1
    assert curl(f"{url}?where=a%3D5&select=b", "-H", f"accept: {CSV}") == '"b"\n"five"\n'


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/*", CSV),
        ("application/*", "application/json"),
        ("text/html, application/x-ndjson;q=0.5, */*;q=0.1", LINES),
        ("application/json;q=0.1, text/csv;q=0.9", CSV),
        ("application/json;q=0, */*", LINES),
        ("application/jsonl", LINES),
    ],
)
def test_accept_is_weighed(api: httpx.Client, table: str, accept: str, form: str) -> None:
    answer = api.get(rows_url(table), headers={"accept": accept})
    assert answer.headers["content-type"].partition(";")[0] == form


def test_forms_that_there_are_not(api: httpx.Client, table: str) -> None:
    refused = told(api.get(rows_url(table), headers={"accept": "image/png"}))
    assert refused[:2] == (406, "not_acceptable")
    assert "text/csv" in refused[2]
    assert told(api.get(rows_url(table), headers={"accept": "text/csv;q=0"}))[0] == 406
    answer = api.post(rows_url(table), content=b"<a/>", headers={"content-type": "text/xml"})
    assert told(answer)[:2] == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ({"select": "b", "limit": 1}, [{"b": "x"}]),
        ({"where": "a > 2", "order_by": "a desc", "select": "a"}, [{"a": 4}, {"a": 3}]),
        ({"where": '{"b": null}', "select": '["A"]'}, [{"a": 3}]),
        ({"where": '{"a": {"in": [1, 4]}}', "select": "a"}, [{"a": 1}, {"a": 4}]),
        (
            {"order_by": '[{"column": "a", "direction": "desc"}]', "limit": 1, "select": "a"},
            [{"a": 4}],
        ),
        ({"offset": 3, "select": '"a"'}, [{"a": 4}]),
        ({"where": "a = 1", "with_row_id": "true", "select": "a"}, [{"a": 1, "_row_id": 0}]),
    ],
)
def test_what_is_read(
    api: httpx.Client, table: str, query: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    assert got(api, table, **query) == rows


@pytest.mark.parametrize(
    ("query", "status", "code", "told_of"),
    [
        ({"where": "nope = 1"}, 400, "column_not_found", "nope"),
        ({"where": '{"nope": 1}'}, 400, "column_not_found", "nope"),
        ({"where": '{"a": {"gr": 1}}'}, 400, "invalid_request", "gr"),
        ({"where": "a = 1; drop table x"}, 400, "invalid_sql", ""),
        ({"where": "1) OR (1"}, 400, "invalid_sql", ""),
        ({"select": "c"}, 400, "column_not_found", "'c'"),
        ({"order_by": "a; select 1"}, 400, "invalid_sql", ""),
        ({"limit": -1}, 400, "invalid_request", "limit"),
        ({"limit": "x"}, 400, "invalid_request", "limit"),
        ({"limt": 1}, 400, "invalid_request", "limt"),
        ({"version": 99999}, 404, "version_not_found", "99999"),
        ({"version": "nope"}, 404, "tag_not_found", "nope"),
        ({"version": "9" * 30}, 400, "invalid_request", "999"),
        ({"as_of": "2020-01-01T00:00:00Z"}, 404, "version_not_found", ""),
        ({"as_of": "yesterday"}, 400, "invalid_request", "as_of"),
        ({"cursor": ""}, 400, "invalid_request", "limit"),
        ({"cursor": "abc", "limit": 2}, 400, "invalid_ticket", "cursor"),
    ],
)
def test_what_is_refused(
    api: httpx.Client, table: str, query: dict[str, Any], status: int, code: str, told_of: str
) -> None:
    found = told(api.get(rows_url(table), params=query))
    assert found[:2] == (status, code)
    assert told_of in found[2]


def test_a_table_that_is_not_there(api: httpx.Client) -> None:
    assert told(api.get(rows_url("nope")))[:2] == (404, "table_not_found")
    assert told(api.post(rows_url("nope"), json={"a": 1}))[:2] == (404, "table_not_found")


@pytest.mark.parametrize(
    ("body", "count"),
    [({"a": 5}, 1), ([{"a": 5}, {"a": 6, "b": "x"}], 2), ({"rows": [{"a": 5}]}, 1)],
)
def test_json_rows_are_inserted(api: httpx.Client, table: str, body: Any, count: int) -> None:
    answer = api.post(rows_url(table), json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["rows"], made["rows_inserted"]) == (count, count)
    assert made["commit"] == api.get(rows_url(table)).json()["version"]
    assert len(got(api, table)) == 4 + count


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (LINES, b'{"a":5,"b":"q"}\n{"b":null,"a":6}\n'),
        (CSV, b"b,a\nq,5\n,6\n"),
        (ARROW, ipc(pa.table({"b": ["q", None], "a": [5, 6]}))),
    ],
)
def test_other_forms_are_inserted(api: httpx.Client, table: str, form: str, body: bytes) -> None:
    answer = api.post(rows_url(table), content=body, headers={"content-type": form})
    assert answer.status_code == 201, answer.text
    assert got(api, table, where="a > 4") == [{"a": 5, "b": "q"}, {"a": 6, "b": None}]


def test_one_wrong_row_leaves_the_table_as_it_was(api: httpx.Client, table: str) -> None:
    answer = api.post(rows_url(table), json=[{"a": 5}, {"a": "x"}])
    status, code, message = told(answer)
    assert (status, code) == (400, "invalid_data")
    assert message.startswith("Row 2, column 'a'")
    assert answer.json()["error"]["details"]["row"] == 2
    for form, body in ((LINES, b'{"a":5}\n{"a":"x"}'), (CSV, b"a\n5\nx\n")):
        refused = api.post(rows_url(table), content=body, headers={"content-type": form})
        assert told(refused)[1] == "invalid_data"
    assert len(got(api, table)) == 4


def test_wrong_rows_can_be_skipped(api: httpx.Client, table: str) -> None:
    rows = [{"a": 5}, {"a": "x"}, {"a": 7, "b": 1}, {"a": 8}]
    answer = api.post(rows_url(table), json=rows, params={"on_error": "skip"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["rows_inserted"], made["rows_skipped"]) == (2, 2)
    assert [(one["row"], one["column"]) for one in made["errors"]] == [(2, "a"), (3, "b")]
    assert [row["a"] for row in got(api, table, where="a > 4")] == [5, 8]


def test_rows_are_upserted_and_tokens_count_once(api: httpx.Client, table: str) -> None:
    query = {"mode": "upsert", "token": "once"}
    first = api.post(rows_url(table), json=[{"a": 1, "b": "new"}, {"a": 9}], params=query)
    assert (first.json()["rows_updated"], first.json()["rows_inserted"]) == (1, 1)
    again = api.post(rows_url(table), json=[{"a": 1, "b": "new"}, {"a": 9}], params=query)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    other = api.post(rows_url(table), json={"a": 2}, params=query)
    assert told(other)[:2] == (409, "token_conflict")
    merged = api.post(rows_url(table), json={"a": 1}, params={"mode": "merge"})
    assert merged.status_code == 201
    assert got(api, table, where="a = 1") == [{"a": 1, "b": "new"}]
    api.post(rows_url(table), json={"a": 100}, params={"mode": "overwrite"})
    assert got(api, table) == [{"a": 100, "b": None}]


def test_a_body_of_json_has_a_limit_and_arrow_has_none(api: httpx.Client, table: str) -> None:
    many = [{"a": number} for number in range(1001)]
    refused = api.post(rows_url(table), json=many)
    assert told(refused)[:2] == (413, "too_large")
    lines = "\n".join(json.dumps(row) for row in many)
    answer = api.post(rows_url(table), content=lines, headers={"content-type": LINES})
    assert answer.json()["rows_inserted"] == 1001


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[1]", b'"a"', b"{}", b"[]", b"[{}]", b"null", b"\xff"]
)
def test_bodies_that_are_no_rows(api: httpx.Client, table: str, body: bytes) -> None:
    answer = api.post(rows_url(table), content=body, headers={"content-type": "application/json"})
    assert told(answer)[0] == 400, answer.text


def test_pages_make_the_whole_at_one_moment(api: httpx.Client, table: str) -> None:
    query: dict[str, Any] = {"limit": 3, "cursor": "", "order_by": "b desc nulls first"}
    first = api.get(rows_url(table), params=query)
    assert first.headers["x-next-cursor"] == first.json()["next_cursor"]
    api.post(rows_url(table), json={"a": 50, "b": "zz"})
    query["cursor"] = first.json()["next_cursor"]
    second = api.get(rows_url(table), params=query).json()
    rows = first.json()["rows"] + second["rows"]
    assert [row["b"] for row in rows] == [None, "z", "y", "x"]
    assert second["next_cursor"] is None
    assert second["version"] == first.json()["version"]
    query["order_by"] = "a"
    assert "another table, select" in told(api.get(rows_url(table), params=query))[2]


def test_a_cursor_is_its_principals(doors: TwoDoors, api: httpx.Client, table: str) -> None:
    cursor = api.get(rows_url(table), params={"limit": 2, "cursor": ""}).json()["next_cursor"]
    with doors.client(doors.key_of("reader")) as reader:
        answer = reader.get(rows_url(table), params={"limit": 2, "cursor": cursor})
        assert "somebody else" in told(answer)[2]


def test_names_of_every_kind(client: Client, api: httpx.Client, name: str) -> None:
    api.post("/api/v1/namespaces", json={"namespace": f"a/{name}"})
    api.post("/api/v1/namespaces", json={"namespace": f'"{name}.d"'})
    paths = {
        f"a%2F{name}.t": [f"a/{name}", "t"],
        f"a/{name}.u": [f"a/{name}", "u"],
        f"{name}%2Frows": [f"{name}/rows"],
        f"%22{name}.d%22.%22x%22%22y%22": [f"{name}.d", 'x"y'],
        f"caf%C3%A9%20{name}": [f"café {name}"],
    }
    for url, path in paths.items():
        text = ".".join('"' + part.replace('"', '""') + '"' for part in path)
        client.put(DATA, ingest={"table": text, "mode": "create"})
        assert got(api, url, limit=1) == [{"a": 1, "b": "x"}], url


def test_a_table_called_rows(client: Client, api: httpx.Client) -> None:
    client.put(DATA, ingest={"table": "rows", "mode": "overwrite", "create_if_missing": True})
    assert len(got(api, "rows")) == 4


def test_readers_read_and_do_not_write(doors: TwoDoors, table: str) -> None:
    with doors.client(doors.key_of("reader")) as reader:
        assert len(got(reader, table)) == 4
        assert told(reader.post(rows_url(table), json={"a": 1}))[:2] == (403, "forbidden")
    with doors.client("") as nobody:
        assert told(nobody.get(rows_url(table)))[0] == 401


def test_a_text_with_nul_is_compared_in_files_as_well(
    client: Client, api: httpx.Client, name: str
) -> None:
    texts = [f"a\0{number % 7}" for number in range(20_000)]
    client.put(pa.table({"s": texts}), ingest={"table": name, "mode": "create"})
    for where in ({"s": "a\0005"}, {"s": {"in": ["a", "a\0005"]}}, {"s": {"like": "a\0005%"}}):
        assert len(got(api, name, where=json.dumps(where))) == 2857
