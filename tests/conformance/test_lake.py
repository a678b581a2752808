"""The lake engine keeps the contract of engines; random operations keep it equal to an oracle."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from flight_server.engines.base import ABILITIES, abilities
from flight_server.engines.lake.engine import LakeEngine
from flight_server.setting_values import Durability
from flight_server.settings import Settings
from flight_server.testing.conformance import EngineTests
from flight_server.testing.conformance.concurrency import ConcurrencyTests
from flight_server.testing.conformance.ingest import IngestTests
from flight_server.testing.conformance.scans import ScanTests
from flight_server.testing.conformance.slices import SliceTests
from flight_server.testing.conformance.streams import StreamTests
from flight_server.testing.machine import machine_for

# Their tests write or read many rows, or many at once.
IN_PARALLEL = (ConcurrencyTests, IngestTests, ScanTests, SliceTests, StreamTests)


@contextmanager
def opened(data: Path, threads: int = 1) -> Iterator[LakeEngine]:
    """A lake that tends itself only when it is told to, and need not survive power loss.

    Statements on a few rows have no work for a second thread of DuckDB's.
    """
    quiet: dict[str, Any] = {"durability": Durability.NONE, "housekeeping_seconds": 0}
    engine = LakeEngine.open(Settings(data=data, threads=threads, **quiet))
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
    def engine(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LakeEngine]:
        parallel = any(request.function.__name__ in vars(part) for part in IN_PARALLEL)
        with opened(tmp_path, threads=2 if parallel else 1) as engine:
            yield engine

    shared_by = "engine_of_the_module"

    def test_abilities(self, engine: LakeEngine) -> None:
        every = {one.__name__.removeprefix("Supports").lower() for one in ABILITIES}
        # What Pixeltable alone does.
        theirs = {"computedcolumns", "derivedtables", "functions", "indexes", "media"}
        theirs |= {"search", "values"}
        assert every - set(abilities(engine)) == theirs


# A quarter of a minute where all is well; where it is not, time to find the shortest way to the
# failure. The profile's examples are some 400 steps, in which every rule was followed at least
# eight times where it was counted.
TestLakeMachine = pytest.mark.timeout(600)(machine_for(opened_anywhere).TestCase)
TestLakeMachine.settings = settings(max_examples=settings().max_examples)
