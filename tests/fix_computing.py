"""A catalog that has functions and computed columns, without what computes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from flight_server.model import PIXELTABLE_CATALOG, Author, NamespaceRef
from flight_server.operations import Services
from flight_server.testing.memory import MemoryEngine

_TEXT = {"type": "String", "arrow": "string", "nullable": False}
UPPER: Mapping[str, Any] = {
    "name": "string.upper",
    "kind": "udf",
    "provider": None,
    "withheld": None,
    "is_method": True,
    "is_property": False,
    "is_deterministic": True,
    "description": "Return a copy of string converted to uppercase.",
    "signatures": [
        {
            "parameters": [
                {
                    "name": "self",
                    "passed": "positional_or_keyword",
                    "required": True,
                    "default": None,
                    **_TEXT,
                }
            ],
            "returns": _TEXT,
        }
    ],
}


class ComputingEngine(MemoryEngine):
    """The in-memory engine, with what the HTTP door tells of computed columns."""

    def __init__(self) -> None:
        super().__init__(PIXELTABLE_CATALOG)

    def functions(self) -> list[Mapping[str, Any]]:
        return [UPPER]


@contextmanager
def computing(services: Services) -> Iterator[ComputingEngine]:
    """The engine as the catalog `pixeltable` of these services while the block runs."""
    engine = ComputingEngine()
    engines = cast(dict[str, Any], services.engines)
    engine.create_namespace(NamespaceRef(engine.name, "fleet"), Author("test"))
    engines[PIXELTABLE_CATALOG] = engine
    try:
        yield engine
    finally:
        del engines[PIXELTABLE_CATALOG]
