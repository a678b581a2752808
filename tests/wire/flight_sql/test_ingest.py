"""CommandStatementIngest: every option, the transactions it joins, and what it refuses."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.wire.flight_sql.messages import MESSAGES
from tests.fix_client import refusal
from tests.fix_flight_sql import SqlClient, command
from tests.fix_raw_flight import corrupt_offsets

DATA = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
MORE = pa.table({"a": [3, 4], "b": ["new", "four"]})


# What there is → what is asked for → the rows afterwards, or the code of the refusal.
OUTCOMES: list[tuple[bool, str, int | str]] = [
    (False, "create", 2),
    (False, "append", "table_not_found"),
    (False, "create_append", 2),
    (False, "replace", 2),
    (False, "replace_existing", "table_not_found"),
    (False, "fail", "invalid_request"),
    (True, "create", "already_exists"),
    (True, "append", 5),
    (True, "create_append", 5),
    (True, "replace", 2),
    (True, "replace_existing", 2),
    (True, "fail", "invalid_request"),
]


@pytest.mark.parametrize("temporary", [False, True], ids=["kept", "temporary"])
@pytest.mark.parametrize(("there", "how", "outcome"), OUTCOMES)
def test_how_a_table_is_made_or_filled(
    sql: SqlClient, name: str, there: bool, how: str, outcome: int | str, temporary: bool
) -> None:
    if there:
        assert sql.ingest(DATA, name, temporary=temporary) == 3
    if isinstance(outcome, str):
        assert refusal(lambda: sql.ingest(MORE, name, how, temporary=temporary)).code == outcome
        if there:
            assert sql.count(name) == 3
        else:
            assert refusal(lambda: sql.count(name)).code == "table_not_found"
    else:
        assert sql.ingest(MORE, name, how, temporary=temporary) == 2
        assert sql.count(name) == outcome


def test_a_replaced_table_has_the_new_columns(sql: SqlClient, name: str) -> None:
    sql.ingest(DATA, name)
    other = pa.table({"c": [0.5]})
    assert sql.ingest(other, name, "replace") == 1
    assert sql.query(f"SELECT * FROM {name}").equals(other)


def test_what_is_to_happen_must_be_said(sql: SqlClient, name: str) -> None:
    for missing, there in ((0, 2), (1, 0), (9, 2)):
        options = MESSAGES["TableDefinitionOptions"](if_not_exist=missing, if_exists=there)
        fields = {"table": name, "table_definition_options": options}
        found = refusal(lambda fields=fields: sql.put(DATA, "CommandStatementIngest", **fields))  # type: ignore[misc]
        assert found.code == "invalid_request"
        assert "say for both" in found.message
    assert refusal(lambda: sql.put(DATA, "CommandStatementIngest", table=name)).code == (
        "invalid_request"
    )
    assert "names no table" in refusal(lambda: sql.ingest(DATA, "")).message


def test_a_temporary_table_keeps_no_tokens(sql: SqlClient, name: str) -> None:
    found = refusal(lambda: sql.ingest(DATA, name, temporary=True, options={"token": "t"}))
    assert found.code == "unsupported"
    assert "send the rows without one" in found.message
    assert refusal(lambda: sql.count(name)).code == "table_not_found"


def test_a_temporary_table_is_the_sessions(sql: SqlClient, other: SqlClient, name: str) -> None:
    assert sql.ingest(DATA, name, "create", temporary=True) == 3
    assert sql.query(f"SELECT * FROM {name}").to_pylist() == DATA.to_pylist()
    assert refusal(lambda: other.count(name)).code == "table_not_found"


def test_catalog_and_schema(sql: SqlClient, name: str) -> None:
    sql.update(f"CREATE SCHEMA s_{name}")
    assert sql.ingest(DATA, name, catalog="lake", schema=f"s_{name}") == 3
    assert sql.ingest(DATA, name, schema=f"s_{name}") == 3
    assert sql.count(f"s_{name}.{name}") == 6
    assert refusal(lambda: sql.count(name)).code == "table_not_found"
    found = refusal(lambda: sql.ingest(DATA, name, catalog="nowhere"))
    assert found.code in ("catalog_not_found", "table_not_found")
    found = refusal(lambda: sql.ingest(DATA, name, schema="nowhere"))
    assert found.code == "namespace_not_found"


def test_the_sessions_schema_completes_the_name(sql: SqlClient, name: str) -> None:
    sql.update(f"CREATE SCHEMA s_{name}")
    sql.set_options(schema=f"s_{name}")
    assert sql.ingest(DATA, name) == 3
    assert sql.count(f"s_{name}.{name}") == sql.count(name) == 3


def test_within_a_named_transaction(sql: SqlClient, other: SqlClient, name: str) -> None:
    sql.ingest(DATA, name)
    begun = sql.begin()
    assert sql.ingest(MORE, name, transaction_id=begun) == 2
    assert (sql.count(name, begun), other.count(name)) == (5, 3)
    sql.rollback(begun)
    assert sql.count(name) == 3


def test_within_the_sessions_transaction(sql: SqlClient, other: SqlClient, name: str) -> None:
    begun = sql.begin()
    assert sql.ingest(DATA, name, "create") == 3
    assert sql.ingest(MORE, name, "append") == 2
    assert sql.count(name, begun) == 5
    assert refusal(lambda: other.count(name)).code == "table_not_found"
    sql.commit(begun)
    assert other.count(name) == 5


def test_within_a_transaction_begun_by_sql(sql: SqlClient, other: SqlClient, name: str) -> None:
    sql.execute("BEGIN")
    sql.ingest(DATA, name, "create")
    assert sql.count(name) == 3
    sql.execute("ROLLBACK")
    assert refusal(lambda: other.count(name)).code == "table_not_found"


def test_a_failed_one_is_not_half_committed(sql: SqlClient, name: str) -> None:
    sql.ingest(pa.table({"b": ["here"]}), name, "create")
    begun = sql.begin()
    good = pa.record_batch({"b": ["abc", "def"]})
    bad = pa.Table.from_batches([*[good] * 50, corrupt_offsets(good)])
    found = refusal(lambda: sql.ingest(bad, name, transaction_id=begun))
    assert found.code == "invalid_data"
    with suppress(flight.FlightError):
        sql.commit(begun)
    assert sql.count(name) == 1


def test_of_two_transactions_the_latest_is_meant(sql: SqlClient, name: str) -> None:
    sql.ingest(DATA, name)
    first, second = sql.begin(), sql.begin()
    assert sql.ingest(MORE, name) == 2
    assert (sql.count(name, first), sql.count(name, second)) == (3, 5)
    sql.rollback(second)
    sql.rollback(first)
    assert sql.count(name) == 3


def test_a_replacement_within_a_transaction(sql: SqlClient, other: SqlClient, name: str) -> None:
    sql.ingest(DATA, name)
    begun = sql.begin()
    assert sql.ingest(pa.table({"c": [1]}), name, "replace", transaction_id=begun) == 1
    assert sql.rows(f"SELECT * FROM {name}", begun) == [{"c": 1}]
    assert other.query(f"SELECT * FROM {name}").equals(DATA)
    sql.rollback(begun)
    assert sql.query(f"SELECT * FROM {name}").equals(DATA)


@pytest.mark.parametrize("prefix", ["", "pixelflight."])
def test_a_token_counts_once(sql: SqlClient, name: str, prefix: str) -> None:
    sql.ingest(DATA, name, "create")
    fields: dict[str, Any] = {"options": {f"{prefix}token": "load-1"}}
    assert sql.ingest(MORE, name, **fields) == 2
    assert sql.ingest(MORE, name, **fields) == 2
    assert sql.count(name) == 5
    assert refusal(lambda: sql.ingest(DATA, name, **fields)).code == "token_conflict"


@pytest.mark.parametrize("data", [MORE, pa.table({"c": [1, 2]})], ids=["same", "other columns"])
def test_a_token_of_a_replacement_counts_once(sql: SqlClient, name: str, data: pa.Table) -> None:
    sql.ingest(DATA, name, "create")
    assert sql.ingest(data, name, "replace", options={"token": "again"}) == 2
    before = sql.client.action("list_versions", table=name)["versions"]
    assert sql.ingest(data, name, "replace", options={"token": "again"}) == 2
    assert sql.client.action("list_versions", table=name)["versions"] == before
    assert sql.query(f"SELECT * FROM {name}").equals(data)


@pytest.mark.parametrize("key", ["a", '["a"]', " a , "])
def test_upsert_by_key(sql: SqlClient, name: str, key: str) -> None:
    sql.ingest(DATA, name)
    assert sql.ingest(MORE, name, options={"mode": "upsert", "key": key}) == 2
    found = sql.rows(f"SELECT * FROM {name} ORDER BY a")
    assert [row["b"] for row in found] == ["x", "y", "new", "four"]


def test_merge_sets_what_comes(sql: SqlClient, name: str) -> None:
    sql.ingest(DATA.append_column("c", pa.array([1, 2, 3])), name)
    assert sql.ingest(MORE, name, options={"mode": "merge", "key": "a"}) == 2
    found = sql.rows(f"SELECT * FROM {name} WHERE a > 2 ORDER BY a")
    assert found == [{"a": 3, "b": "new", "c": 3}, {"a": 4, "b": "four", "c": None}]


def test_options_of_the_session(sql: SqlClient, name: str) -> None:
    sql.ingest(DATA, name)
    assert sql.set_options(ingest_mode="upsert", ingest_key="a", ingest_token="once") == {}
    assert sql.ingest(MORE, name) == sql.ingest(MORE, name) == 2
    assert sql.count(name) == 4
    assert sql.set_options(ingest_mode=None, ingest_key=None, ingest_token=None) == {}
    assert sql.ingest(MORE, name) == 2
    assert sql.count(name) == 6


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tokken": "x"}, "Did you mean 'token'?"),
        ({"mode": "replace"}, "'replace'"),
        ({"mode": "upsert", "key": "[1]"}, "[1]"),
        ({"mode": "upsert", "key": "["}, "["),
        ({"mode": "upsert", "key": "nowhere"}, "nowhere"),
    ],
)
def test_options_that_cannot_be(
    sql: SqlClient, name: str, options: dict[str, str], says: str
) -> None:
    sql.ingest(DATA, name)
    found = refusal(lambda: sql.ingest(MORE, name, options=options))
    assert found.code in ("invalid_request", "column_not_found", "schema_mismatch")
    assert says in found.message
    assert sql.count(name) == 3


def test_no_rows_make_a_table(sql: SqlClient, name: str) -> None:
    assert sql.ingest(DATA.slice(0, 0), name, "create") == 0
    assert sql.query(f"SELECT * FROM {name}").schema == DATA.schema


def test_types_come_back_as_they_went(sql: SqlClient, name: str) -> None:
    data = pa.table(
        {
            "d": pa.array(["a", "b", "a"], pa.dictionary(pa.int8(), pa.string())),
            "l": pa.array([[1.5], [], None], pa.large_list(pa.float32())),
            "t": pa.array([0, 1, None], pa.timestamp("ns", "Europe/Berlin")),
        }
    )
    assert sql.ingest(data, name, "create") == 3
    found = sql.query(f"SELECT * FROM {name}")
    assert found.schema == data.schema
    assert found.to_pylist() == data.to_pylist()


@pytest.mark.parametrize("exists", [True, False])
def test_a_corrupt_batch_writes_nothing(sql: SqlClient, name: str, exists: bool) -> None:
    good = pa.record_batch({"b": ["abc", "def"]})
    if exists:
        sql.ingest(pa.table({"b": ["here"]}), name)
    fields = {
        "table": name,
        "table_definition_options": MESSAGES["TableDefinitionOptions"](if_not_exist=1, if_exists=2),
    }
    bad = pa.Table.from_batches([good, corrupt_offsets(good)])
    found = refusal(lambda: sql.put(bad, "CommandStatementIngest", **fields))
    assert found.code == "invalid_data"
    assert "Batch 2" in found.message
    if exists:
        assert sql.count(name) == 1
    else:
        assert refusal(lambda: sql.count(name)).code == "table_not_found"


def test_columns_that_do_not_fit(sql: SqlClient, name: str) -> None:
    sql.ingest(DATA, name)
    found = refusal(lambda: sql.ingest(pa.table({"a": ["many"], "q": [1]}), name, "append"))
    assert found.code in ("schema_mismatch", "invalid_data", "column_not_found")
    assert sql.count(name) == 3


def test_a_stream_that_is_given_up_writes_nothing(sql: SqlClient, name: str) -> None:
    sql.ingest(DATA, name)
    options = MESSAGES["TableDefinitionOptions"](if_not_exist=1, if_exists=2)
    sent = command("CommandStatementIngest", table_definition_options=options, table=name)
    writer, answers = sql.client.flight.do_put(sent, DATA.schema, sql.client.options())

    def give_up() -> None:
        with writer:
            writer.write_table(DATA)
            writer.write_metadata(b'{"abandon": true}')
            writer.done_writing()
            answers.read()

    assert refusal(give_up).code == "cancelled"
    assert sql.count(name) == 3


def test_it_says_who_wrote(sql: SqlClient, name: str) -> None:
    sql.ingest(DATA, name)
    newest = sql.client.action("list_versions", table=name)["versions"][0]
    assert newest["author"] == "admin"
    assert newest["reason"] == "ingest (append)"
