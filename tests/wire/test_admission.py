"""Every SELECT takes a place among the running queries, however simple it is."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal

FLOOD = "SELECT range AS n FROM range(2000000000)"
SELECTS = ("SELECT * FROM t", "SELECT * FROM t ORDER BY a DESC LIMIT 3", "SELECT a + 1 FROM t")


@pytest.mark.parametrize("sql", SELECTS)
def test_a_select_waits_for_a_place(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client], sql: str
) -> None:
    client = connect(start_server(queries_max=1, query_wait_seconds=0.1))
    client.put(pa.table({"a": [1, 2]}), ingest={"table": "t", "mode": "create"})
    running = client.stream(json.dumps({"sql": FLOOD}).encode())
    running.read_chunk()
    assert refusal(lambda: client.read(sql=sql)).code == "limit_exceeded"
    running.cancel()


@pytest.mark.parametrize("sql", SELECTS)
def test_a_select_over_too_much_is_refused(
    start_server: Callable[..., LocalServer], connect: Callable[..., Client], sql: str
) -> None:
    client = connect(start_server(query_bytes_max=2**20))
    large = pa.table({"a": np.random.default_rng(1).integers(0, 2**62, 200_000)})
    client.put(large, ingest={"table": "t", "mode": "create"})
    assert refusal(lambda: client.read(sql=sql)).code == "too_large"
    client.put(pa.table({"a": [1]}), ingest={"table": "small", "mode": "create"})
    assert client.read(sql=sql.replace("FROM t", "FROM small")).num_rows == 1
