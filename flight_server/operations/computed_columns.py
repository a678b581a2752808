"""Columns that an engine computes, and the functions that it has for them.

Who may alter a table, and read all of its rows, may have columns computed of those that they read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flight_server.auth import Action, CatalogRef
from flight_server.engines.base import require
from flight_server.engines.computed import (
    Computed,
    ComputedColumn,
    Recompute,
    SupportsComputedColumns,
    SupportsFunctions,
)
from flight_server.errors import Conflict, ErrorCode, Forbidden, NotFound
from flight_server.model import TableRef
from flight_server.operations.authorise import Permitted, known, narrow
from flight_server.operations.seen_scans import joined_filter
from flight_server.operations.services import Call, Services, engine_of
from flight_server.query import check_predicate


def list_functions(services: Services, call: Call, catalog: str) -> list[Mapping[str, Any]]:
    """What expressions over tables of a catalog may call. NotFound (catalog_not_found)."""
    engine = engine_of(services, call, catalog)
    if not services.access.may(call.principal, Action.READ, CatalogRef(catalog)).visible:
        raise NotFound(f"There is no catalog '{catalog}'.", code=ErrorCode.CATALOG_NOT_FOUND)
    return require(engine, SupportsFunctions).functions()


def list_computed_columns(
    services: Services, call: Call, table: TableRef
) -> list[Mapping[str, Any]]:
    """Those that the principal may read. NotFound; Forbidden; Unsupported.

    How many cells hold errors is the whole table's, so only whole tables show it.
    """
    allowed = known(services, call, table, Action.READ)
    every = _engine(allowed).computed_columns(allowed.table)
    seen = [one for one in every if one["name"] in allowed.columns]
    return seen if allowed.whole else [{**one, "errors": None} for one in seen]


def list_cell_errors(
    services: Services, call: Call, table: TableRef, column: str, limit: int
) -> list[Mapping[str, Any]]:
    """What went wrong in cells of a computed column. NotFound; InvalidRequest; Unsupported.

    Texts of errors may quote any value: Forbidden to whom a part of the table is hidden.
    """
    allowed = known(services, call, table, Action.READ)
    engine = _engine(allowed)
    if not allowed.whole:
        raise Forbidden("Errors in cells are shown to those alone who may read the whole table.")
    return engine.cell_errors(allowed.table, column, limit)


def add_computed_column(
    services: Services, call: Call, table: TableRef, column: ComputedColumn
) -> Computed:
    """AlreadyExists; InvalidRequest; NotFound; Forbidden; Unsupported."""
    engine, reading = _altered(services, call, table)
    _check_all_rows(reading)
    author = call.author("add computed column", reading.table, column=column.name)
    return engine.add_computed_column(
        reading.table, replace(column, readable=reading.columns), author, call.cancellation
    )


def change_computed_column(
    services: Services,
    call: Call,
    table: TableRef,
    column: str,
    to: str | None,
    expression: str | Mapping[str, Any] | None,
) -> Computed:
    """Another name or expression of a computed column. Errors as of adding one."""
    engine, reading = _altered(services, call, table)
    [name] = narrow(reading, (column,))
    if expression is not None:
        _check_all_rows(reading)
    author = call.author("change computed column", reading.table, column=name)
    return engine.change_computed_column(
        reading.table, name, to, expression, reading.columns, author
    )


def drop_computed_column(services: Services, call: Call, table: TableRef, column: str) -> Computed:
    """NotFound; InvalidRequest (column_not_found); Conflict; Forbidden; Unsupported."""
    engine, reading = _altered(services, call, table)
    [name] = narrow(reading, (column,))
    author = call.author("drop computed column", reading.table, column=name)
    try:
        return engine.drop_computed_column(reading.table, name, author)
    except Conflict:
        if reading.whole:
            raise
        # It names what is made of it, which may be hidden.
        raise Conflict(f"Something is made of the column '{name}': drop that first.") from None


def recompute_column(
    services: Services, call: Call, table: TableRef, request: Recompute
) -> Computed:
    """Computes cells of a column anew, in the rows that the principal may read. Errors as above."""
    engine, reading = _altered(services, call, table)
    [name] = narrow(reading, (request.column,))
    where = request.where
    where = None if where is None else check_predicate(where, reading.columns)
    where = joined_filter(reading, where)
    author = call.author("recompute column", reading.table, column=name)
    asked = replace(request, column=name, where=where)
    return engine.recompute(reading.table, asked, author, call.cancellation)


def _altered(
    services: Services, call: Call, table: TableRef
) -> tuple[SupportsComputedColumns, Permitted]:
    """Who alters the table, and what of it the principal may read."""
    engine = _engine(known(services, call, table, Action.ALTER))
    return engine, known(services, call, table, Action.READ)


def _check_all_rows(reading: Permitted) -> None:
    """Whether an expression fails, and in how many rows, would tell what is in hidden ones."""
    if reading.row_filter is not None:
        raise Forbidden(
            f"You may read some rows of '{reading.table}' only: its columns are computed as those "
            "say who may read all of them."
        )


def _engine(allowed: Permitted) -> SupportsComputedColumns:
    return require(allowed.engine, SupportsComputedColumns)
