"""Servers with both doors open, over the same services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from control_api.app import create_app
from flight_server.cli.serve import _http, bound
from flight_server.operations import Services
from flight_server.testing.server import LocalServer
from tests.held_answers import Held
from tests.met_statuses import STATUSES


@dataclass(frozen=True)
class TwoDoors:
    """A server in this process. `url` is where HTTP answers, `flight` the rest of it."""

    url: str
    flight: LocalServer
    app: FastAPI

    @property
    def services(self) -> Services:
        """What both doors work with."""
        return self.flight.services

    @property
    def key(self) -> str:
        """The administrator's key."""
        return self.flight.key

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        """A client with the key, the administrator's unless another is given; '' is none."""
        shown = self.key if key is None else key
        headers = {"authorization": f"Bearer {shown}"} if shown else {}
        # httpx would ask for gzip, which costs more than it saves within a machine.
        headers |= {"accept-encoding": "identity"} | options.pop("headers", {})
        # Reading the authorities that it would trust takes longer than most tests; this is no TLS.
        options = {"verify": False, "timeout": 30} | options
        return httpx.Client(base_url=self.url, headers=headers, **options)

    def key_of(self, *roles: str, name: str = "somebody", **more: Any) -> str:
        """A new key with these roles."""
        text, _ = self.services.keys.create(name, roles, created_by="test", **more)
        return text


@contextmanager
def two_doors(server: LocalServer) -> Iterator[TwoDoors]:
    """Opens the HTTP door of a server while the block runs."""
    app = create_app(server.services)
    held = Held(app)
    with (
        bound("127.0.0.1:0", "http") as listening,
        _http(held, server.services.settings, listening),
    ):
        yield TwoDoors(f"http://127.0.0.1:{listening.getsockname()[1]}", server, app)
    STATUSES.note(held.told, held.met)
    assert held.untold() == []


@pytest.fixture(scope="module")
def doors(server: LocalServer) -> Iterator[TwoDoors]:
    """Both doors of the module's server."""
    with two_doors(server) as opened:
        yield opened


@pytest.fixture(scope="module")
def api(doors: TwoDoors) -> Iterator[httpx.Client]:
    """The administrator's client of the module's server: paths begin with /api/v1."""
    with doors.client() as client:
        yield client


@pytest.fixture
def start_doors(start_server: Callable[..., LocalServer]) -> Iterator[Callable[..., TwoDoors]]:
    """Starts a server of a test's own, with settings of its own, and opens both doors."""
    with ExitStack() as closing:
        yield lambda **settings: closing.enter_context(two_doors(start_server(**settings)))
