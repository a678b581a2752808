"""Tables of other engines in SQL: each is a scan that the statement reads by a name."""

from __future__ import annotations

import hashlib

import pyarrow.types as kinds

from flight_server.engines.base import require
from flight_server.engines.cancellation import Cancellation
from flight_server.engines.sql import ForeignScan, SupportsSqlWrites
from flight_server.engines.stream import Batches
from flight_server.errors import Unsupported
from flight_server.model import (
    DEFAULT_CATALOG,
    HIDDEN_PREFIX,
    TEMPORARY_CATALOG,
    ScanRequest,
    TableRef,
)
from flight_server.operations.authorise import Permitted
from flight_server.query import TableUse, check_predicate


def is_foreign(table: TableRef) -> bool:
    """Whether it is of an engine that runs no SQL: SQL reads its rows as a scan gives them."""
    return table.catalog not in (DEFAULT_CATALOG, TEMPORARY_CATALOG)


def sql_writer(allowed: Permitted) -> SupportsSqlWrites:
    """What writes the table's rows as a statement says. Unsupported of another engine's table."""
    if is_foreign(allowed.table):
        raise not_written_by_sql(allowed.table)
    return require(allowed.engine, SupportsSqlWrites)


def not_written_by_sql(table: TableRef) -> Unsupported:
    """Why a statement cannot write to a table of another engine."""
    return Unsupported(
        f"SQL reads the tables of the catalog '{table.catalog}', and does not write rows to them. "
        f"Send the rows of '{table}' by a put, or over HTTP."
    )


def pushed(allowed: Permitted, use: TableUse) -> list[str]:
    """Those conjuncts of a use that the table's engine judges as SQL does, checked."""
    types = {field.name.lower(): field.type for field in allowed.schema}

    def fits(name: str, kind: str) -> bool:
        found = types.get(name.lower())
        if found is None:
            return False
        is_number = kind in ("number", "any") and kinds.is_integer(found)
        is_text = kind in ("text", "any") and (
            kinds.is_string(found) or kinds.is_large_string(found)
        )
        return is_number or is_text

    return [
        check_predicate(one.sql, allowed.columns)
        for one in use.conjuncts
        if all(fits(name, kind) for name, kind in one.columns)
    ]


def foreign_scan(allowed: Permitted, use: TableUse) -> ForeignScan:
    """The scan of what may be read of a table and is needed for a use of it, at its version.

    The name says what is scanned, so that two scans of one name are alike.
    """
    conditions = pushed(allowed, use)
    condition = " AND ".join(f"({one})" for one in conditions) or None
    # What is dropped here, and not by the engine, must not be among those that are enough.
    is_all = len(conditions) == len(use.conjuncts) and allowed.row_filter is None
    limit = use.limit if is_all else None
    engine, table, version = allowed.engine, allowed.table, allowed.version.snapshot

    def opened(columns: tuple[str, ...], cancellation: Cancellation) -> Batches:
        request = ScanRequest(columns, condition, limit=limit, version=version)
        return engine.scan(table, request, cancellation)

    text = repr((str(table), version, allowed.columns, condition, limit))
    name = f"{HIDDEN_PREFIX}_scan_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    return ForeignScan(name, allowed.schema, opened)
