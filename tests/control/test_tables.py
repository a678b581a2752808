"""Tables over HTTP: made in each way, listed, described, changed, dropped, followed."""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pyarrow as pa
import pytest

from tests.fix_client import Client
from tests.fix_http import TwoDoors

TABLES = "/api/v1/tables"
ARROW = "application/vnd.apache.arrow.stream"
ORDERS: dict[str, Any] = {
    "columns": [
        {"name": "id", "type": "int64", "nullable": False, "comment": "who it is"},
        {"name": "price", "type": "decimal128(10, 2)", "constraints": {"minimum": 0}},
        {"name": "state", "type": "string", "default": "'open'"},
    ],
    "key": ["id"],
    "constraints": {"state": {"enum": ["open", "paid"]}},
    "checks": {"paid": "state <> 'paid' or price > 0"},
    "comment": "orders",
    "metadata": {"origin": "a test"},
}
_numbers = itertools.count()


@pytest.fixture
def table() -> str:
    return f"made.t{next(_numbers)}"


@pytest.fixture(scope="module", autouse=True)
def namespace(api: httpx.Client) -> None:
    api.post("/api/v1/namespaces", json={"namespace": "made"})


def made(api: httpx.Client, table: str, **body: Any) -> dict[str, Any]:
    answer = api.post(TABLES, json={"table": table, **(body or ORDERS)})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: httpx.Response, status: int, code: str, *words: str) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error["message"]
    for word in words:
        assert word in error["message"]
    return error


def types(told: dict[str, Any]) -> dict[str, str]:
    return {column["name"]: column["type"] for column in told["columns"]}


def test_made_of_columns(api: httpx.Client, table: str) -> None:
    answer = api.post(TABLES, json={"table": table, **ORDERS})
    assert answer.status_code == 201
    told = answer.json()
    assert answer.headers["location"] == f"{TABLES}/{table}"
    assert api.get(answer.headers["location"]).json() == {
        name: value for name, value in told.items() if name != "commit"
    }
    assert told["commit"] == told["snapshot"]
    assert (told["table"], told["key"], told["rows"]) == (table, ["id"], 0)
    assert told["columns"][0]["comment"] == "who it is"
    assert told["columns"][1]["constraints"] == {"minimum": 0}
    assert told["columns"][2]["default"] == "'open'"
    assert told["checks"] == {"paid": "((state != 'paid') OR (price > 0))"}
    refused(api.post(TABLES, json={"table": table, **ORDERS}), 409, "already_exists", table)
    again = api.post(TABLES, json={"table": table, **ORDERS, "if_not_exists": True})
    assert (again.status_code, again.json()["commit"]) == (200, None)
    assert again.json()["columns"] == told["columns"]


def test_made_of_an_arrow_schema(api: httpx.Client, table: str) -> None:
    schema = pa.schema([pa.field("a", pa.uint8(), metadata={"k": "v"})], metadata={"m": "n"})
    text = base64.b64encode(schema.serialize().to_pybytes()).decode()
    assert made(api, table, schema_ipc=text)["schema_ipc"] == text


def test_made_as_sample_rows_show(api: httpx.Client, table: str) -> None:
    rows = [
        {"id": 1, "seen": "2026-01-31T12:00:00Z", "tags": ["a"], "at": {"x": 1, "y": 2.5}},
        {"id": 2, "day": "2026-01-31", "big": 10**25, "mixed": 1, "ok": True},
        {"id": 3, "mixed": "x", "id4": "0b7f0f2e-9f6f-4f4e-8d5a-1c2d3e4f5a6b"},
    ]
    told = made(api, table, rows=rows, key=["id"])
    assert types(told) == {
        "id": "int64",
        "seen": "timestamp[us, tz=UTC]",
        "tags": "list<item: string>",
        "at": "struct<x: int64, y: double>",
        "day": "date32[day]",
        "big": "decimal128(38, 0)",
        "mixed": "json",
        "ok": "bool",
        "id4": "uuid",
    }
    assert told["inferred"]["rows"] == 3
    assert {"name": "mixed", "type": "json", "nulls": 1} in told["inferred"]["columns"]
    assert (told["rows"], told["key"]) == (0, ["id"])
    # The rows fit the table that they were a sample of.
    assert api.post(f"{TABLES}/{table}/rows", json=rows).status_code == 201


