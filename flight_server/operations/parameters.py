"""Rows of parameters: bound to a statement as Arrow, row by row, by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from flight_server.auth import Action
from flight_server.errors import InvalidRequest, PixelflightError
from flight_server.operations.authorise import permitted
from flight_server.operations.services import Call, Services
from flight_server.operations.sources import located
from flight_server.query import (
    Statement,
    TableUse,
    Write,
    parameter_hints,
    parameters_of,
    uses_of,
)

_NO_PARAMETERS = pa.schema([])


def rows_of(table: pa.Table, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Each row as Arrow scalars by the statement's names of its parameters.

    Columns are matched by name where the statement names its parameters, and by position
    otherwise. InvalidRequest where their number differs.
    """
    columns = matched(table.schema, names)
    for batch in table.to_batches():
        for row in range(batch.num_rows):
            yield {name: _member(batch.column(place)[row]) for name, place in columns.items()}


def matched(schema: pa.Schema, names: Sequence[str]) -> dict[str, int]:
    """For each parameter, the place of its column. InvalidRequest."""
    given = {name.lstrip("$:@").lower(): place for place, name in enumerate(schema.names)}
    if names and not names[0].isdigit() and all(name.lower() in given for name in names):
        return {name: given[name.lower()] for name in names}
    if len(schema) != len(names):
        raise InvalidRequest(
            f"Parameters of the statement: {len(names)}; columns bound to them: {len(schema)} "
            f"({', '.join(schema.names)[:200]}). Give a value for each parameter."
        )
    return {name: place for place, name in enumerate(names)}


def _member(value: pa.Scalar) -> pa.Scalar:
    """The value itself where some clients send each one as a member of a union."""
    return value.value if isinstance(value, pa.UnionScalar) else value


def parameter_schema(services: Services, call: Call, statement: Statement | Write) -> pa.Schema:
    """The parameters by name, with the types that the statement itself gives away, else null.

    They are for drivers to convert by; whatever type is bound in the end is taken.
    """
    names = parameters_of(statement)
    if not names:
        return _NO_PARAMETERS
    types: dict[str, pa.DataType] = {}
    uses = uses_of(statement)
    schemas = [schema for use in uses if (schema := _readable(services, call, use)) is not None]
    for schema in schemas:
        types |= {field.name.lower(): field.type for field in schema}
    hints = parameter_hints(statement, schemas[0].names if schemas else ())
    for use in uses:
        hints |= use.search.types if use.search is not None else {}

    def known(name: str) -> pa.DataType:
        hint = hints.get(name)
        return types.get(hint.lower(), pa.null()) if isinstance(hint, str) else hint or pa.null()

    return pa.schema([pa.field(name, known(name)) for name in names])


def _readable(services: Services, call: Call, use: TableUse) -> pa.Schema | None:
    """The columns that the principal may read; None where that is none of the tables."""
    try:
        return permitted(services, call, located(call, use), Action.READ).schema
    except PixelflightError:
        # What is wrong is told when the statement runs.
        return None
