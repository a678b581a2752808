"""Waiting to commit ends when the time is up; what was committed is told as done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.engines.lake.engine import LakeEngine
from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal

DATA = pa.table({"id": [1, 2]})
SOON = (("x-timeout-seconds", "0.3"),)
WAIT_SECONDS_MAX = 30


@pytest.fixture
def client(server: LocalServer, connect: Callable[..., Client], name: str) -> Client:
    client = connect(server)
    client.put(DATA, ingest={"table": name, "mode": "create", "key": ["id"]})
    return client


@contextmanager
def somebody_commits(server: LocalServer) -> Iterator[threading.Event]:
    """The commit lock is taken until the event is set, or the block ends."""
    lake = server.services.engines["lake"]
    assert isinstance(lake, LakeEngine)
    taken, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lake._log.turn():
            taken.set()
            free.wait(WAIT_SECONDS_MAX)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        yield free
    finally:
        free.set()
        thread.join()


def sent(client: Client, data: pa.Table, table: str, mode: str = "append") -> list[bytes]:
    """Puts within a third of a second; the acknowledgements."""
    command = b'{"ingest": {"table": "%s", "mode": "%s"}}' % (table.encode(), mode.encode())
    descriptor = flight.FlightDescriptor.for_command(command)
    writer, acks = client.flight.do_put(descriptor, data.schema, client.options(SOON))
    with writer:
        writer.write_table(data)
        writer.done_writing()
        found = []
        while (answer := acks.read()) is not None:
            found.append(answer.to_pybytes())
    return found


def given_up(client: Client, number: int, table: str) -> str:
    """The code with which a put of one row fails."""
    return refusal(lambda: sent(client, pa.table({"id": [number]}), table)).code


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_put_gives_up_waiting(server: LocalServer, client: Client, name: str, mode: str) -> None:
    with somebody_commits(server):
        found = refusal(lambda: sent(client, pa.table({"id": [3]}), name, mode))
    assert found.code == "timed_out"
    client.put(pa.table({"id": [4]}), name)
    assert sorted(client.get(name)["id"].to_pylist()) == [1, 2, 4]


def test_puts_that_wait_together_give_up_alone(
    server: LocalServer, client: Client, name: str
) -> None:
    with ThreadPoolExecutor(6) as pool, somebody_commits(server) as free:
        hasty = [pool.submit(given_up, client, n, name) for n in (10, 11, 12)]
        patient = [pool.submit(client.put, pa.table({"id": [n]}), name) for n in (20, 21, 22)]
        codes = {one.result(WAIT_SECONDS_MAX) for one in hasty}
        free.set()
        assert all(one.result(WAIT_SECONDS_MAX) for one in patient)
    assert codes == {"timed_out"}
    assert sorted(client.get(name)["id"].to_pylist()) == [1, 2, 20, 21, 22]


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("update", b'{"table": "%s", "set": {"id": "9"}, "all": true}'),
        ("delete", b'{"table": "%s", "filter": "id = 1"}'),
        ("execute", b'{"sql": "INSERT INTO %s VALUES (7)"}'),
    ],
)
def test_other_writes_give_up_waiting(
    server: LocalServer, client: Client, name: str, action: str, body: bytes
) -> None:
    with somebody_commits(server):
        found = refusal(lambda: client.raw_action(action, body % name.encode(), SOON))
    assert found.code == "timed_out"
    assert client.get(name)["id"].to_pylist() == [1, 2]


def test_what_is_committed_late_is_acknowledged(
    server: LocalServer, client: Client, name: str
) -> None:
    """A stream that is too large for a group has its rows written when it waits to commit."""
    many = pa.table({"id": range(1000, 200_000)})
    with somebody_commits(server) as free:
        threading.Timer(0.8, free.set).start()
        (acknowledged,) = sent(client, many, name)
    assert b'"rows": 199000' in acknowledged
    assert client.get(name).num_rows == 199_002