def in_forms() -> Iterator[tuple[str, bytes, str]]:
    rows = [{"id": 1, "x": 1.5}, {"id": 2, "x": None}]
    yield "application/json", json.dumps(rows).encode(), "double"
    yield "application/json", json.dumps({"rows": rows}).encode(), "double"
    yield "application/x-ndjson", b'{"id": 1, "x": 1.5}\n\n{"id": 2}\n', "double"
    yield "text/csv", b"id,x\n1,1.5\n2,\n", "double"
    sink = io.BytesIO()
    data = pa.table({"id": pa.array([1]), "x": pa.array([1.5], pa.float32())})
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write_table(data)
    yield ARROW, sink.getvalue(), "float"


@pytest.mark.parametrize(("form", "body", "kind"), list(in_forms()))
def test_made_of_a_body_in_each_form(
    api: httpx.Client, table: str, form: str, body: bytes, kind: str
) -> None:
    query = {"table": table, "key": "id", "comment": "c", "infer": "true"}
    answer = api.post(TABLES, params=query, content=body, headers={"content-type": form})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert types(told) == {"id": "int64", "x": kind}
    assert (told["key"], told["comment"], told["rows"]) == (["id"], "c", 0)
    assert ("inferred" in told) == (form != ARROW)


def test_what_makes_no_table(api: httpx.Client, table: str) -> None:
    def sent(**body: Any) -> httpx.Response:
        return api.post(TABLES, json={"table": table, **body})

    refused(sent(), 400, "invalid_request", "'columns'")
    refused(sent(columns=[], rows=[{"a": 1}]), 400, "invalid_request", "one of them")
    refused(sent(columns=[{"name": "a", "type": "int65"}]), 400, "unsupported_type", "int65")
    refused(sent(columns=[{"name": "a", "typ": "int8"}]), 400, "invalid_request", "'columns.0.typ'")
    refused(sent(rows=[]), 400, "invalid_data")
    a = {"name": "a", "type": "int8"}
    wrong = {**a, "constraints": {"oneOf": []}}
    refused(sent(columns=[wrong]), 400, "invalid_request", "'oneOf'", "'a'")
    refused(sent(columns=[a], checks={"c": "b > 1"}), 400, "column_not_found", "'b'")
    refused(sent(columns=[a], checks={"c": "a + 1"}), 400, "invalid_sql", "'c'")
    refused(sent(columns=[a], checks={"c": "a > random()"}), 400, "invalid_sql", "random")
    refused(sent(columns=[a], checks={"c": "true; select 1"}), 400, "invalid_sql")
    bad_default = {**a, "default": "-1", "constraints": {"minimum": 0}}
    refused(sent(columns=[bad_default]), 422, "check_violation", "'minimum'")
    refused(
        sent(columns=[{**a, "default": "1"}], defaults={"a": "1"}), 400, "invalid_request", "'a'"
    )
    refused(api.post(TABLES, content=b"{"), 400, "invalid_request")
    headers = {"content-type": "text/csv"}
    refused(api.post(TABLES, content=b"a\n1\n", headers=headers), 400, "invalid_request", "?table=")
    empty = api.post(TABLES, params={"table": table}, content=b"a\n", headers=headers)
    refused(empty, 400, "invalid_data", "no row")
    refused(api.post(TABLES, json={"table": "nowhere.t", **ORDERS}), 404, "namespace_not_found")
    assert api.get(f"{TABLES}/{table}").status_code == 404


def test_rows_that_violate(api: httpx.Client, table: str) -> None:
    made(api, table)
    rows = f"{TABLES}/{table}/rows"
    assert api.post(rows, json=[{"id": 1, "price": 5}]).status_code == 201
    bad = [{"id": 2, "price": 1}, {"id": 3, "price": -0.01}]
    error = refused(api.post(rows, json=bad), 422, "check_violation", "'minimum'", "'price'")
    assert error["details"] == {
        "table": table,
        "column": "price",
        "constraint": "minimum",
        "row": 2,
    }
    csv = "id,state\n7,gone\n"
    answer = api.post(rows, content=csv, headers={"content-type": "text/csv"})
    refused(answer, 422, "check_violation", "'enum'")
    change = {"where": {"id": 1}, "set": {"state": "paid", "price": 0}}
    refused(api.patch(rows, json=change), 422, "check_violation", "'paid'")
    batch = {
        "operations": [
            {"operation": "insert", "table": table, "data": [{"id": 8, "price": 1}]},
            {"operation": "upsert", "table": table, "data": [{"id": 1, "price": -5}]},
        ],
        "transaction": True,
    }
    assert "check" in api.post("/api/v1/batch/operations", json=batch).text
    for sql in (
        f"INSERT INTO {table} VALUES (9, -1, 'open')",
        f"UPDATE {table} SET price = -1",
        f"MERGE INTO {table} AS t USING (SELECT 1 AS id) AS s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET state = 'gone'",
    ):
        refused(api.post("/api/v1/query", json={"sql": sql}), 422, "check_violation")
    assert [row["id"] for row in api.get(rows).json()["rows"]] == [1]


