"""Asks how much memory the server takes while a lot more than that streams in and out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import flight

from bench import sample
from bench.calls import FlightCalls, scan
from bench.machine import watched
from bench.results import Row
from bench.server import TABLE, create, running
from bench.sizes import Sizes
from flight_server.client import connect
from flight_server.testing.server import ServerProcess

IDLE_SECONDS = 1.0
AT_MOST, AIM = 600, 300


def measure(sizes: Sizes) -> list[Row]:
    """The rows of this question. The server is a new one for each direction."""
    with sample.workspace() as folder:
        batch = sample.sample(min(sizes.rows, sample.BATCH_ROWS)).to_batches()[0]
        count = -(-sizes.stream_bytes // batch.nbytes)
        rows = count * batch.num_rows
        return [
            _written(folder, batch, count),
            _read(folder, "streams out", rows, _read_stream),
            _read(folder, "streams out to our Python client", rows, _read_client),
        ]


def _written(folder: Path, batch: pa.RecordBatch, count: int) -> Row:
    def send(writer: Any) -> None:
        for _ in range(count):
            writer.write_batch(batch)

    with running(folder) as (server, calls):
        command = create(server, TABLE, batch.schema)
        time.sleep(IDLE_SECONDS)
        with watched(server.process.pid) as watch:
            idle = watch.now()
            rows = calls.stream(command, batch.schema, send)
        assert rows == count * batch.num_rows, f"{rows} rows were acknowledged"
        server.terminate()
        server.wait()
    return _row("streams in", rows * batch.nbytes / batch.num_rows, idle, watch.peak)


def _read(
    folder: Path,
    what: str,
    rows: int,
    read: Callable[[ServerProcess, FlightCalls], tuple[int, int]],
) -> Row:
    with running(folder) as (server, calls):
        time.sleep(IDLE_SECONDS)
        with watched(server.process.pid) as watch:
            idle = watch.now()
            found, size = read(server, calls)
        assert found == rows, f"{found} rows arrived instead of {rows}"
    return _row(what, size, idle, watch.peak)


def _read_stream(server: ServerProcess, calls: FlightCalls) -> tuple[int, int]:
    """Rows and bytes of one stream."""
    rows = size = 0
    for chunk in calls.client.do_get(flight.Ticket(scan(TABLE)), calls.options):
        rows += chunk.data.num_rows
        size += chunk.data.nbytes
    return rows, size


def _read_client(server: ServerProcess, calls: FlightCalls) -> tuple[int, int]:
    """The same as our client reads it: several endpoints at once."""
    rows = size = 0
    with connect(server.url, server.key) as client:
        for batch in client.scan(TABLE):
            rows += batch.num_rows
            size += batch.nbytes
    return rows, size


def _row(what: str, size: float, idle: int, peak: int) -> Row:
    return Row(
        f"memory of the server above idle while {size / 1e9:.3g} GB {what}",
        (peak - idle) / 1e6,
        at_least=AT_MOST,
        aim=AIM,
        unit="MB",
        less_is_better=True,
        detail=f"{idle / 1e6:.0f} MB when idle, {peak / 1e6:.0f} MB at the peak",
    )
