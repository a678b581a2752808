"""The server that is measured: `pixelflight serve` in a process of its own, as a user starts it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from bench.calls import FlightCalls, append
from flight_server.client import connect
from flight_server.settings import Settings
from flight_server.testing.server import ServerProcess, running_server

TABLE = "bench"


@contextmanager
def running(data: Path, **settings: object) -> Iterator[tuple[ServerProcess, FlightCalls]]:
    """A server with the settings it has by default but for those named, and a client of it."""
    niceness = Settings.model_fields["job_niceness"].default
    own = {"log_level": "WARNING", "job_niceness": niceness}
    with (
        running_server(data, **own | settings) as server,
        FlightCalls(server.url, server.key) as calls,
    ):
        yield server, calls


def create(server: ServerProcess, name: str, schema: pa.Schema) -> bytes:
    """Makes an empty table; the command of an append to it."""
    with connect(server.url, server.key) as client:
        client.create_table(name, schema)
    return append(name)


def put(server: ServerProcess, calls: FlightCalls, table: pa.Table) -> None:
    """Puts the table into a new one of the server."""
    calls.write(create(server, TABLE, table.schema), table)


def fill(data: Path, table: pa.Table) -> Path:
    """Puts the table through a server that then stops. A copy of the catalog, for others to read.

    Whoever attaches the copy reads the very files that the server has.
    """
    with running(data) as (server, calls):
        put(server, calls, table)
        server.terminate()
        server.wait()
    copy = data.with_suffix(".copy")
    shutil.copy(data / "lake" / "catalog.duckdb", copy)
    return copy