@pytest.mark.parametrize("form", ["application/json", "application/x-ndjson", "text/csv"])
def test_rows_that_violate_may_be_left_out(api: httpx.Client, table: str, form: str) -> None:
    made(api, table)
    rows: list[dict[str, Any]] = [
        {"id": 1, "price": 1, "state": "open"},
        {"id": None, "price": 1, "state": "open"},
        {"id": 2, "price": -1, "state": "open"},
        {"id": 3, "price": 0, "state": "paid"},
        {"id": 4, "price": 2, "state": "gone"},
        {"id": 5, "price": 2, "state": None},
    ]
    lines = [json.dumps(row) for row in rows]
    fields = [",".join("" if v is None else str(v) for v in row.values()) for row in rows]
    body = {
        "application/json": json.dumps(rows),
        "application/x-ndjson": "\n".join(lines),
        "text/csv": "\n".join(["id,price,state", *fields]),
    }[form]
    answer = api.post(
        f"{TABLES}/{table}/rows",
        params={"on_error": "skip"},
        content=body,
        headers={"content-type": form},
    )
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["rows"] == 2
    listed = [(one["row"], one["column"]) for one in told["errors"]]
    assert listed == [(2, "id"), (3, "price"), (4, None), (5, "state")]
    assert told["errors"][2]["reason"] == "it violates the check 'paid'"
    kept = api.get(f"{TABLES}/{table}/rows", params={"order_by": "id"}).json()["rows"]
    assert [row["id"] for row in kept] == [1, 5]


def test_changed_in_one_commit(api: httpx.Client, table: str) -> None:
    made(api, table)
    before = api.get(f"{TABLES}/{table}/versions").json()["versions"]
    body = {
        "rename_to": f"{table}x",
        "comment": "more",
        "changes": [
            {"add_column": {"name": "n", "type": "int8", "constraints": {"maximum": 9}}},
            {"drop_check": {"name": "paid"}},
            {"set_check": {"name": "few", "expression": "n < id"}},
            {"rename_column": {"name": "state", "new_name": "status"}},
        ],
    }
    answer = api.patch(f"{TABLES}/{table}", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["table"], told["comment"]) == (f"{table}x", "more")
    assert told["checks"] == {"few": "(n < id)"}
    assert told["constraints"]["status"] == {"enum": ["open", "paid"]}
    assert told["commit"] == before[0]["version"] + 1
    assert api.get(f"{TABLES}/{table}").status_code == 404
    history = api.get(f"{TABLES}/{table}x/schema-history").json()["history"]
    assert [step["version"] for step in history] == [told["commit"], before[0]["version"]]
    kinds = [next(iter(change)) for change in history[0]["changes"]]
    assert sorted(kinds) == (
        [
            "add_column",
            "drop_check",
            "rename_column",
            "rename_table",
            "set_check",
            "set_comment",
            "set_constraint",
        ]
    )
    assert history[0]["author"]
    only = api.get(f"{TABLES}/{table}x/schema-history", params={"limit": 1}).json()["history"]
    assert only == history[:1]


def test_changes_that_cannot_be(api: httpx.Client, table: str) -> None:
    told = made(api, table)
    there = f"{TABLES}/{table}"
    api.post(f"{there}/rows", json=[{"id": 5, "price": 7}])

    def change(kind: str, **body: Any) -> httpx.Response:
        changes = [{"set_comment": {"comment": "no"}}, {kind: body}]
        return api.patch(there, json={"changes": changes})

    stricter = change("set_constraint", name="price", constraints={"maximum": 5})
    error = refused(stricter, 422, "check_violation", "'maximum'", "row id")
    assert error["details"]["rows"] == 1
    refused(change("set_check", name="x", expression="id < 5"), 422, "check_violation", "'x'")
    refused(change("drop_column", name="price"), 400, "invalid_request", "'paid'")
    refused(change("rename_column", name="price", new_name="p"), 400, "invalid_request", "'paid'")
    refused(change("drop_check", name="paidd"), 404, "not_found", "'paid'")
    refused(change("set_key", keys=["id"]), 400, "invalid_request", "'keys'")
    refused(change("nothing"), 400, "invalid_request", "set_check")
    refused(api.patch(there, json={}), 400, "invalid_request", "empty")
    refused(api.patch(there, json={"rename": "x"}), 400, "invalid_request", "rename")
    refused(api.patch(there, json={"rename_to": "elsewhere"}), 501, "unsupported")
    assert api.get(there).json()["comment"] == told["comment"]


