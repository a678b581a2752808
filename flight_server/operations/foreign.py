"""Tables of other engines in SQL: each is a scan that the statement reads by a name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.types as types

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
from flight_server.query import Compared, Conjunct, TableUse, check_predicate, with_values

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]


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
        f"A statement like this does not write to tables of the catalog '{table.catalog}'. Of "
        f"'{table}' an UPDATE or DELETE may hold its own columns and no parameters; rows come by "
        "a put, or over HTTP."
    )


def pushed(
    allowed: Permitted, use: TableUse, parameters: Parameters = ()
) -> list[tuple[Conjunct, str]]:
    """Those conjuncts of a use that the table's engine judges as SQL does, and what it is told."""
    kinds = {field.name.lower(): _kind_of_type(field.type) for field in allowed.schema}
    found = []
    for conjunct in use.conjuncts:
        values: dict[str, int | str] = {}
        if all(_fits(one, kinds, parameters, values) for one in conjunct.columns):
            text = with_values(conjunct.sql, values) if values else conjunct.sql
            found.append((conjunct, check_predicate(text, allowed.columns)))
    return found


def foreign_scan(allowed: Permitted, use: TableUse, parameters: Parameters = ()) -> ForeignScan:
    """The scan of what may be read of a table and is needed for a use of it, at its version.

    The name says what is scanned, so that two scans of one name are alike in a statement.
    """
    conditions = pushed(allowed, use, parameters)
    condition = " AND ".join(f"({text})" for _, text in conditions) or None
    # What is dropped here, and not by the engine, must not be among those that are enough.
    is_all = len(conditions) == len(use.conjuncts) and allowed.row_filter is None
    limit = use.limit if is_all else None
    engine, table, version = allowed.engine, allowed.table, allowed.version.snapshot

    def opened(columns: tuple[str, ...], cancellation: Cancellation) -> Batches:
        request = ScanRequest(columns, condition, limit=limit, version=version)
        return engine.scan(table, request, cancellation)

    # Without the values of parameters: what is kept of the statement serves for all of them.
    known = [conjunct.sql for conjunct, _ in conditions]
    text = repr((str(table), version, allowed.columns, known, limit))
    name = f"{HIDDEN_PREFIX}_scan_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    return ForeignScan(name, allowed.schema, opened)


def _fits(
    compared: Compared,
    kinds: Mapping[str, str],
    parameters: Parameters,
    values: dict[str, int | str],
) -> bool:
    """Whether the column is of a kind that it can be compared as; notes its parameters' values."""
    kind = kinds.get(compared.column.lower())
    if kind not in compared.kinds:
        return False
    for name in compared.parameters:
        value = _value_of(name, parameters)
        if value is None or (kind == "text") != isinstance(value, str):
            return False
        values[name] = value
    return True


def value_of(name: str, parameters: Parameters) -> Any:
    """A parameter's value as Python's; None where it has none."""
    value = _given(name, parameters)
    return value.as_py() if isinstance(value, pa.Scalar) else value


def _given(name: str, parameters: Parameters) -> Any:
    if isinstance(parameters, Mapping):
        return parameters.get(name)
    if name.isdigit() and 0 < int(name) <= len(parameters):
        return parameters[int(name) - 1]
    return None


def _value_of(name: str, parameters: Parameters) -> int | str | None:
    """A parameter that is a whole number of 64 bits, or text that SQL can hold."""
    value = _given(name, parameters)
    if isinstance(value, pa.Scalar):
        value = value.as_py() if _kind_of_type(value.type) else None
    if isinstance(value, str):
        return None if "\0" in value else value
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if -(2**63) < value < 2**63 else None


def _kind_of_type(data_type: pa.DataType) -> str:
    if types.is_integer(data_type):
        return "number"
    return "text" if types.is_string(data_type) or types.is_large_string(data_type) else ""
