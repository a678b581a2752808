"""Every action of ours, over real gRPC."""

from __future__ import annotations

import base64
import json
from typing import Any

import pyarrow as pa
import pytest

from flight_server.wire.actions import ACTIONS
from flight_server.wire.executions import EXECUTE
from flight_server.wire.flight_actions import FLIGHT_ACTIONS
from flight_server.wire.flight_sql.actions import SQL_ACTIONS
from tests.fix_client import Client, refusal

DATA = pa.table({"id": [1, 2, 3], "text": ["x", "y", "z"]})


@pytest.fixture
def table(client: Client, name: str) -> str:
    client.put(DATA, ingest={"table": name, "mode": "create", "key": ["id"]})
    return name


def snapshot(client: Client, table: str) -> int:
    return int(json.loads(client.info(table).app_metadata)["snapshot"])


def test_all_actions_are_listed(client: Client) -> None:
    listed = {
        action.type: action.description for action in client.flight.list_actions(client.options())
    }
    assert set(listed) == {*ACTIONS, *FLIGHT_ACTIONS, *SQL_ACTIONS, EXECUTE}
    assert all(listed.values())


def test_health(client: Client) -> None:
    answer = client.action("health")
    assert answer["status"] == "ready"
    assert answer["catalogs"]["lake"]["snapshot"] > 0
    assert "ingest" in answer["catalogs"]["lake"]["abilities"]


def test_create_and_describe(client: Client, name: str) -> None:
    columns: list[dict[str, Any]] = [
        {"name": "id", "type": "int64", "nullable": False},
        {"name": "price", "type": "decimal128(10, 2)"},
        {"name": "at", "type": "timestamp[us, UTC]", "metadata": {"unit": "time"}},
        {"name": "tags", "type": "list<string>"},
        {"name": "at_home", "type": "fixed_size_list<float32>[3]"},
    ]
    answer = client.action(
        "create_table",
        table=name,
        columns=columns,
        key=["id"],
        defaults={"price": "0"},
        comment="what we sell",
    )
    assert answer["commit"] > 0
    found = client.action("describe_table", table=name)
    assert [column["name"] for column in found["columns"]] == [c["name"] for c in columns]
    assert found["columns"][0]["nullable"] is False
    assert found["columns"][1]["type"] == "decimal128(10, 2)"
    assert found["columns"][2] | {"nullable": True} == {
        "name": "at",
        "type": "timestamp[us, tz=UTC]",
        "nullable": True,
        "metadata": {"unit": "time"},
        "default": None,
        "comment": "",
        "constraints": {},
    }
    assert (found["key"], found["comment"], found["rows"]) == (["id"], "what we sell", 0)
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(found["schema_ipc"])))
    assert schema.equals(client.schema(name), check_metadata=True)


def test_rules(client: Client, name: str) -> None:
    columns = [
        {"name": "id", "type": "int64", "comment": "what it is", "constraints": {"minimum": 1}},
        {"name": "price", "type": "float64", "default": "1.5"},
    ]
    client.action(
        "create_table",
        table=name,
        columns=columns,
        constraints={"price": {"exclusiveMaximum": 100}},
        checks={"fair": "price >= id or price is null"},
    )
    changes = [
        {"add_column": {"name": "n", "type": "int8", "constraints": {"enum": [1, 2]}}},
        {"set_constraint": {"name": "id", "constraints": {"minimum": 0}}},
        {"set_check": {"name": "few", "expression": "n < id + 9"}},
        {"drop_check": {"name": "fair"}},
        {"set_column_comment": {"name": "id", "comment": "a number"}},
    ]
    client.action("alter_table", table=name, changes=changes)
    found = client.action("describe_table", table=name)
    assert found["checks"] == {"few": "(n < (id + 9))"}
    assert found["constraints"] == {
        "id": {"minimum": 0},
        "price": {"exclusiveMaximum": 100},
        "n": {"enum": [1, 2]},
    }
    assert found["columns"][0]["comment"] == "a number"
    assert found["columns"][1]["default"] == "1.5"
    refused = refusal(lambda: client.put(pa.table({"id": [1, -1]}), name))
    assert refused.code == "check_violation"
    assert refused.shape["details"] == {
        "table": name,
        "column": "id",
        "constraint": "minimum",
        "row": 2,
    }


