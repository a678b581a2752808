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
EXPIRED = "version_not_found"


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
    """A snapshot that was old already when the ticket was made: without the ticket it is gone."""
    client = connect(start_server(snapshots_max=1, snapshot_seconds_max=0, ticket_seconds=3))
    versions = [put_version(client) for _ in range(3)]
    # What was the newest as lately as a ticket lives is kept whether or not there is a ticket.
    time.sleep(3.1)
    held = {"table": "t", "version": versions[1]}
    ticket = client.info(scan=held).endpoints[0].ticket
    assert client.action("optimize")["snapshots_expired"] > 0
    assert refusal(lambda: client.read(scan=held | {"version": versions[0]})).code == EXPIRED
    assert client.stream(ticket).read_all().num_rows == 10
    assert client.read(scan=held).num_rows == 10


def test_a_stream_holds_its_snapshot_against_housekeeping(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client]
) -> None:
    server = start_server(snapshots_max=1, snapshot_seconds_max=0, ticket_seconds=0.2)
    client = connect(server)
    before = put_version(client)
    rows = 3_000_000
    large = pa.table({"a": range(rows)})
    version = client.put(large, ingest={"table": "t", "mode": "overwrite"})[-1]["commit"]
    reader = client.stream(json.dumps({"scan": {"table": "t"}}).encode())
    seen = reader.read_chunk().data.num_rows
    put_version(client)
    time.sleep(0.3)
    assert client.action("optimize")["snapshots_expired"] > 0
    assert refusal(lambda: client.read(scan={"table": "t", "version": before})).code == EXPIRED
    assert client.read(scan={"table": "t", "version": version, "limit": 5}).num_rows == 5
    assert seen + reader.read_all().num_rows == rows


def test_a_renewed_ticket_for_a_part_holds_the_files(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client]
) -> None:
    """As the first one did: merged files could no longer be told apart by the ticket."""
    settings = {"small_file_bytes": 2**30, "removal_grace_seconds": 4}
    client = connect(start_server(ticket_seconds=4, endpoint_bytes=2**20, **settings))
    rows = 200_000
    for start in range(0, 3 * rows, rows):
        numbers = range(start, start + rows)
        part = pa.table({"n": numbers, "text": [f"{number:040}" for number in numbers]})
        client.put(part, ingest={"table": "t", "create_if_missing": True})
    endpoints = client.info("t").endpoints
    assert len(endpoints) > 1
    for _ in range(5):
        time.sleep(1)
        endpoints = [client.renewed(endpoint) for endpoint in endpoints]
    assert client.action("optimize", table="t")["files_merged"] == 0
    parts = [client.stream(endpoint.ticket).read_all()["n"] for endpoint in endpoints]
    assert sorted(n for part in parts for n in part.to_pylist()) == list(range(3 * rows))
    time.sleep(4.1)
    assert client.action("optimize", table="t")["files_merged"] > 0


def put_version(client: Client) -> int:
    """The version that ten rows in place of all others make."""
    request = {"table": "t", "mode": "overwrite", "create_if_missing": True}
    version: int = client.put(DATA, ingest=request)[-1]["commit"]
    return version
