"""The lake engine keeps the contract of engines; random operations keep it equal to an oracle."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flight_server.engines.base import ABILITIES, abilities
from flight_server.engines.lake.engine import LakeEngine
from flight_server.settings import Durability, Settings
from flight_server.testing.conformance import EngineTests
from flight_server.testing.machine import machine_for


@contextmanager
def opened(data: Path) -> Iterator[LakeEngine]:
    """A lake that tends itself only when it is told to, and need not survive power loss."""
    settings = Settings(data=data, durability=Durability.NONE, housekeeping_seconds=0, threads=2)
    engine = LakeEngine.open(settings)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def opened_anywhere() -> Iterator[LakeEngine]:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as engine:
        yield engine


@pytest.fixture(scope="module")
def engine_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeEngine]:
    with opened(tmp_path_factory.mktemp("lake")) as engine:
        yield engine


class TestLake(EngineTests, engine_type=LakeEngine):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[LakeEngine]:
        with opened(tmp_path) as engine:
            yield engine

    shared_by = "engine_of_the_module"

    def test_abilities(self, engine: LakeEngine) -> None:
        assert len(abilities(engine)) == len(ABILITIES)


# Half a minute where all is well; where it is not, time to find the shortest way to the failure.
TestLakeMachine = pytest.mark.timeout(600)(machine_for(opened_anywhere).TestCase)
