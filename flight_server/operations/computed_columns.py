"""Columns that an engine computes, and the functions that it has for them.

Who may alter a table may have columns computed of those that they may read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from flight_server.errors import ErrorCode, Forbidden, NotFound
from flight_server.model import TableRef
from flight_server.operations.authorise import Permitted, known
from flight_server.operations.rows import joined_filter
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
    engine, name, readable = _altered(services, call, table)
    author = call.author("add computed column", name, column=column.name)
    return engine.add_computed_column(name, replace(column, readable=readable), author)


def change_computed_column(
    services: Services,
    call: Call,
    table: TableRef,
    column: str,
    to: str | None,
    expression: str | Mapping[str, Any] | None,
) -> Computed:
    """Another name or expression of a computed column. Errors as of adding one."""
    engine, name, readable = _altered(services, call, table)
    author = call.author("change computed column", name, column=column)
    return engine.change_computed_column(name, column, to, expression, readable, author)


def drop_computed_column(services: Services, call: Call, table: TableRef, column: str) -> Computed:
    """NotFound; InvalidRequest (column_not_found); Forbidden; Unsupported."""
    engine, name, _ = _altered(services, call, table)
    author = call.author("drop computed column", name, column=column)
    return engine.drop_computed_column(name, column, author)


def recompute_column(
    services: Services, call: Call, table: TableRef, request: Recompute
) -> Computed:
    """Computes cells of a column anew, in the rows that the principal may read. Errors as above."""
    engine, name, readable = _altered(services, call, table)
    where = None if request.where is None else check_predicate(request.where, tuple(readable))
    where = joined_filter(known(services, call, table, Action.READ), where)
    author = call.author("recompute column", name, column=request.column)
    return engine.recompute(name, replace(request, where=where), author, call.cancellation)


def _altered(
    services: Services, call: Call, table: TableRef
) -> tuple[SupportsComputedColumns, TableRef, Sequence[str]]:
    """Who alters the table, its true name, and the columns that the principal may read."""
    allowed = known(services, call, table, Action.ALTER)
    readable = known(services, call, table, Action.READ).columns
    return _engine(allowed), allowed.table, readable


def _engine(allowed: Permitted) -> SupportsComputedColumns:
    return require(allowed.engine, SupportsComputedColumns)