def test_schema_history(client: Client, name: str) -> None:
    columns = [{"name": "id", "type": "int64", "comment": "it"}, {"name": "old", "type": "utf8"}]
    client.action("create_table", table=name, columns=columns, checks={"few": "id < 9"})
    made = snapshot(client, name)
    again = client.action("create_table", table=name, columns=columns, if_not_exists=True)
    assert again == {"commit": None}
    changes: list[dict[str, Any]] = [
        {"drop_check": {"name": "few"}},
        {"rename_column": {"name": "old", "new_name": "new"}},
        {"retype_column": {"name": "new", "type": "large_string"}},
        {"set_column_comment": {"name": "new", "comment": "x"}},
        {
            "add_column": {
                "name": "n",
                "type": "int8",
                "nullable": False,
                "metadata": {"a": "b"},
                "comment": "c",
                "constraints": {},
                "default": "1",
            }
        },
        {"set_default": {"name": "id", "default": "5"}},
        {"set_constraint": {"name": "n", "constraints": {"minimum": 0}}},
        {"set_check": {"name": "more", "expression": "(id > 0)"}},
        {"set_key": {"key": ["id"]}},
        {"set_comment": {"comment": "c"}},
    ]
    client.action("alter_table", table=name, changes=changes)
    client.put(pa.table({"id": [1]}), name)
    client.action("rename_table", table=name, to=f"{name}2")
    [renamed, altered, first] = client.action("schema_history", table=f"{name}2")["history"]
    assert renamed["changes"] == [{"rename_table": {"to": f"{name}2"}}]
    del changes[4]["add_column"]["constraints"]
    assert altered["changes"] == changes
    assert altered["author"]
    assert first["version"] == made
    [created] = first["changes"]
    assert created["create_table"]["checks"] == {"few": "(id < 9)"}
    assert created["create_table"]["columns"][0]["comment"] == "it"
    # What is told can be made again.
    client.action("create_table", table=f"{name}3", **created["create_table"])
    client.action("alter_table", table=f"{name}3", changes=altered["changes"])
    copied, there = (client.action("describe_table", table=f"{name}{number}") for number in (3, 2))
    same = ("columns", "schema_ipc", "key", "constraints", "checks", "defaults", "comment")
    assert {one: copied[one] for one in same} == {one: there[one] for one in same}


def test_create_from_an_arrow_schema(client: Client, name: str) -> None:
    schema = pa.schema([pa.field("u", pa.uuid(), metadata={"k": "v"})], metadata={"m": "n"})
    text = base64.b64encode(schema.serialize().to_pybytes()).decode()
    client.action("create_table", table=name, schema_ipc=text)
    assert client.info(name).schema.equals(schema, check_metadata=True)


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({}, "invalid_request", "'columns', as 'schema_ipc'"),
        ({"columns": [], "schema_ipc": ""}, "invalid_request", "one of them"),
        ({"columns": []}, "schema_mismatch", "at least one column"),
        ({"columns": [{"name": "a", "type": "itn64"}]}, "unsupported_type", "'int64'"),
        ({"columns": [{"nam": "a", "type": "int64"}]}, "invalid_request", "'columns.0.name'"),
        ({"schema_ipc": "aaaa"}, "invalid_request", "schema_ipc"),
        ({"columns": [{"name": "\ud800", "type": "int8"}]}, "invalid_request", "surrogate"),
        ({"columns": [{"name": "a", "type": "int8"}], "key": ["b"]}, "column_not_found", "'b'"),
        (
            {"columns": [{"name": "a", "type": "int8"}, {"name": "A", "type": "int8"}]},
            "schema_mismatch",
            "twice",
        ),
    ],
)
def test_tables_that_cannot_be(
    client: Client, name: str, body: dict[str, Any], code: str, says: str
) -> None:
    found = refusal(lambda: client.action("create_table", table=name, **body))
    assert found.code == code
    assert says in found.message
    assert refusal(lambda: client.info(name)).code == "table_not_found"


def test_drop_undrop_rename(client: Client, table: str) -> None:
    client.action("drop_table", table=table)
    assert refusal(lambda: client.info(table)).code == "table_not_found"
    client.action("undrop_table", table=table)
    assert client.get(table).equals(DATA)
    client.action("rename_table", table=table, to=f"{table}_new")
    assert client.get(f"{table}_new").equals(DATA)
    assert "Did you mean" in refusal(lambda: client.info(table)).message


def test_alter_table(client: Client, table: str) -> None:
    changes: list[dict[str, Any]] = [
        {"add_column": {"name": "n", "type": "int32", "default": "7", "metadata": {"k": "v"}}},
        {"rename_column": {"name": "text", "new_name": "words"}},
        {"retype_column": {"name": "n", "type": "int64"}},
        {"set_default": {"name": "n", "default": "8"}},
        {"set_nullable": {"name": "words", "nullable": False}},
        {"set_comment": {"comment": "changed"}},
        {"set_key": {"key": ["id", "words"]}},
    ]
    before = snapshot(client, table)
    assert client.action("alter_table", table=table, changes=changes)["commit"] == before + 1
    partitioning = {"set_partitioning": {"partition_by": ["id"]}}
    client.action("alter_table", table=table, changes=[partitioning])
    found = client.action("describe_table", table=table)
    assert [c["name"] for c in found["columns"]] == ["id", "words", "n"]
    assert found["columns"][2]["type"] == "int64"
    assert found["comment"] == "changed"
    assert found["key"] == ["id", "words"]
    assert found["partition_by"] == ["id"]
    assert client.get(table)["n"].to_pylist() == [7, 7, 7]
    client.action("alter_table", table=table, changes=[{"drop_column": {"name": "n"}}])
    assert client.get(table).schema.names == ["id", "words"]
    assert client.read(scan={"table": table, "version": before}).equals(DATA)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"drop_colum": {"name": "id"}}, "Did you mean 'drop_column'?"),
        ({"drop_column": {"name": "text"}, "set_comment": {"comment": ""}}, "one key"),
        ({"drop_column": {"nam": "text"}}, "Did you mean 'name'?"),
        ({"add_column": {"name": "n", "type": "strange"}}, "'strange'"),
        ({"add_column": {"name": "_row_id", "type": "int8"}}, "'_row_id'"),
    ],
)
def test_changes_that_cannot_be(
    client: Client, table: str, change: dict[str, Any], says: str
) -> None:
    found = refusal(lambda: client.action("alter_table", table=table, changes=[change]))
    assert says in found.message
    assert client.get(table).equals(DATA)


