"""What may not be seen looks like what does not exist, whichever way it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pyarrow as pa
import pytest

from flight_server.auth import BUILT_IN_ROLES, Access, Action, Grant, KeyStore
from flight_server.testing.server import LocalServer
from flight_server.wire import FlightDoor
from tests.fix_client import Client, refusal

DATA = pa.table({"id": [1, 2, 3], "pay": [10, 20, 30]})
READ = frozenset({Action.READ})
GRANTS = (
    Grant("clerk", READ, "lake", "main", "open"),
    Grant("clerk", READ, "lake", "main", "partly", frozenset({"id"}), "id < 3"),
)


@pytest.fixture
def clerk(start_server: Callable[..., LocalServer]) -> Iterator[Client]:
    """Somebody who may see one table, a part of another, and nothing of a third."""
    server = start_server()
    roles = {**BUILT_IN_ROLES, "clerk": GRANTS}
    services = server.services
    keys = KeyStore(services.metastore, roles)
    door = FlightDoor(replace(services, access=Access(roles), keys=keys)).start()
    key, _ = keys.create("clerk", ["clerk"], created_by="test")
    with closing(Client(server.url, server.key)) as admin:
        for table in ("open", "partly", "secret"):
            admin.put(DATA, ingest={"table": table, "mode": "create"})
    with closing(Client(door.url, key)) as client:
        yield client
    assert door.stop(5)


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
