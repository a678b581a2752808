"""What may not be seen looks like what does not exist, whichever way it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pyarrow as pa
import pytest

from flight_server.auth import BUILT_IN_ROLES, Access, Action, Grant, KeyStore, fixed
from flight_server.testing.server import LocalServer
from flight_server.wire import FlightDoor
from tests.fix_client import Client, refusal

DATA = pa.table({"id": [1, 2, 3], "pay": [10, 20, 30]})
READ = frozenset({Action.READ})
GRANTS = (
    Grant("clerk", READ, "lake", "main", "open"),
    Grant("clerk", READ, "lake", "main", "partly", frozenset({"id"}), "id < 3"),
)


@contextmanager
def limited_to(server: LocalServer, grants: tuple[Grant, ...]) -> Iterator[tuple[Client, Client]]:
    """An administrator, and somebody with the role `clerk`, which has these grants."""
    roles = {**BUILT_IN_ROLES, "clerk": grants}
    services = server.services
    keys = KeyStore(services.metastore, lambda workspace: roles)
    door = FlightDoor(replace(services, access=Access(fixed(roles)), keys=keys)).start()
    key, _ = keys.create("clerk", ["clerk"], created_by="test")
    with closing(Client(server.url, server.key)) as admin, closing(Client(door.url, key)) as clerk:
        yield admin, clerk
    assert door.stop(5)


@pytest.fixture
def clerk(start_server: Callable[..., LocalServer]) -> Iterator[Client]:
    """Somebody who may see one table, a part of another, and nothing of a third."""
    with limited_to(start_server(), GRANTS) as (admin, client):
        for table in ("open", "partly", "secret"):
            admin.put(DATA, ingest={"table": table, "mode": "create"})
        yield client


def test_a_hidden_table_looks_missing(clerk: Client) -> None:
    calls: list[Callable[[str], object]] = [
        lambda table: clerk.info(table),
        lambda table: clerk.read(scan={"table": table}),
        lambda table: clerk.get(sql=f"SELECT * FROM {table}"),
        lambda table: clerk.read(changes={"table": table, "after": 1}),
        lambda table: clerk.put(DATA, table),
        lambda table: clerk.action("drop_table", table=table),
        lambda table: clerk.action("describe_table", table=table),
        lambda table: clerk.action("list_versions", table=table),
        lambda table: clerk.action("delete", table=table, all=True),
        lambda table: clerk.action("restore", table=table, version=1),
    ]
    for call in calls:
        hidden, missing = refusal(lambda: call("secret")), refusal(lambda: call("absent"))  # noqa: B023
        assert hidden.code == missing.code == "table_not_found"
        assert hidden.message.replace("secret", "absent") == missing.message


def test_get_schema_hides_as_well(clerk: Client) -> None:
    with pytest.raises(KeyError) as hidden:
        clerk.schema("secret")
    with pytest.raises(KeyError) as missing:
        clerk.schema("absent")
    assert str(hidden.value).replace("secret", "absent") == str(missing.value)


def test_listings_leave_it_out(clerk: Client) -> None:
    infos = list(clerk.flight.list_flights(b"", clerk.options()))
    assert {info.descriptor.path[-1] for info in infos} == {b"open", b"partly"}


def test_a_part_of_a_table_is_all_there_is(clerk: Client) -> None:
    expected = [{"id": 1}, {"id": 2}]
    assert clerk.get("partly").to_pylist() == expected
    assert clerk.read(scan={"table": "partly"}).to_pylist() == expected
    assert clerk.get(sql="SELECT * FROM partly ORDER BY id").to_pylist() == expected
    assert clerk.info("partly").total_records == -1
    found = refusal(lambda: clerk.read(scan={"table": "partly", "columns": ["pay"]}))
    assert found.code == "column_not_found"
    assert refusal(lambda: clerk.read(sql="SELECT pay FROM partly")).code in (
        "column_not_found",
        "invalid_sql",
    )


def test_the_servers_own_tables_are_nobodys(client: Client) -> None:
    for table in ("_pixelflight.ingest", "_pixelflight.tables", "_PIXELFLIGHT.tables"):
        with pytest.raises(pa.ArrowException) as caught:
            client.read(scan={"table": table})
        shown = json.dumps(str(caught.value))
        assert "There is no table" in shown
    listed = client.flight.list_flights(b"", client.options())
    assert not [info for info in listed if info.descriptor.path[0].startswith(b"_pixelflight")]


@pytest.mark.parametrize(
    "condition",
    [
        "id = 3 and pay::int = 1",
        "pay::int = 1",
        "case when pay like 'secret%' then error(pay) else false end",
        "id = 3 and (pay || '0')::int = 1",
    ],
)
def test_no_error_tells_of_hidden_rows(
    start_server: Callable[..., LocalServer], condition: str
) -> None:
    """The grant's own condition is costly, so that DuckDB would try the other one first."""
    rows = pa.table(
        {
            "id": range(2000),
            "owner": ["alice" if n % 2 == 0 else "bob" for n in range(2000)],
            "pay": ["7" if n % 2 == 0 else f"secret-{n}" for n in range(2000)],
        }
    )
    writes = frozenset({Action.READ, Action.UPDATE, Action.DELETE})
    mine = "owner like '%lice%' and length(owner) = 5"
    grants = (Grant("clerk", writes, "lake", "main", "t", None, mine),)
    with limited_to(start_server(), grants) as (admin, clerk):
        admin.put(rows, ingest={"table": "t", "mode": "create"})
        assert clerk.read(scan={"table": "t", "filter": condition}).num_rows == 0
        for sql in (
            f"SELECT * FROM t WHERE {condition}",
            f"SELECT id FROM t JOIN range(9999) AS r(n) ON n = id WHERE {condition}",
            f"SELECT count(*) FROM t WHERE {condition} HAVING count(*) > 0",
        ):
            assert clerk.read(sql=sql).num_rows == 0
        assert clerk.action("update", table="t", set={"pay": "'x'"}, filter=condition)["rows"] == 0
        assert clerk.action("delete", table="t", filter=condition)["rows"] == 0
        for sql in (f"UPDATE t SET id = 1 WHERE {condition}", f"DELETE FROM t WHERE {condition}"):
            assert clerk.action("execute", sql=sql)["rows"] == 0
        assert admin.read(sql="SELECT count(*) AS n FROM t")["n"].to_pylist() == [2000]
