"""The memory engine keeps the contract of engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flight_server.engines.base import abilities
from flight_server.testing.conformance import EngineTests
from flight_server.testing.memory import MemoryEngine


class TestMemory(EngineTests, engine_type=MemoryEngine):
    @pytest.fixture
    def engine(self) -> Iterator[MemoryEngine]:
        engine = MemoryEngine()
        yield engine
        engine.close()

    def test_abilities(self, engine: MemoryEngine) -> None:
        assert abilities(engine) == [
            "namespaces",
            "tables",
            "undrop",
            "schemachange",
            "ingest",
            "update",
            "transactions",
            "versions",
            "timeline",
            "schemaversions",
            "tags",
            "changes",
            "slices",
            "indexes",
            "search",
        ]
