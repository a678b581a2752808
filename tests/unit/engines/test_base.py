"""What an engine is asked for, what it is taken for, and which tests it has to pass."""

from __future__ import annotations

import pytest

from flight_server.engines.base import (
    SupportsIngest,
    abilities,
    require,
)
from flight_server.engines.computed import SupportsComputedColumns
from flight_server.engines.upkeep import SupportsHousekeeping
from flight_server.errors import Unsupported
from flight_server.testing.conformance import PARTS, EngineTests
from flight_server.testing.memory import MemoryEngine


class Nothing:
    """An engine without any ability."""

    name = "nothing"


def test_an_ability_that_is_there() -> None:
    engine = MemoryEngine()
    assert require(engine, SupportsIngest) is engine


def test_an_ability_that_is_not() -> None:
    with pytest.raises(Unsupported, match=r"'memory'.*housekeeping"):
        require(MemoryEngine(), SupportsHousekeeping)
    with pytest.raises(Unsupported, match=r"do not support computed columns\."):
        require(MemoryEngine(), SupportsComputedColumns)


def test_abilities_have_the_names_of_their_protocols() -> None:
    assert "schemachange" in abilities(MemoryEngine())
    assert "sql" not in abilities(MemoryEngine())


def test_an_engine_without_abilities_has_no_tests() -> None:
    class Empty(EngineTests, engine_type=Nothing):
        pass

    assert [name for name in dir(Empty) if name.startswith("test_") and getattr(Empty, name)] == []


def test_an_engine_with_some_has_theirs() -> None:
    class WithoutSlices(MemoryEngine):
        slices = None  # type: ignore[assignment]

    class Some(EngineTests, engine_type=WithoutSlices):
        pass

    for part, _ in PARTS:
        for name in vars(part):
            if name.startswith("test_"):
                missing = part.__name__ in ("SliceTests", "ViewTests")
                assert (getattr(Some, name) is None) == missing
