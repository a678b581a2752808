"""Columns that are computed of others."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from control_api.dependencies import Call, Services
from control_api.paths import Table
from flight_server import operations
from flight_server.bodies.computed_columns import (
    ERRORS_MAX,
    CellsToCompute,
    ColumnToAdd,
    ColumnToChange,
    computed,
)

router = APIRouter(prefix="/tables/{table:table}/computed-columns", tags=["computed columns"])


@router.get("")
def list_computed_columns(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """A table's computed columns, with how many of their cells hold an error."""
    return {"columns": operations.list_computed_columns(services, call, table)}


@router.post("", status_code=201)
def add_computed_column(
    services: Services, call: Call, table: Table, body: ColumnToAdd
) -> dict[str, Any]:
    """Has a column computed of others, in the rows that are there and in all that come.

    `expression` is SQL, or a tree of JSON: `{"operator": "*", "operands": [{"column": "price"},
    2]}`. It may call what `GET /functions` lists.
    """
    return body.add(services, call, table)


@router.patch("/{column}")
def change_computed_column(
    services: Services, call: Call, table: Table, column: str, body: ColumnToChange
) -> dict[str, Any]:
    """Gives it another name, or another expression, by which it is computed anew."""
    return body.change(services, call, table, column)


@router.delete("/{column}")
def drop_computed_column(
    services: Services, call: Call, table: Table, column: str
) -> dict[str, Any]:
    """Removes a computed column that no other one is computed of."""
    return computed(operations.drop_computed_column(services, call, table, column))


@router.post("/{column}/recompute")
def recompute_column(
    services: Services, call: Call, table: Table, column: str, body: CellsToCompute
) -> dict[str, Any]:
    """Computes its cells anew: all, those of some rows, or those that hold errors.

    With `limit` it does as many rows, and says behind which there are more; a job of the type
    `table_recompute` does all of them, and tells how far it is.
    """
    return body.recompute(services, call, table, column)


@router.get("/{column}/errors")
def list_cell_errors(
    services: Services,
    call: Call,
    table: Table,
    column: str,
    limit: Annotated[int, Query(ge=1, le=ERRORS_MAX)] = 100,
) -> dict[str, Any]:
    """The cells that hold errors: the keys of their rows, and what went wrong."""
    return {"errors": operations.list_cell_errors(services, call, table, column, limit)}
