"""The Pixeltable engine keeps the contract of engines, but for what it has no meaning for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from flight_server.engines.base import abilities
from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.model import DEFAULT_NAMESPACE, NamespaceRef
from flight_server.testing.conformance import EngineTests
from flight_server.testing.conformance.handles import AUTHOR


@pytest.fixture(scope="module")
def engine_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PixeltableEngine]:
    """An engine over a home that nobody had before."""
    with closing(PixeltableEngine.at(tmp_path_factory.mktemp("conformance"))) as engine:
        yield engine


class TestPixeltable(EngineTests, engine_type=PixeltableEngine):
    """One home for all: who needs an engine to himself gets it emptied."""

    shared_by = "engine_of_the_module"

    @pytest.fixture
    def engine(self, engine_of_the_module: PixeltableEngine) -> PixeltableEngine:
        empty(engine_of_the_module)
        return engine_of_the_module

    def test_abilities(self, engine_of_the_module: PixeltableEngine) -> None:
        assert abilities(engine_of_the_module) == [
            "namespaces",
            "tables",
            "derivedtables",
            "schemachange",
            "ingest",
            "update",
            "values",
            "versions",
            "changes",
            "indexes",
            "search",
            "functions",
            "computedcolumns",
            "media",
        ]


def test_exceptions_are_of_cases(unmet: list[str]) -> None:
    assert unmet == []


def empty(engine: PixeltableEngine) -> None:
    """Drops all tables and directories."""
    namespaces = engine.namespaces()
    for namespace in namespaces:
        for table in engine.tables(namespace):
            engine.drop_table(table, AUTHOR)
    for namespace in sorted(namespaces, reverse=True):
        if namespace != DEFAULT_NAMESPACE:
            engine.drop_namespace(NamespaceRef(engine.name, namespace), AUTHOR)
