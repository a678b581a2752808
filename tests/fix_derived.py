"""Pixeltable's catalog as both doors show it, with tables of which views and snapshots are made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer, local_server
from tests.fix_client import Client
from tests.fix_http import TwoDoors, two_doors

V1 = "/api/v1"


@pytest.fixture(scope="module")
def derived_server(
    written_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    """A server over a home that these tests write to, and read files from beside it."""
    data, beside = tmp_path_factory.mktemp("derived"), written_home.parent
    given = {"pixeltable": str(written_home), "import_sources": (str(beside),)}
    with local_server(data, durability="none", **given) as server:
        yield server


@pytest.fixture(scope="module")
def derived_doors(derived_server: LocalServer) -> Iterator[TwoDoors]:
    with two_doors(derived_server) as doors:
        yield doors


@pytest.fixture
def derived_web(derived_doors: TwoDoors) -> Iterator[httpx.Client]:
    with derived_doors.client() as client:
        yield client


@pytest.fixture
def derived_flight(derived_server: LocalServer) -> Iterator[Client]:
    with closing(Client(derived_server.url, derived_server.key)) as client:
        yield client


@pytest.fixture
def derived_base(derived_flight: Client, request: pytest.FixtureRequest) -> str:
    """A table of four rows in a directory of its own, which is called after the test."""
    place = "".join(c if c.isalnum() else "_" for c in request.node.name).lower()[:60]
    derived_flight.action("create_namespace", namespace=f"pixeltable:{place}")
    rows = pa.table({"id": [1, 2, 3, 4], "word": ["a", "b", "c", None], "x": [0.5, 1.5, None, 3.0]})
    table = f"pixeltable:{place}.base"
    derived_flight.put(rows, ingest={"table": table, "mode": "create", "key": ["id"]})
    return table


def beside(base: str, name: str) -> str:
    return base.replace(".base", f".{name}")


def made(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def rows_of(web: httpx.Client, table: str, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made(web.get(f"{V1}/tables/{table}/rows", params=query))["rows"]
    return found


def flight_sql(text: str) -> bytes:
    """A ticket of a statement."""
    return json.dumps({"sql": text}).encode()
