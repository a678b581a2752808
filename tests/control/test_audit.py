"""What both doors write into the audit trail."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from pyarrow import flight

from flight_server.metastore.audit import AuditEntry
from flight_server.metastore.tables import api_keys
from tests.fix_audit import put, read, told
from tests.fix_client import Client
from tests.fix_http import TwoDoors


def test_writes_by_both_doors_are_recorded_each_once(own: TwoDoors, ada: Client) -> None:
    put(ada, 1, 2)
    put(ada, 3, token="once")
    put(ada, 3, token="once")
    ada.action("update", table="t", set={"a": "9"}, filter="a = 3")
    ada.action("execute", sql="INSERT INTO t VALUES (41), (42)")
    with own.client() as admin:
        assert admin.post("/api/v1/namespaces", json={"namespace": "n"}).status_code == 201
        assert admin.delete("/api/v1/namespaces/n").status_code == 200
    found = [entry for entry in read(own) if entry["snapshot"] is not None]
    assert told(found) == [
        ("ada", "flight", "ingest", "table:t", "ok"),
        ("ada", "flight", "ingest", "table:t", "ok"),
        ("ada", "flight", "update", "table:t", "ok"),
        ("ada", "flight", "insert", "table:t", "ok"),
        ("admin", "http", "create_namespace", "namespace:n", "ok"),
        ("admin", "http", "drop_namespace", "namespace:n", "ok"),
    ]
    assert [entry["details"].get("rows") for entry in found[:4]] == [2, 1, 1, 2]
    assert all(entry["peer"].startswith("127.0.0.1:") for entry in found)
    assert all(entry["request_id"] and entry["principal_id"] for entry in found)
    assert [entry["snapshot"] for entry in found] == sorted(entry["snapshot"] for entry in found)


def test_changes_of_schemas_are_recorded(own: TwoDoors, connect: Callable[..., Client]) -> None:
    admin = connect(own.flight)
    put(admin, 1)
    first = admin.action("list_versions", table="t")["versions"][-1]["version"]
    column = {"name": "b", "type": "int64"}
    admin.action("alter_table", table="t", changes=[{"add_column": column}])
    admin.action("create_tag", table="t", name="v1")
    admin.action("restore", table="t", version=first)
    admin.action("drop_tag", table="t", name="v1")
    admin.action("rename_table", table="t", to="u")
    admin.action("drop_table", table="u")
    admin.action("undrop_table", table="u")
    found = [entry for entry in read(own) if entry["snapshot"] is not None]
    assert [(entry["action"], entry["resource"]) for entry in found] == [
        ("ingest", "table:t"),
        ("alter_table", "table:t"),
        ("create_tag", "table:t"),
        ("restore", "table:t"),
        ("drop_tag", "table:t"),
        ("rename_table", "table:t"),
        ("drop_table", "table:u"),
        ("undrop_table", "table:u"),
    ]
    details = {entry["action"]: entry["details"] for entry in found}
    assert details["restore"]["version"] == first
    assert details["create_tag"]["tag"] == "v1"
    assert details["rename_table"]["to"] == "u"


def test_a_transaction_is_recorded_by_its_tables(
    own: TwoDoors, connect: Callable[..., Client]
) -> None:
    client = connect(own.flight)
    put(client, 1)
    token = client.flight.authenticate_basic_token("any", own.key)
    session = connect(own.flight, None)
    session._headers = [(token[0].decode(), token[1].decode())]
    for sql in ("BEGIN", "CREATE TABLE made AS SELECT 1 AS x", "DELETE FROM t", "COMMIT"):
        session.action("execute", sql=sql)
    found = [entry for entry in read(own) if entry["action"] == "transaction"]
    changes = {entry["resource"]: entry["details"]["changes"] for entry in found}
    assert changes == {"table:made": ["created", "inserted"], "table:t": ["deleted"]}
    assert len({entry["snapshot"] for entry in found}) == 1


def test_views_are_recorded_in_transactions_too(
    own: TwoDoors, connect: Callable[..., Client]
) -> None:
    admin = connect(own.flight)
    put(admin, 1)
    admin.action("execute", sql="CREATE VIEW v AS SELECT a FROM t")
    admin.action("execute", sql="DROP VIEW v")
    token = admin.flight.authenticate_basic_token("any", own.key)
    session = connect(own.flight, None)
    session._headers = [(token[0].decode(), token[1].decode())]
    for sql in ("BEGIN", "CREATE VIEW w AS SELECT a FROM t", "COMMIT"):
        session.action("execute", sql=sql)
    found = [entry for entry in read(own) if entry["snapshot"] is not None]
    assert [entry["action"] for entry in found] == [
        "ingest",
        "create_view",
        "drop_view",
        "transaction",
    ]
    assert [entry["resource"] for entry in found[1:3]] == ["table:v", "table:v"]


def stranger_of(doors: TwoDoors) -> str:
    """A key of somebody whose only role allows nothing here."""
    text, info = doors.services.keys.create("str", ["reader"], created_by="test")
    with doors.services.metastore.begin() as connection:
        mine = api_keys.c.id == info.id
        connection.execute(api_keys.update().where(mine).values(roles='["nothing"]'))
    return text


def test_refusals_are_recorded_by_what_was_refused(
    own: TwoDoors, connect: Callable[..., Client]
) -> None:
    put(connect(own.flight), 1)
    reader = connect(own.flight, own.key_of("reader", name="rea"))
    stranger = connect(own.flight, stranger_of(own))
    for call in (
        lambda: put(reader, 2),
        lambda: reader.action("drop_table", table="t"),
        lambda: reader.action("execute", sql="DELETE FROM t"),
        lambda: stranger.read(scan={"table": "t"}),
        lambda: stranger.read(sql="SELECT * FROM t"),
    ):
        with pytest.raises(flight.FlightError):
            call()
    with own.client(own.key_of("reader", name="rea")) as http:
        assert http.post("/api/v1/namespaces", json={"namespace": "n"}).status_code == 403
        assert http.get("/api/v1/audit").status_code == 403
        # What does not exist is not refused to anybody.
        with pytest.raises(flight.FlightError):
            reader.read(scan={"table": "missing"})
    assert told(read(own, outcome="refused")) == [
        ("rea", "flight", "insert", "table:t", "refused"),
        ("rea", "flight", "drop", "table:t", "refused"),
        ("rea", "flight", "delete", "table:t", "refused"),
        ("str", "flight", "read", "table:t", "refused"),
        ("str", "flight", "read", "table:t", "refused"),
        ("rea", "http", "create", "namespace:n", "refused"),
        ("rea", "http", "read", "audit", "refused"),
    ]


def test_who_shows_no_valid_credential_is_recorded(
    own: TwoDoors, connect: Callable[..., Client]
) -> None:
    with own.client("pf_unknown") as http:
        assert http.get("/api/v1/namespaces").status_code == 401
    with pytest.raises(flight.FlightUnauthenticatedError):
        connect(own.flight, "pf_unknown").action("health")
    with pytest.raises(flight.FlightUnauthenticatedError):
        connect(own.flight, None).flight.authenticate_basic_token("any", "wrong")
    found = read(own, outcome="refused")
    assert told(found) == [
        ("", "http", "authenticate", "", "refused"),
        ("", "flight", "authenticate", "", "refused"),
        ("", "flight", "authenticate", "", "refused"),
    ]
    assert [entry["code"] for entry in found] == ["unauthenticated"] * 3
    # Arrow tells nobody where a handshake comes from.
    assert [bool(entry["peer"]) for entry in found] == [True, True, False]
    assert found[0]["details"] == {"call": "GET /namespaces"}


def test_who_comes_is_recorded_once_in_a_while(
    own: TwoDoors, ada: Client, connect: Callable[..., Client]
) -> None:
    for _ in range(5):
        ada.action("health")
    token = ada.flight.authenticate_basic_token("any", own.key)
    session = connect(own.flight, None)
    session._headers = [(token[0].decode(), token[1].decode())]
    for _ in range(3):
        session.action("health")
    assert [
        (entry["principal"], entry["door"], *entry["details"].values())
        for entry in read(own, action="authenticate")
    ] == [
        ("ada", "flight", "api_key"),
        ("admin", "flight", "api_key", True),
        ("admin", "flight", "session_token"),
        ("admin", "http", "api_key"),
    ]


def test_writes_that_fail_are_recorded(own: TwoDoors, ada: Client) -> None:
    put(ada, 1)
    with pytest.raises(flight.FlightError):
        ada.action("update", table="t", set={"a": "CAST('x' AS BIGINT)"}, filter="a = 1")
    with own.client() as admin:
        assert admin.post("/api/v1/namespaces", json={"namespace": "main"}).status_code == 409
    assert told(read(own, outcome="failed")) == [
        ("ada", "flight", "update", "table:t", "failed"),
        ("admin", "http", "create_namespace", "namespace:main", "failed"),
    ]


def test_a_batch_is_recorded_operation_by_operation(own: TwoDoors, ada: Client) -> None:
    put(ada, 1)
    insert = {"operation": "insert", "table": "t", "data": [{"a": 5}]}
    gone = {"operation": "delete", "table": "missing", "where": {"a": 1}}
    drop = {"operation": "update", "table": "t", "where": {"a": 5}, "set": {"a": 6}}
    with own.client(own.key_of("reader", name="rea")) as reader:
        refused = reader.post("/api/v1/batch/operations", json={"operations": [insert]})
        assert refused.status_code == 403
    with own.client(own.key_of("writer", name="wri")) as writer:
        url = "/api/v1/batch/operations"
        assert writer.post(url, json={"operations": [insert, drop]}).status_code == 200
        each = {"operations": [insert, gone, drop], "continue_on_error": True}
        assert writer.post(url, json=each).json()["failed"] == 1
    found = [entry for entry in read(own) if entry["principal"] in ("rea", "wri")]
    found = [entry for entry in found if entry["action"] != "authenticate"]
    assert told(found) == [
        ("rea", "http", "insert", "table:t", "refused"),
        ("wri", "http", "batch", "table:t", "ok"),
        ("wri", "http", "ingest", "table:t", "ok"),
        ("wri", "http", "update", "table:t", "ok"),
    ]


def test_grants_are_recorded_as_they_were_given(own: TwoDoors) -> None:
    with own.client() as admin:
        assert admin.post("/api/v1/auth/roles", json={"name": "clerk"}).status_code == 201
        grant = {"role": "clerk", "actions": ["read", "insert"], "namespace": "main"}
        assert admin.post("/api/v1/auth/grants", json=grant).status_code == 201
    (found,) = read(own, action="create_grant")
    assert found["details"]["actions"] == ["insert", "read"]
    assert found["details"]["columns"] is None


def test_keys_are_recorded_with_who_made_them(own: TwoDoors) -> None:
    _, info = own.services.keys.create("k", ["reader"], created_by="test")
    own.services.keys.revoke(info.id)
    own.services.keys.revoke(info.id)
    found = [e for e in read(own, principal="pixelflight") if e["resource"] == f"key:{info.id}"]
    assert [entry["action"] for entry in found] == ["create_key", "revoke_key"]
    assert found[0]["details"] == {"name": "k", "roles": ["reader"], "workspace": "default"}


def test_users_and_tokens_are_recorded_with_who_did_it(own: TwoDoors) -> None:
    password = "correct horse battery"
    with own.client() as admin:
        user = {"name": "bob", "password": password, "roles": ["reader"]}
        assert admin.post("/api/v1/auth/users", json=user).status_code == 201
        changed = admin.patch("/api/v1/auth/users/bob", json={"roles": ["writer"]})
        assert changed.status_code == 200
    with own.client("") as nobody:
        login = {"username": "bob", "password": password}
        tokens = nobody.post("/api/v1/auth/token", json=login).json()
        refresh = {"refresh_token": tokens["refresh_token"]}
        assert nobody.post("/api/v1/auth/token/refresh", json=refresh).status_code == 200
        assert nobody.post("/api/v1/auth/token/refresh", json=refresh).status_code == 401
        for name in ("bob", "correct horse"):
            wrong = login | {"username": name, "password": "wrong password"}
            assert nobody.post("/api/v1/auth/token", json=wrong).status_code == 401
    with own.client() as admin:
        assert admin.delete("/api/v1/auth/users/bob").status_code == 204
    found = [entry for entry in read(own) if entry["action"] not in ("create_key",)]
    assert [(e["principal"], e["action"], e["resource"], e["outcome"]) for e in found] == [
        ("admin", "authenticate", "", "ok"),
        ("admin", "create_user", "user:bob", "ok"),
        ("admin", "change_user", "user:bob", "ok"),
        ("bob", "issue_token", "user:bob", "ok"),
        ("bob", "refresh_token", "user:bob", "ok"),
        ("", "end_login", "user:bob", "ok"),
        ("", "authenticate", "", "refused"),
        ("", "authenticate", "user:bob", "refused"),
        ("", "authenticate", "", "refused"),
        ("admin", "delete_user", "user:bob", "ok"),
    ]
    texts = str(found)
    assert password not in texts
    assert "correct horse" not in texts
    assert not any(token in texts for token in tokens.values() if isinstance(token, str))


def test_entries_cannot_be_changed(own: TwoDoors) -> None:
    own.services.audit.settle()
    database = sqlite3.connect(own.flight.data / "metastore.sqlite")
    with closing(database), pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.execute("UPDATE audit SET principal = 'somebody else'")
    with own.client() as admin:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert admin.request(method, "/api/v1/audit").status_code == 405


def test_old_entries_go_and_that_is_recorded(start_doors: Callable[..., TwoDoors]) -> None:
    doors = start_doors(audit_seconds_max=3600)
    trail = doors.services.audit._trail
    old = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    trail.record(AuditEntry("long", "ago", at=old))
    assert trail.flush()
    assert trail.expire() == 1
    assert read(doors, action="long") == []
    (gone,) = read(doors, action="expire_audit")
    assert gone["details"]["entries"] == 1
    assert trail.expire() == 0
