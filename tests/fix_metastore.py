"""An open metastore, and the store of API keys over it with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flight_server.auth import KeyStore
from flight_server.metastore import Metastore


class Clock:
    """A Unix time that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def metastore(tmp_path: Path) -> Iterator[Metastore]:
    with Metastore.open(tmp_path / "metastore.sqlite") as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(metastore: Metastore, clock: Clock) -> KeyStore:
    return KeyStore(metastore, now=clock)
