"""Rows inserted by Pixeltable itself, as one version however many they are.

It takes all rows of a call at once, but for what it reads from another database: that it streams,
some thousand rows at a time. So rows are handed over in the place of an answer to a SELECT. What
it does not check of those are the values: that is done here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import pixeltable as pxt
import pyarrow as pa
from pixeltable import exceptions
from pixeltable.io.data_sources import SqlDataSource

from flight_server.engines.pixeltable.worker.columns import Column, Shape
from flight_server.engines.pixeltable.worker.values import rows_of
from flight_server.errors import ErrorCode, InvalidRequest


def insert(
    table: pxt.Table,
    columns: Sequence[Column],
    parts: Iterator[pa.RecordBatch],
    allowed: Sequence[str],
) -> int:
    """How many rows there were, in the transaction that is open. No rows make no version.

    `allowed` is where media may be read from. InvalidRequest, before which nothing is undone.
    """
    first = next(parts, None)
    if first is None:
        return 0
    rows = (row for part in chain([first], parts) for row in _rows(part, columns, allowed))
    source = SqlDataSource(None, [column.name for column in columns], _Answer(rows))
    try:
        return int(table._insert_sql_source(source).row_count_stats.ins_rows)
    except exceptions.ExprEvalError as error:
        exceptions.raise_from_expr_eval_err(error)
        raise


class _Answer:
    """Rows in the place of a connection to a database and of what it answers."""

    def __init__(self, rows: Iterator[Sequence[Any]]) -> None:
        self._rows = rows

    def execute(self, statement: None, execution_options: object) -> _Answer:
        return self

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return self._rows

    def close(self) -> None:
        pass


def _rows(
    part: pa.RecordBatch, columns: Sequence[Column], allowed: Sequence[str]
) -> Iterator[Sequence[Any]]:
    checked = [column for column in columns if column.shape is not Shape.PLAIN]
    for row in rows_of(part, columns, allowed):
        for column in checked:
            row[column.name] = _checked(column, row[column.name])
        yield tuple(row.values())


def _checked(column: Column, value: Any) -> Any:
    try:
        return column.type.create_literal(value)
    except TypeError as error:
        # Its text may quote the value.
        raise InvalidRequest(
            f"A value of the column '{column.name}' is no {column.type}.",
            code=ErrorCode.INVALID_DATA,
        ) from error
