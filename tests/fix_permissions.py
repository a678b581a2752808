"""Workspaces, roles and grants for tests, made as an administrator makes them over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.fix_client import Client
from tests.fix_http import TwoDoors

V1 = "/api/v1"
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "owner": ["ann", "bob", "ann", "cyd"],
        "region": ["north", "north", "south", "south"],
        "pay": pa.array([10, 20, 30, 40], pa.int64()),
    }
)


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    """The status, the code and the message of an error."""
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def made(answer: httpx.Response) -> dict[str, Any]:
    """What was made, with the error where nothing was."""
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def new_workspace(api: httpx.Client, **more: Any) -> str:
    """A workspace of a name that no other test uses, with a namespace of that name."""
    name = f"w{uuid.uuid4().hex[:8]}"
    made(api.post(f"{V1}/workspaces", json={"name": name, **more}))
    return name


def new_role(api: httpx.Client, *grants: dict[str, Any], workspace: str | None = None) -> str:
    """A role of a name that no other test uses, with these grants."""
    name = f"role {uuid.uuid4().hex[:8]}"
    where = {} if workspace is None else {"workspace": workspace}
    made(api.post(f"{V1}/auth/roles", json={"name": name, **where}))
    for grant in grants:
        made(api.post(f"{V1}/auth/grants", json={"role": name, **where, **grant}))
    return name


def new_table(doors: TwoDoors, table: str, rows: pa.Table = ROWS, **more: Any) -> str:
    """A table with rows in it, made by the one who may do so in its workspace."""
    client = Client(doors.flight.url, more.pop("key", doors.key))
    try:
        client.put(rows, ingest={"table": table, "mode": "create", **more})
    finally:
        client.close()
    return table


@pytest.fixture
def sign_in(doors: TwoDoors) -> Iterator[Callable[..., httpx.Client]]:
    """A client with a new key of these roles; `name` is what the principal is called."""
    with ExitStack() as opened:
        yield lambda *roles, **more: opened.enter_context(
            doors.client(doors.key_of(*roles, **more))
        )


@pytest.fixture
def table(doors: TwoDoors) -> str:
    """A table of the server's own workspace with the rows of `ROWS`."""
    return new_table(doors, f"t{uuid.uuid4().hex[:8]}")
