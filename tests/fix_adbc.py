"""The ADBC Flight SQL driver for tests: as its users open it, with the key out of the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi

from flight_server.testing.server import LocalServer, RunningServer


def adbc_options(key: str | None) -> dict[str, str]:
    """What the driver is told about who asks."""
    return {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {key}"} if key else {}


def open_adbc(server: RunningServer, key: str | None = "admin", **options: Any) -> Any:
    """A connection, by default the administrator's. It begins transactions unless told not to."""
    chosen = adbc_options(server.key if key == "admin" else key)
    return dbapi.connect(server.url, db_kwargs=chosen | options.pop("db_kwargs", {}), **options)


@pytest.fixture
def connect_adbc() -> Iterator[Callable[..., Any]]:
    """Opens connections that are closed at the end."""
    with ExitStack() as opened:

        def connect(server: RunningServer, key: str | None = "admin", **options: Any) -> Any:
            return opened.enter_context(open_adbc(server, key, **options))

        yield connect


@pytest.fixture
def adbc(server: LocalServer, connect_adbc: Callable[..., Any]) -> Any:
    """A connection to the shared server that commits each statement by itself."""
    return connect_adbc(server, autocommit=True)


@pytest.fixture
def transactional(server: LocalServer, connect_adbc: Callable[..., Any]) -> Any:
    """A connection to the shared server as Python's database API has it: nothing commits itself."""
    return connect_adbc(server)