def test_namespaces(client: Client, name: str) -> None:
    namespace = f"{name}/inner"
    client.action("create_namespace", namespace=namespace)
    assert namespace in client.action("list_namespaces")["namespaces"]
    again = refusal(lambda: client.action("create_namespace", namespace=namespace))
    assert again.code == "already_exists"
    client.put(DATA, ingest={"table": f"{namespace}.t", "mode": "create"})
    used = refusal(lambda: client.action("drop_namespace", namespace=namespace))
    assert used.code == "conflict"
    client.action("drop_table", table=f"{namespace}.t")
    client.action("drop_namespace", namespace=namespace)
    gone = refusal(lambda: client.action("drop_namespace", namespace=namespace))
    assert gone.code == "namespace_not_found"


def test_versions_tags_restore(client: Client, table: str) -> None:
    first = snapshot(client, table)
    tag = client.action("create_tag", table=table, name="good")
    assert (tag["name"], tag["version"]) == ("good", first)
    client.action("delete", table=table, all=True)
    versions = client.action("list_versions", table=table)["versions"]
    assert [version["version"] for version in versions][-1] == first
    assert versions[-1]["tags"] == ["good"]
    assert versions[0]["changes"] == ["deleted"]
    assert len(client.action("list_versions", table=table, limit=1)["versions"]) == 1
    assert [t["name"] for t in client.action("list_tags", table=table)["tags"]] == ["good"]
    commit = client.action("restore", table=table, version="good")["commit"]
    assert commit == snapshot(client, table)
    assert client.read(scan={"table": table, "order_by": "id"}).equals(DATA)
    client.action("drop_tag", table=table, name="good")
    lost = refusal(lambda: client.action("drop_tag", table=table, name="good"))
    assert lost.code == "tag_not_found"
    nothing = refusal(lambda: client.action("restore", table=table))
    assert nothing.code == "invalid_request"
    future = refusal(lambda: client.action("restore", table=table, version=commit + 1000))
    assert future.code == "version_not_found"


def test_an_update_that_names_a_column_twice_is_refused(client: Client, table: str) -> None:
    found = refusal(
        lambda: client.action("update", table=table, set={"id": "1", "ID": "2"}, all=True)
    )
    assert found.code == "invalid_request"
    assert "twice" in found.message


def test_namespaces_that_sql_has_itself_are_refused(client: Client) -> None:
    found = refusal(lambda: client.action("create_namespace", namespace="Information_Schema"))
    assert found.code == "invalid_name"


def test_update_and_delete(client: Client, table: str) -> None:
    answer = client.action("update", table=table, set={"text": "upper(text)"}, filter="id < 3")
    assert (answer["rows"], answer["rows_updated"]) == (2, 2)
    answer = client.action("delete", table=table, filter="text = 'X'")
    assert (answer["rows"], answer["rows_deleted"]) == (1, 1)
    found = client.read(scan={"table": table, "order_by": "id"})
    assert found.to_pylist() == [{"id": 2, "text": "Y"}, {"id": 3, "text": "z"}]
    for name, body in (("delete", {}), ("update", {"set": {"text": "''"}})):
        found = refusal(lambda name=name, body=body: client.action(name, table=table, **body))  # type: ignore[misc]
        assert found.code == "invalid_request"
        assert "every row" in found.message
    client.action("delete", table=table, all=True)
    assert client.get(table).num_rows == 0


@pytest.mark.parametrize(
    "predicate",
    [
        "id = 1; DROP TABLE t",
        "(SELECT count(*) FROM read_csv('/etc/passwd')) > 0",
        "id = getenv('HOME')",
        "nonsense(",
        "",
    ],
)
def test_predicates_that_are_none(client: Client, table: str, predicate: str) -> None:
    found = refusal(lambda: client.action("delete", table=table, filter=predicate))
    assert found.code in ("invalid_sql", "forbidden", "invalid_request")
    assert client.get(table).equals(DATA)


def test_explain_and_optimize(client: Client, table: str) -> None:
    plan = client.action("explain", sql=f"SELECT * FROM {table} WHERE id = ?", parameters=[1])
    assert "SCAN" in plan["plan"]
    done = client.action("optimize", table=table)
    assert set(done) >= {"rows_flushed", "files_merged"}
    assert refusal(lambda: client.action("optimize", table="none")).code == "table_not_found"
