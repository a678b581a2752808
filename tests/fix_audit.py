"""A server on which nothing has happened yet, and what its audit trail says afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tests.fix_client import Client
from tests.fix_http import TwoDoors

Entries = list[dict[str, Any]]
CREATE = {"mode": "append", "create_if_missing": True}


@pytest.fixture
def own(start_doors: Callable[..., TwoDoors]) -> TwoDoors:
    """A server on which nothing has happened yet."""
    return start_doors()


@pytest.fixture
def ada(own: TwoDoors, connect: Callable[..., Client]) -> Client:
    return connect(own.flight, own.key_of("writer", name="ada"))


def read(doors: TwoDoors, **wanted: Any) -> Entries:
    """What the administrator finds, the oldest first."""
    with doors.client() as client:
        answer = client.get("/api/v1/audit", params={"limit": 1000, **wanted})
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()["entries"]))


def told(entries: Entries) -> list[tuple[Any, ...]]:
    """Who did what to what by which door, and how it ended."""
    names = ("principal", "door", "action", "resource", "outcome")
    return [tuple(entry[name] for name in names) for entry in entries]


def put(client: Client, *ids: int, **more: Any) -> None:
    client.put(pa.table({"a": list(ids)}), ingest={"table": "t", **CREATE, **more})