def test_described_as_it_was(api: httpx.Client, table: str) -> None:
    told = made(api, table)
    api.patch(f"{TABLES}/{table}", json={"comment": "later"})
    there = f"{TABLES}/{table}"
    old = api.get(there, params={"version": told["snapshot"]}).json()
    assert (old["comment"], api.get(there).json()["comment"]) == ("orders", "later")
    moment = api.get(there, params={"as_of": old["changed_at"]}).json()
    assert moment["comment"] == "orders"
    refused(api.get(there, params={"version": 10**9}), 404, "version_not_found")
    refused(api.get(there, params={"versio": 1}), 400, "invalid_request")


def test_dropped(api: httpx.Client, table: str) -> None:
    made(api, table)
    there = f"{TABLES}/{table}"
    assert api.delete(there).json()["commit"] > 0
    refused(api.delete(there), 404, "table_not_found", table)
    gone = api.delete(there, params={"if_exists": True})
    assert (gone.status_code, gone.json()) == (200, {"commit": None})


def test_listed(api: httpx.Client) -> None:
    api.post("/api/v1/namespaces", json={"namespace": "listed/in"})
    names = [f"listed/in.{name}" for name in ("a", "b1", "b2", "c")]
    for name in names:
        made(api, name, columns=[{"name": "id", "type": "int8"}])

    def listed(**query: Any) -> dict[str, Any]:
        found: dict[str, Any] = api.get(TABLES, params={"namespace": "listed/in", **query}).json()
        return found

    assert [one["table"] for one in listed()["tables"]] == names
    assert listed()["next_cursor"] is None
    assert listed(pattern="B*")["tables"] == [
        {"table": name, "catalog": "lake", "namespace": "listed/in", "name": name[-2:]}
        for name in names[1:3]
    ]
    first = listed(limit=3)
    second = listed(limit=3, cursor=first["next_cursor"])
    assert [one["table"] for one in first["tables"] + second["tables"]] == names
    assert second["next_cursor"] is None
    details = listed(details=True)["tables"]
    assert details == [api.get(f"{TABLES}/{name}").json() for name in names]
    refused(api.get(TABLES, params={"namespace": "nope"}), 404, "namespace_not_found")
    refused(api.get(TABLES, params={"limit": 0}), 400, "invalid_request")


def test_a_reader_may_only_look(doors: TwoDoors, api: httpx.Client, table: str) -> None:
    made(api, table)
    with doors.client(doors.key_of("reader")) as reader:
        assert reader.get(f"{TABLES}/{table}").status_code == 200
        assert reader.get(f"{TABLES}/{table}/schema-history").status_code == 200
        refused(reader.post(TABLES, json={"table": f"{table}x", **ORDERS}), 403, "forbidden")
        refused(reader.patch(f"{TABLES}/{table}", json={"comment": "x"}), 403, "forbidden")
        refused(reader.delete(f"{TABLES}/{table}"), 403, "forbidden")
        refused(reader.delete(f"{TABLES}/{table}", params={"if_exists": True}), 403, "forbidden")
    with doors.client("") as nobody:
        for verb, path in (("GET", TABLES), ("POST", TABLES), ("GET", f"{TABLES}/{table}")):
            assert nobody.request(verb, path, json={}).status_code == 401


def test_a_row_as_json_schema(api: httpx.Client, table: str) -> None:
    made(api, table)
    api.post(f"{TABLES}/{table}/rows", json=[{"id": 1, "price": 5}, {"id": 2, "state": None}])
    answer = api.get(f"{TABLES}/{table}", params={"format": "json-schema"})
    assert answer.headers["content-type"] == "application/schema+json"
    schema = answer.json()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (schema["title"], schema["required"], schema["x-key"]) == (table, ["id"], ["id"])
    assert schema["properties"]["state"] == {
        "type": ["string", "null"],
        "enum": ["open", "paid", None],
    }
    assert schema["properties"]["id"]["description"] == "who it is"
    validator = jsonschema.Draft202012Validator(schema)
    for row in api.get(f"{TABLES}/{table}/rows").json()["rows"]:
        validator.validate(row)
    for wrong in ({"price": 1}, {"id": 1, "x": 1}, {"id": None}, {"id": 1, "state": "gone"}):
        assert not validator.is_valid(wrong)


def test_both_doors_tell_the_same(
    doors: TwoDoors, api: httpx.Client, client: Client, table: str
) -> None:
    made(api, table)
    there = api.get(f"{TABLES}/{table}").json()
    assert client.action("describe_table", table=table) == there
    history = api.get(f"{TABLES}/{table}/schema-history").json()
    assert client.action("schema_history", table=table) == history
