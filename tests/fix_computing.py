"""A catalog that has functions and computed columns, without what computes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.computed import Computed, ComputedColumn, Recompute
from flight_server.model import PIXELTABLE_CATALOG, Author, NamespaceRef, TableRef, TableSpec
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


ORDERS = TableRef(PIXELTABLE_CATALOG, "fleet", "orders")
COLUMNS = {"id": pa.int64(), "price": pa.float64(), "quantity": pa.int64()}
WRONG = {"key": {"id": 7}, "errortype": "ZeroDivisionError", "errormsg": "division by zero"}


class ComputingEngine(MemoryEngine):
    """The in-memory engine, with what the doors tell of computed columns.

    `asked` are the columns that it was to add, and `recomputed` what it was to compute anew.
    """

    def __init__(self) -> None:
        super().__init__(PIXELTABLE_CATALOG)
        self.asked: list[ComputedColumn] = []
        self.recomputed: list[Recompute] = []

    def functions(self) -> list[Mapping[str, Any]]:
        return [UPPER]

    def providers(self) -> list[Mapping[str, Any]]:
        return [{"provider": "openai", "takes_key": True, "is_configured": False}]

    def computed_columns(self, table: TableRef) -> list[Mapping[str, Any]]:
        kind = {"type": "Float", "arrow": "double", "stored": True, "comment": ""}
        return [
            {"name": "price", "expression": "quantity * 2", **kind, "errors": 1},
            {"name": "quantity", "expression": "7", **kind, "errors": 0},
        ]

    def cell_errors(self, table: TableRef, column: str, limit: int) -> list[Mapping[str, Any]]:
        return [WRONG]

    def add_computed_column(
        self,
        table: TableRef,
        column: ComputedColumn,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Computed:
        self.asked.append(column)
        return Computed(3, 120, 0)

    def change_computed_column(
        self,
        table: TableRef,
        column: str,
        to: str | None,
        expression: str | Mapping[str, Any] | None,
        readable: Sequence[str],
        author: Author,
    ) -> Computed:
        return Computed(5, 120, 0)

    def drop_computed_column(self, table: TableRef, column: str, author: Author) -> Computed:
        return Computed(6)

    def recompute(
        self,
        table: TableRef,
        request: Recompute,
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Computed:
        self.recomputed.append(request)
        return Computed(4, 17, 1, 17, None)


@contextmanager
def computing(services: Services) -> Iterator[ComputingEngine]:
    """The engine as the catalog `pixeltable` of these services while the block runs.

    It has the table `pixeltable:fleet.orders`.
    """
    engine = ComputingEngine()
    engine.create_namespace(NamespaceRef(engine.name, ORDERS.namespace), Author("test"))
    engine.create_table(ORDERS, TableSpec(pa.schema(COLUMNS), key=("id",)), Author("test"))
    engines = cast(dict[str, Any], services.engines)
    engines[PIXELTABLE_CATALOG] = engine
    try:
        yield engine
    finally:
        del engines[PIXELTABLE_CATALOG]
