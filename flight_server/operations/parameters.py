"""Rows of parameters: bound to a statement as Arrow, row by row, by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from flight_server.errors import InvalidRequest


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
            f"The statement has {len(names)} parameters, and {len(schema)} columns were bound "
            f"to them ({', '.join(schema.names)[:200]})."
        )
    return {name: place for place, name in enumerate(names)}


def _member(value: pa.Scalar) -> pa.Scalar:
    """The value itself where some clients send each one as a member of a union."""
    return value.value if isinstance(value, pa.UnionScalar) else value
