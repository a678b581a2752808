"""A graceful stop: running streams finish, new calls are refused, nothing is half-written."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.testing.server import LocalServer, ServerProcess, running_server
from tests.fix_client import Client, read_acks, refusal

DATA = pa.table({"n": range(1000)})
ROWS = 6_000_000


@pytest.fixture
def stop_soon() -> Callable[[LocalServer, float], threading.Thread]:
    """Stops a server's door in the background, as the signal handler's caller does."""

    def stop(server: LocalServer, seconds: float) -> threading.Thread:
        while server.door.calls.wait(0):
            time.sleep(0.01)  # until the call that is to be stopped has reached the server
        thread = threading.Thread(target=server.door.stop, args=(seconds,))
        thread.start()
        while not server.door.calls.refusing:
            time.sleep(0.01)
        return thread

    return stop


def test_a_running_stream_finishes_and_new_calls_are_refused(
    start_server: Callable[..., LocalServer],
    connect: Callable[..., Client],
    stop_soon: Callable[[LocalServer, float], threading.Thread],
) -> None:
    server = start_server()
    client = connect(server)
    reader = client.stream(json.dumps({"sql": f"SELECT range AS n FROM range({ROWS})"}).encode())
    seen = reader.read_chunk().data.num_rows
    stopping = stop_soon(server, 30)
    found = refusal(lambda: client.action("health"))
    assert found.code == "unavailable"
    assert found.shape["retryable"] is True
    assert seen + reader.read_all().num_rows == ROWS
    stopping.join(10)
    assert not stopping.is_alive()


def test_a_stream_that_takes_too_long_is_told(
    start_server: Callable[..., LocalServer],
    connect: Callable[..., Client],
    stop_soon: Callable[[LocalServer, float], threading.Thread],
) -> None:
    server = start_server()
    client = connect(server)
    endless = json.dumps({"sql": "SELECT range AS n FROM range(20000000000)"}).encode()
    reader = client.stream(endless)
    stopping = stop_soon(server, 0.3)

    def read_on() -> None:
        while True:
            reader.read_chunk()

    found = refusal(read_on)
    assert found.code == "unavailable"
    assert type(found.error) is flight.FlightUnavailableError
    stopping.join(10)
    assert not stopping.is_alive()


def test_a_put_that_is_sending_is_told_and_has_written_nothing(
    start_server: Callable[..., LocalServer],
    connect: Callable[..., Client],
    stop_soon: Callable[[LocalServer, float], threading.Thread],
) -> None:
    server = start_server()
    client = connect(server)
    client.put(DATA, ingest={"table": "t", "mode": "create"})
    writer, _ = client.open_put(DATA.schema, "t")
    writer.write_table(DATA)
    stopping = stop_soon(server, 0.3)

    def write_on() -> None:
        for _ in range(500):
            writer.write_table(DATA)
            time.sleep(0.01)

    found = refusal(write_on)
    assert found.code == "unavailable"
    stopping.join(10)
    assert not stopping.is_alive()
    server.services.close()
    again = connect(start_server(data=server.data))
    assert again.get("t").num_rows == 1000


def test_a_put_may_finish_while_the_server_stops(
    start_server: Callable[..., LocalServer],
    connect: Callable[..., Client],
    stop_soon: Callable[[LocalServer, float], threading.Thread],
) -> None:
    server = start_server()
    writer, acks = connect(server).open_put(DATA.schema, ingest={"table": "t", "mode": "create"})
    writer.write_table(DATA)
    stopping = stop_soon(server, 20)
    writer.write_table(DATA)
    writer.done_writing()
    assert [ack["rows"] for ack in read_acks(acks)] == [2000]
    writer.close()
    stopping.join(10)
    assert not stopping.is_alive()


def terminated(server: ServerProcess) -> int:
    server.terminate()
    return server.wait()


def test_the_process_ends_although_clients_are_silent(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        running_server(data, shutdown_seconds=0.5) as server,
        closing(Client(server.url, server.key)) as client,
    ):
        client.put(DATA, ingest={"table": "t", "mode": "create"})
        writers = open_silent_puts(client)
        unread = client.stream(b'{"sql": "SELECT range AS n FROM range(20000000000)"}')
        assert terminated(server) == 0
        for writer in writers:
            with pytest.raises(flight.FlightUnavailableError):
                writer.close()
        del unread
    with running_server(data) as again, closing(Client(again.url, again.key)) as client:
        # Those that were there, and those whose commit was acknowledged.
        assert client.get("t").num_rows == 2000


def open_silent_puts(client: Client) -> list[flight.FlightStreamWriter]:
    """One that has sent some rows, one whose first rows are committed, one without a row."""
    silent, _ = client.open_put(DATA.schema, "t")
    silent.write_table(DATA)
    every = {"table": "t", "commit_every": {"rows": 1000}}
    waiting, acks = client.open_put(DATA.schema, ingest=every)
    waiting.write_table(DATA)
    assert next(read_acks(acks))["offset"] == 1000
    waiting.write_table(DATA.slice(0, 10))
    empty, _ = client.open_put(DATA.schema, "t")
    return [silent, waiting, empty]


def test_an_idle_process_ends_at_once(tmp_path: Path) -> None:
    with (
        running_server(tmp_path / "data") as server,
        closing(Client(server.url, server.key)) as client,
    ):
        assert client.action("health")["status"] == "ready"
        began = time.monotonic()
        assert terminated(server) == 0
        assert time.monotonic() - began < 10
