"""A server with one table, and materialised views over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flight_server.assemble import assemble
from flight_server.auth import Grant
from flight_server.auth.access import ANONYMOUS
from flight_server.model import SqlRequest, TableRef
from flight_server.operations import (
    Call,
    Freshness,
    Refreshing,
    Services,
    create_grant,
    create_materialized_view,
    create_role,
    describe_view,
    execute,
    freshness,
    query,
    refresh_view,
)
from flight_server.setting_values import Durability
from flight_server.settings import Settings

ROOT = Call(ANONYMOUS, "r")
KEPT = TableRef.of("kept")


class World:
    """A server with a table `t` of two rows, and what is done with it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.run("CREATE TABLE t (a INTEGER, b VARCHAR)")
        self.run("INSERT INTO t VALUES (1, 'x'), (2, 'y')")

    def run(self, sql: str, call: Call = ROOT) -> Any:
        return execute(self.services, call, SqlRequest(sql))

    def rows(self, sql: str, call: Call = ROOT) -> list[tuple[Any, ...]]:
        found = query(self.services, call, SqlRequest(sql)).read_all().to_pylist()
        return sorted(tuple(row.values()) for row in found)

    def make(self, sql: str, view: TableRef = KEPT, call: Call = ROOT, **more: Any) -> None:
        create_materialized_view(self.services, call, view, sql, **more)

    def refresh(self, call: Call = ROOT, view: TableRef = KEPT) -> Refreshing:
        return refresh_view(self.services, call, view)

    def fresh(self, view: TableRef = KEPT, call: Call = ROOT) -> Freshness:
        found = freshness(self.services, call, describe_view(self.services, call, view))
        assert found is not None
        return found

    def somebody(self, *roles: str, name: str = "somebody") -> Call:
        _, info = self.services.keys.create(name, roles, created_by="test")
        return Call(self.services.keys.principal(info.id), "r")

    def role(self, name: str, *grants: Grant) -> list[str]:
        create_role(self.services, ROOT, name)
        return [create_grant(self.services, ROOT, grant).id for grant in grants]


def quiet_settings(folder: Path, **more: Any) -> Settings:
    quiet: dict[str, Any] = {"durability": Durability.NONE, "housekeeping_seconds": 0, "threads": 1}
    return Settings(data=folder, insecure_no_auth=True, **quiet | more)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(assemble(quiet_settings(tmp_path, view_refresh_seconds=0.05))) as services:
        yield World(services)


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)
