"""Commands about tables and the server, as they travel: info, ticket and stream agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient, command

DATA = pa.table({"id": [1, 2], "b": ["x", "y"]})
TABLE = "metadata_travels"
OF_TABLE = {"table": TABLE}
COMMANDS: dict[str, dict[str, Any]] = {
    "CommandGetCatalogs": {},
    "CommandGetDbSchemas": {"catalog": "lake", "db_schema_filter_pattern": "ma%"},
    "CommandGetTables": {"table_name_filter_pattern": TABLE, "table_types": ["TABLE"]},
    "CommandGetTableTypes": {},
    "CommandGetPrimaryKeys": OF_TABLE,
    "CommandGetExportedKeys": OF_TABLE,
    "CommandGetImportedKeys": OF_TABLE,
    "CommandGetCrossReference": {"pk_table": TABLE, "fk_table": TABLE},
    "CommandGetSqlInfo": {},
    "CommandGetXdbcTypeInfo": {},
}
ROWS = {
    "CommandGetCatalogs": [{"catalog_name": "lake"}],
    "CommandGetDbSchemas": [{"catalog_name": "lake", "db_schema_name": "main"}],
    "CommandGetTables": [
        {
            "catalog_name": "lake",
            "db_schema_name": "main",
            "table_name": TABLE,
            "table_type": "TABLE",
        }
    ],
    "CommandGetTableTypes": [
        {"table_type": "LOCAL TEMPORARY"},
        {"table_type": "TABLE"},
        {"table_type": "VIEW"},
    ],
    "CommandGetPrimaryKeys": [
        {
            "catalog_name": "lake",
            "db_schema_name": "main",
            "table_name": TABLE,
            "column_name": "id",
            "key_sequence": 1,
            "key_name": None,
        }
    ],
    "CommandGetExportedKeys": [],
    "CommandGetImportedKeys": [],
    "CommandGetCrossReference": [],
}


@pytest.fixture(autouse=True)
def table(sql: SqlClient) -> Iterator[None]:
    sql.client.put(DATA, ingest={"table": TABLE, "mode": "create"})
    changes = [{"set_key": {"key": ["id"]}}]
    sql.client.action("alter_table", table=TABLE, changes=changes)
    yield
    sql.update(f"DROP TABLE {TABLE}")


@pytest.mark.parametrize("name", COMMANDS)
def test_info_schema_and_stream_agree(sql: SqlClient, name: str) -> None:
    fields = COMMANDS[name]
    info = sql.info(name, **fields)
    (endpoint,) = info.endpoints
    assert endpoint.ticket.ticket == command(name, **fields).command
    found = sql.client.stream(endpoint.ticket).read_all()
    assert found.schema.equals(info.schema, check_metadata=True)
    assert sql.schema(name, **fields).equals(info.schema, check_metadata=True)
    found.validate(full=True)


@pytest.mark.parametrize("name", ROWS)
def test_what_they_tell(sql: SqlClient, name: str) -> None:
    assert sql.get(name, **COMMANDS[name]).to_pylist() == ROWS[name]


def test_schemas_of_tables(sql: SqlClient) -> None:
    fields = COMMANDS["CommandGetTables"] | {"include_schema": True}
    (row,) = sql.get("CommandGetTables", **fields).to_pylist()
    found = pa.ipc.read_schema(pa.py_buffer(row["table_schema"]))
    assert found == DATA.schema
    assert found.field("id").metadata[b"ARROW:FLIGHT:SQL:TABLE_NAME"] == TABLE.encode()


def test_the_union_of_sql_info(sql: SqlClient) -> None:
    found = sql.get("CommandGetSqlInfo").to_pylist()
    values = {row["info_name"]: row["value"] for row in found}
    assert len(values) == len(found) > 80
    assert values[0] == "Pixelflight"
    assert values[3] is False
    assert values[8] == 1
    assert values[504] == '"'
    assert "SELECT" in [word.upper() for word in values[508]]
    assert dict(values[517])[0]


def test_chosen_codes_of_sql_info(sql: SqlClient) -> None:
    found = sql.get("CommandGetSqlInfo", info=[4, 0, 999_999, 6])
    assert found.to_pylist() == [
        {"info_name": 0, "value": "Pixelflight"},
        {"info_name": 4, "value": True},
    ]
    assert sql.get("CommandGetSqlInfo", info=[999_999]).num_rows == 0


def test_chosen_types(sql: SqlClient) -> None:
    every = sql.get("CommandGetXdbcTypeInfo")
    found = sql.get("CommandGetXdbcTypeInfo", data_type=4)
    assert set(found["type_name"].to_pylist()) == {"INTEGER", "UINTEGER"}
    assert every.num_rows > 20


def test_temporary_tables_are_listed_in_their_session(
    sql: SqlClient, other: SqlClient, name: str
) -> None:
    sql.update(f"CREATE TEMP TABLE {name} (a INTEGER)")
    fields = {"table_name_filter_pattern": name, "table_types": ["LOCAL TEMPORARY"]}
    (row,) = sql.get("CommandGetTables", **fields).to_pylist()
    assert row["table_type"] == "LOCAL TEMPORARY"
    assert row["catalog_name"] == "temp"
    assert other.get("CommandGetTables", **fields).num_rows == 0


def test_the_transaction_of_the_session_is_seen(
    sql: SqlClient, other: SqlClient, name: str
) -> None:
    begun = sql.begin()
    sql.update(f"CREATE TABLE {name} (a INTEGER)", begun)
    fields = {"table_name_filter_pattern": name}
    assert sql.get("CommandGetTables", **fields).num_rows == 1
    assert other.get("CommandGetTables", **fields).num_rows == 0
    sql.rollback(begun)
    assert sql.get("CommandGetTables", **fields).num_rows == 0


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("CommandGetPrimaryKeys", {"table": "no_such"}),
        ("CommandGetImportedKeys", {"table": "no_such"}),
        ("CommandGetExportedKeys", {"table": TABLE, "catalog": "nowhere"}),
        ("CommandGetCrossReference", {"pk_table": TABLE, "fk_table": "no_such"}),
    ],
)
def test_keys_of_what_is_missing(sql: SqlClient, name: str, fields: dict[str, str]) -> None:
    assert refusal(lambda: sql.get(name, **fields)).code == "table_not_found"
