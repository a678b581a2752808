"""Which rows a filter keeps, in which order: judged by DuckDB, as in SQL over the table.

Only the numbers of the rows come back from it; the rows themselves are then taken as they were
read, so no type is changed on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from flight_server.arrow_layouts import Step, nested_step
from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import trees
from flight_server.engines.pixeltable.worker.columns import Column
from flight_server.engines.pixeltable.worker.spools import Spool
from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.model import quoted

ROWS_EACH = 64 * 2**10
# What DuckDB finds in the text of SQL, and in no row.
_OF_SQL = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
_NUMBER = "_pixelflight_number"


def columns_used(condition: str | None, order: str | None, every: Sequence[Column]) -> list[Column]:
    """The columns that a filter or an order may mean: those whose names stand in it."""
    names = {name.lower() for name in _names(trees.parsed(condition, order))}
    return [column for column in every if column.name.lower() in names]


def selected(
    rows: Spool,
    names: list[str],
    used: Sequence[Column],
    request: Mapping[str, Any],
    cancellation: Cancellation,
) -> Spool:
    """The rows that the request asks for, with the columns of these names."""
    schema = pa.schema([rows.schema.field(name) for name in names])
    columns = [column.name for column in used]

    def batches() -> Iterator[pa.RecordBatch]:
        for table in _parts(rows, request):
            numbers = _numbers(table, columns, request, cancellation)
            yield from _taken(table.select(names), numbers)

    return Spool(schema, batches())


def asked(sql: str, rows: pa.Table, cancellation: Cancellation) -> pa.Table:
    """What DuckDB answers about `rows`. InvalidRequest (invalid_sql)."""
    with trees.connection() as connection:
        connection.register("rows", _readable(rows))
        try:
            with cancellation.interrupting(connection.interrupt):
                return connection.execute(sql).to_arrow_table()
        except duckdb.Error as error:
            raise InvalidRequest(_told(error), code=ErrorCode.INVALID_SQL) from error


def _told(error: duckdb.Error) -> str:
    """What is wrong with SQL; of what is wrong with a row, the kind alone: the rest quotes it."""
    line = str(error).splitlines()[0]
    if isinstance(error, _OF_SQL):
        return line
    return f"{line.partition(':')[0]}: a value is none that this can be computed of."


def _readable(rows: pa.Table) -> pa.Table:
    """The rows with floating-point numbers of 16 bits as wider ones, which DuckDB reads."""
    for at, name in enumerate(rows.column_names):
        widened = _widened(rows.column(at).type)
        if widened.convert is not None:
            chunks = [widened(chunk) for chunk in rows.column(at).chunks]
            rows = rows.set_column(at, name, pa.chunked_array(chunks, widened.type))
    return rows


def _widened(kind: pa.DataType) -> Step:
    if pa.types.is_float16(kind):
        return Step(pa.float32(), lambda array: array.cast(pa.float32()))
    return nested_step(kind, _widened)


def _parts(rows: Spool, request: Mapping[str, Any]) -> Iterator[pa.Table]:
    """The rows as they are judged: all at once where one of them depends on the others."""
    reader = rows.rows()
    if request["order_by"] is None and request["limit"] is None and not request["offset"]:
        yield from (pa.Table.from_batches([batch]) for batch in reader)
    else:
        yield reader.read_all()


def _numbers(
    table: pa.Table, used: Sequence[str], request: Mapping[str, Any], cancellation: Cancellation
) -> pa.ChunkedArray:
    numbered = table.select(list(used)).append_column(_NUMBER, pa.array(range(table.num_rows)))
    limit = "" if request["limit"] is None else f"LIMIT {int(request['limit'])}"
    sql = (
        f"SELECT {quoted(_NUMBER)} FROM rows WHERE ({request['filter'] or 'true'}) "
        f"ORDER BY {request['order_by'] or quoted(_NUMBER)} {limit} OFFSET {int(request['offset'])}"
    )
    return asked(sql, numbered, cancellation).column(0)


def _taken(table: pa.Table, numbers: pa.ChunkedArray) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(numbers), ROWS_EACH):
        yield from table.take(numbers.slice(start, ROWS_EACH)).to_batches()


def _names(node: Any) -> Iterator[str]:
    """Every part of every name of a column in a parse tree of DuckDB's."""
    if isinstance(node, dict):
        if node.get("class") == "COLUMN_REF":
            yield from node["column_names"]
        for value in node.values():
            yield from _names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _names(value)
