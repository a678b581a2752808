"""Tickets: what is forged, expired or somebody else's is refused; what is good stays good."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal

DATA = pa.table({"a": range(10)})


@pytest.fixture
def ticket(client: Client, name: str) -> bytes:
    client.put(DATA, ingest={"table": name, "mode": "create"})
    found: bytes = client.info(name).endpoints[0].ticket.ticket
    return found


def test_a_ticket_can_be_redeemed_again(client: Client, ticket: bytes) -> None:
    assert client.stream(ticket).read_all() == client.stream(ticket).read_all()


def test_every_changed_byte_is_noticed(client: Client, ticket: bytes) -> None:
    for position in range(3, len(ticket), 9):
        forged = bytearray(ticket)
        forged[position] ^= 1
        found = refusal(lambda forged=forged: client.stream(bytes(forged)).read_all())  # type: ignore[misc]
        assert found.code == "invalid_ticket", position
    assert refusal(lambda: client.stream(ticket[:-1]).read_all()).code == "invalid_ticket"
    assert refusal(lambda: client.stream(b"PF1").read_all()).code == "invalid_ticket"


def test_a_ticket_is_its_principals(
    server: LocalServer, ticket: bytes, connect: Callable[..., Client]
) -> None:
    key, _ = server.services.keys.create("other", ["admin"], created_by="test")
    found = refusal(lambda: connect(server, key).stream(ticket).read_all())
    assert found.code == "invalid_ticket"
    assert "somebody else" in found.message


def test_a_ticket_of_another_server(
    start_server: Callable[..., LocalServer], ticket: bytes, connect: Callable[..., Client]
) -> None:
    other = connect(start_server())
    assert refusal(lambda: other.stream(ticket).read_all()).code == "invalid_ticket"


def test_a_ticket_expires(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client]
) -> None:
    client = connect(start_server(ticket_seconds=0.2))
    client.put(DATA, ingest={"table": "t", "mode": "create"})
    ticket = client.info("t").endpoints[0].ticket
    time.sleep(0.3)
    found = refusal(lambda: client.stream(ticket).read_all())
    assert found.code == "ticket_expired"
    assert "ask for the flight info again" in found.message


def test_a_ticket_survives_a_restart(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client]
) -> None:
    server = start_server()
    client = connect(server)
    client.put(DATA, ingest={"table": "t", "mode": "create"})
    ticket = client.info("t").endpoints[0].ticket
    assert server.door.stop(5)
    server.services.close()
    again = start_server(data=server.data)
    assert connect(again).stream(ticket).read_all().equals(DATA)


def test_a_ticket_holds_its_snapshot_against_housekeeping(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client]
) -> None:
    client = connect(start_server(snapshots_max=1, snapshot_seconds_max=0, ticket_seconds=60))
    client.put(DATA, ingest={"table": "t", "mode": "create"})
    ticket = client.info("t").endpoints[0].ticket
    version = json.loads(client.info("t").app_metadata)["snapshot"]
    for _ in range(3):
        client.put(DATA, ingest={"table": "t", "mode": "overwrite"})
        client.action("optimize")
    assert client.stream(ticket).read_all().num_rows == 10
    assert client.read(scan={"table": "t", "version": version}).num_rows == 10


def test_a_stream_holds_its_snapshot_against_housekeeping(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client]
) -> None:
    server = start_server(snapshots_max=1, snapshot_seconds_max=0)
    client = connect(server)
    rows = 3_000_000
    client.put(pa.table({"n": range(rows)}), ingest={"table": "t", "mode": "create"})
    reader = client.stream(json.dumps({"scan": {"table": "t"}}).encode())
    seen = reader.read_chunk().data.num_rows
    client.put(DATA.rename_columns(["n"]), ingest={"table": "t", "mode": "overwrite"})
    client.action("optimize")
    assert seen + reader.read_all().num_rows == rows
