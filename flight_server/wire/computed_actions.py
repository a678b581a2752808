"""Actions on functions and computed columns."""

from __future__ import annotations

from flight_server import operations
from flight_server.bodies.computed_columns import (
    AddComputedColumn,
    ChangeComputedColumn,
    ListCellErrors,
    ListFunctions,
    OfColumn,
    RecomputeColumn,
    computed,
)
from flight_server.bodies.requests import OfTable
from flight_server.model import TableRef
from flight_server.operations import Call, Services
from flight_server.wire.json_actions import Answer, JsonAction


def _list_functions(services: Services, call: Call, body: ListFunctions) -> Answer:
    return {"functions": operations.list_functions(services, call, body.catalog)}


def _list(services: Services, call: Call, body: OfTable) -> Answer:
    table = TableRef.parse(body.table)
    return {"columns": operations.list_computed_columns(services, call, table)}


def _list_errors(services: Services, call: Call, body: ListCellErrors) -> Answer:
    table = TableRef.parse(body.table)
    found = operations.list_cell_errors(services, call, table, body.column, body.limit)
    return {"errors": found}


def _add(services: Services, call: Call, body: AddComputedColumn) -> Answer:
    return body.add(services, call, TableRef.parse(body.table))


def _change(services: Services, call: Call, body: ChangeComputedColumn) -> Answer:
    return body.change(services, call, TableRef.parse(body.table), body.column)


def _drop(services: Services, call: Call, body: OfColumn) -> Answer:
    table = TableRef.parse(body.table)
    return computed(operations.drop_computed_column(services, call, table, body.column))


def _recompute(services: Services, call: Call, body: RecomputeColumn) -> Answer:
    return body.recompute(services, call, TableRef.parse(body.table), body.column)


COMPUTED_ACTIONS: dict[str, JsonAction] = {
    "list_functions": JsonAction(
        "What expressions of computed columns may call.", ListFunctions, _list_functions
    ),
    "list_computed_columns": JsonAction("A table's computed columns.", OfTable, _list),
    "list_cell_errors": JsonAction(
        "What went wrong in cells of a computed column.", ListCellErrors, _list_errors
    ),
    "add_computed_column": JsonAction("Have a column computed of others.", AddComputedColumn, _add),
    "change_computed_column": JsonAction(
        "Another name or expression of a computed column.", ChangeComputedColumn, _change
    ),
    "drop_computed_column": JsonAction("Remove a computed column.", OfColumn, _drop),
    "recompute_column": JsonAction("Compute cells of a column anew.", RecomputeColumn, _recompute),
}
