"""SQL expressions over the columns of an Arrow table, computed by polars.

Only the columns that an expression names are handed to polars: the others may be of types it does
not know. Answers are positions of rows or Arrow columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl
import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.testing.memory.casts import cast_column, plain
from flight_server.testing.memory.state import column_position

POSITION = "_position"
TERM = re.compile(
    r"(?P<what>.*?)(?:\s+(?P<way>asc|desc))?(?:\s+nulls\s+(?P<nulls>first|last))?\s*",
    re.IGNORECASE | re.DOTALL,
)
# A quoted name or text, a bracket, a comma, or anything else, one mark at a time.
MARK = re.compile(r"\"[^\"]*\"|'[^']*'|.", re.DOTALL)


def matching(rows: pa.Table, condition: str | None) -> list[int]:
    """The positions of the rows for which the condition is true."""
    if condition is None:
        return list(range(rows.num_rows))
    expression = _parse(condition)
    try:
        found = _frame(rows, [expression]).filter(expression)
    except pl.exceptions.PolarsError as error:
        raise _invalid(condition, error) from None
    return list(found[POSITION])


def check_condition(rows: pa.Table, text: str) -> None:
    """INVALID_SQL, COLUMN_NOT_FOUND where the text is no condition over the columns."""
    expression = _parse(text)
    try:
        kind = _frame(rows, [expression]).select(expression.alias("value"))["value"].dtype
    except pl.exceptions.PolarsError as error:
        raise _invalid(text, error) from None
    if kind != pl.Boolean:
        raise InvalidRequest(f"{text!r} is no condition.", code=ErrorCode.INVALID_SQL)


def ordered(rows: pa.Table, order_by: str) -> list[int]:
    """The positions of all rows in the order asked for; nulls come last unless it says else."""
    terms = [TERM.fullmatch(term) for term in _split(order_by)]
    expressions = [_parse(term["what"]) for term in terms if term]
    try:
        frame = _frame(rows, expressions).sort(
            expressions,
            descending=[(term["way"] or "").lower() == "desc" for term in terms if term],
            nulls_last=[(term["nulls"] or "").lower() != "first" for term in terms if term],
            maintain_order=True,
        )
    except pl.exceptions.PolarsError as error:
        raise _invalid(order_by, error) from None
    return list(frame[POSITION])


def computed(rows: pa.Table, text: str, field: pa.Field) -> pa.ChunkedArray:
    """The expression's value for each row, as the field's type."""
    expression = _parse(text)
    try:
        frame = _frame(rows, [expression]).select(POSITION, expression.alias("value"))
    except pl.exceptions.PolarsError as error:
        raise _invalid(text, error) from None
    values = frame["value"]
    if values.dtype.is_decimal() and pa.types.is_floating(field.type):
        # SQL writes 1.5 as a decimal; stored values are not so easily made floats.
        values = values.cast(pl.Float64)
    arrow = values.to_arrow(compat_level=pl.CompatLevel.oldest())
    return cast_column(pa.chunked_array([arrow]), field)


def constant(text: str, field: pa.Field, count: int) -> pa.ChunkedArray:
    """So many times the value of a SQL literal."""
    if _parse(text).meta.root_names():
        raise InvalidRequest(
            f"The default of '{field.name}' must be a literal, not {text!r}.",
            code=ErrorCode.INVALID_SQL,
        )
    return computed(pa.table({"": pa.nulls(count)}), text, field)


def _parse(text: str) -> pl.Expr:
    try:
        return pl.sql_expr(text)
    except pl.exceptions.PolarsError as error:
        raise _invalid(text, error) from None


def _frame(rows: pa.Table, expressions: Iterable[pl.Expr]) -> pl.DataFrame:
    """The columns that the expressions name, spelled as they spell them, and the positions."""
    names = {name for expression in expressions for name in expression.meta.root_names()}
    columns = {name: plain(rows.column(column_position(rows.schema, name))) for name in names}
    positions = pl.int_range(rows.num_rows, eager=True).alias(POSITION)
    try:
        series = [pl.Series(name, pl.from_arrow(column)) for name, column in columns.items()]
    except (pl.exceptions.PolarsError, pa.ArrowException) as error:
        raise _invalid(", ".join(sorted(names)), error) from None
    return pl.DataFrame([positions, *series])


def _split(order_by: str) -> list[str]:
    """The terms between the commas that stand in no brackets and no quotes."""
    terms, depth = [""], 0
    for mark in MARK.findall(order_by):
        depth += (mark in "([") - (mark in ")]")
        if mark == "," and depth == 0:
            terms.append("")
        else:
            terms[-1] += mark
    return [term.strip() for term in terms]


def _invalid(text: str, error: Exception) -> InvalidRequest:
    reason = str(error).splitlines()[0]
    return InvalidRequest(f"Cannot compute {text!r}: {reason}.", code=ErrorCode.INVALID_SQL)
