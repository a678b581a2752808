"""The lake engine keeps the contract of engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flight_server.engines.base import ABILITIES, abilities
from flight_server.engines.lake.engine import LakeEngine
from flight_server.settings import Settings
from flight_server.testing.conformance import EngineTests


class TestLake(EngineTests, engine_type=LakeEngine):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[LakeEngine]:
        engine = LakeEngine.open(Settings(data=tmp_path))
        yield engine
        engine.close()

    def test_abilities(self, engine: LakeEngine) -> None:
        assert len(abilities(engine)) == len(ABILITIES)
