"""Servers for tests: one that a module shares, and one that a test may break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flight_server.testing.server import LocalServer, local_server
from flight_server.wire import sweeper

# Housekeeping in the background would make other snapshots than a test expects. Statements on a
# few rows have no work for a second thread of DuckDB's, and take a third more time with one.
# Tests ask more often than people do, and with more wrong credentials. Jobs are done where a test
# is about them.
QUIET = {
    "housekeeping_seconds": 0,
    "durability": "none",
    "threads": 1,
    "limit_admin": "",
    "limit_auth": "",
    "limit_batch": "",
    "limit_jobs": "",
    "job_workers": 0,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server on a lake, shared by those tests of a module that leave it as they found it.

    What it costs to start is less than what the tables of all other modules would cost: each is
    looked at whenever the catalog is read anew, and whenever tables are listed.
    """
    with local_server(tmp_path_factory.mktemp("server"), **QUIET) as running:
        yield running


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., LocalServer]]:
    """Starts a server of a test's own, with settings of its own."""
    with ExitStack() as closing:

        def start(**settings: Any) -> LocalServer:
            folder = settings.pop("data", tmp_path / "data")
            chosen = QUIET | {"threads": 2} | settings
            return closing.enter_context(local_server(folder, **chosen))

        yield start


@pytest.fixture
def swept_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers started after this look for what clients have left ten times as often."""
    monkeypatch.setattr(sweeper, "SWEEP_SECONDS_MAX", sweeper.SWEEP_SECONDS_MAX / 10)
