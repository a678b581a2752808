"""Streams that are damaged, change their mind, or break off: nothing is half-written."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.rpc import status_pb2

from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal
from tests.fix_cut import Wire
from tests.fix_raw_flight import (
    corrupt_offsets,
    flight_data,
    ipc_messages,
    put_messages,
    raw_call,
)

DATA = pa.table({"text": ["x", "y"]})
# Otherwise gRPC shares connections among the clients of a process.
ALONE = [("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture
def table(client: Client, name: str) -> str:
    client.put(DATA, ingest={"table": name, "mode": "create"})
    return name


def rows(client: Client, table: str) -> int:
    return int(client.read(scan={"table": table}).num_rows)


def raw_put(server: LocalServer, *messages: bytes) -> list[bytes]:
    return raw_call(server, "DoPut", list(messages), ("authorization", f"Bearer {server.key}"))


def code_of(error: Any) -> str:
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    return str(status.details[0].value.decode(errors="ignore"))


def test_a_crafted_batch_is_refused(client: Client, table: str) -> None:
    bad = corrupt_offsets(DATA.to_batches()[0])

    def put() -> None:
        writer, _ = client.open_put(DATA.schema, table)
        with writer:
            writer.write_batch(DATA.to_batches()[0])
            writer.write_batch(bad)

    found = refusal(put)
    assert found.code == "invalid_data"
    assert "Batch 2" in found.message
    assert rows(client, table) == 2


def test_text_that_is_not_utf8(client: Client, table: str) -> None:
    values = pa.array([b"\xff\xfe"], pa.binary())
    bad = pa.RecordBatch.from_arrays(
        [pa.Array.from_buffers(pa.string(), 1, values.buffers())], names=["text"]
    )
    found = refusal(lambda: client.put(pa.Table.from_batches([bad]), table))
    assert found.code == "invalid_data"
    assert rows(client, table) == 2


def test_a_schema_that_changes_in_mid_stream(
    server: LocalServer, client: Client, table: str
) -> None:
    other = pa.table({"text": ["x"], "more": [1]})
    with pytest.raises(grpc.RpcError) as caught:
        raw_put(server, *put_messages(table, DATA, other))
    assert "SCHEMA_MISMATCH" in code_of(caught.value)
    assert "The schema changes before batch 2" in str(caught.value.details())
    assert rows(client, table) == 2


def test_the_same_by_hand_is_well(server: LocalServer, client: Client, table: str) -> None:
    (ack,) = raw_put(server, *put_messages(table, DATA))
    assert b'"rows": 2' in ack
    assert rows(client, table) == 4


def test_damaged_headers(server: LocalServer, client: Client, table: str) -> None:
    schema, batch = put_messages(table, DATA)
    for position in range(8, 120, 7):
        damaged = batch[:position] + b"\xff\xff\xff\x7f" + batch[position + 4 :]
        with contextlib.suppress(grpc.RpcError):
            raw_put(server, schema, damaged)
    # Some bytes say nothing, so that a batch with them is a good one: but never half of one.
    assert rows(client, table) % 2 == 0
    client.action("health")


def test_a_body_that_is_too_short(server: LocalServer, client: Client, table: str) -> None:
    schema, _ = put_messages(table, DATA)
    ((_, _), (header, body)) = ipc_messages(DATA)
    with pytest.raises(grpc.RpcError) as caught:
        raw_put(server, schema, flight_data(header, body[:-8]))
    assert "INVALID_DATA" in code_of(caught.value)
    assert rows(client, table) == 2


@pytest.mark.xfail(
    strict=True, reason="pyarrow takes a message that is no protobuf for the end of the stream"
)
def test_a_message_that_is_none(server: LocalServer, client: Client, table: str) -> None:
    schema, batch = put_messages(table, DATA)
    with pytest.raises(grpc.RpcError):
        raw_put(server, schema, batch, b"\xff" * 40)


def test_no_schema_at_all(server: LocalServer, client: Client, table: str) -> None:
    _, batch = put_messages(table, DATA)
    for messages in ((), (batch,), (b"",)):
        with pytest.raises(grpc.RpcError):
            raw_put(server, *messages)
    assert rows(client, table) == 2


KILLED = """
import sys
import pyarrow as pa
from pyarrow import flight

url, key, table, size = sys.argv[1:]
client = flight.connect(url)
options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {key}".encode())])
data = pa.record_batch({"text": ["x" * 100] * int(size)})
writer, acks = client.do_put(flight.FlightDescriptor.for_path(table), data.schema, options)
writer.write_batch(data)
print("sent", flush=True)
while True:
    if int(size) > 10:
        writer.write_batch(data)
"""


@pytest.mark.parametrize("size", [10, 10_000])
def test_a_client_that_is_killed(
    server: LocalServer, client: Client, table: str, size: int
) -> None:
    arguments = [server.url, server.key, table, str(size)]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
    assert_idle(server)
    assert rows(client, table) == 2


def test_a_client_that_cancels(server: LocalServer, client: Client, table: str) -> None:
    writer, _ = client.open_put(DATA.schema, table, timeout=0.3)
    writer.write_batch(DATA.to_batches()[0])
    time.sleep(0.5)
    assert_idle(server)
    assert rows(client, table) == 2
    with pytest.raises(pa.ArrowException):
        writer.close()


@pytest.mark.parametrize("every", [None, {"rows": 1_000_000}], ids=["whole", "live"])
def test_a_wire_that_is_cut(
    server: LocalServer, client: Client, table: str, every: dict[str, int] | None
) -> None:
    for round_number in range(15):
        wire = Wire(server)
        with closing(Client(wire.url, server.key, generic_options=ALONE)) as cut_off:
            command = {"table": table} | ({"commit_every": every} if every else {})
            writer, _ = cut_off.open_put(DATA.schema, ingest=command)
            for _ in range(round_number % 4):
                writer.write_table(DATA)
                time.sleep(0.005)
            wire.cut()
            with pytest.raises((pa.ArrowException, OSError)):
                writer.close()
    assert_idle(server)
    assert rows(client, table) == 2


def test_a_client_that_abandons_its_stream(client: Client, table: str) -> None:
    writer, _ = client.open_put(DATA.schema, table)
    writer.write_table(DATA)
    writer.write_metadata(b'{"abandon": true}')
    assert refusal(writer.close).code == "cancelled"
    assert rows(client, table) == 2


def assert_idle(server: LocalServer) -> None:
    """No call is left running."""
    assert server.door.calls.wait(10)
