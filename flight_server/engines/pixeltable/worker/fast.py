"""The fast lane: Pixeltable plans a query, and the plan's SQL is run over ADBC.

The two see one state: Pixeltable's transaction exports its snapshot of the database, and ADBC's
imports it. Both are over before the first row is sent to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import pixeltable as pxt
import pyarrow as pa
import sqlalchemy as sa
from pixeltable import exec as nodes
from pixeltable.runtime import get_runtime
from sqlalchemy.dialects import postgresql

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker.cells import Unfit, converted
from flight_server.engines.pixeltable.worker.columns import Column
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.outgoing import Outgoing
from flight_server.engines.pixeltable.worker.own_tables import transaction
from flight_server.engines.pixeltable.worker.spools import Spool

__all__ = ["Unfit", "read"]

# Nodes above the SQL that put cells together, which is done here as well, or fetch media, of which
# nobody asks more than the URL.
_ASSEMBLING = ("CellReconstructionNode", "CachePrefetchNode")

# Makes another statement of a plan's, with so many columns before those that it had.
Refine = Callable[[sa.Select[Any]], tuple[sa.Select[Any] | sa.CompoundSelect[Any], int]]


class Place(NamedTuple):
    """Where a column stands in the rows of the SQL, and what is told of its cells."""

    value: int
    cells: int | None


def read(
    home: Home,
    query: pxt.Query,
    columns: Sequence[Column],
    schema: pa.Schema,
    cancellation: Cancellation,
    settings: Mapping[str, str] = MappingProxyType({}),
    refine: Refine = lambda statement: (statement, 0),
) -> Spool:
    """The rows of a query, under settings of PostgreSQL.

    `columns` begin with those that `refine` puts before. Unfit where it is no SQL alone, or has
    cells of an unknown kind.
    """
    targets = {"read_tvps": query._from_clause.tvps, "read_tbl_ids": query.referenced_tbl_ids()}
    with get_runtime().catalog.begin_xact(for_write=False, **targets):
        sql, places = _planned(query, refine)
        with _snapshot(home, settings) as cursor, cancellation.interrupting(cursor.adbc_cancel):
            cursor.execute(sql)
            reader = cursor.fetch_record_batch()
            return Spool(schema, _batches(reader, columns, places))


def _batches(
    reader: pa.RecordBatchReader,
    columns: Sequence[Column],
    places: Sequence[Place],
) -> Iterator[pa.RecordBatch]:
    outgoing = Outgoing(columns)
    for batch in reader:
        arrays = [
            converted(
                column,
                batch.column(place.value),
                None if place.cells is None else batch.column(place.cells),
            )
            for column, place in zip(columns, places, strict=True)
        ]
        yield from outgoing.batches(arrays)


def _planned(query: pxt.Query, refine: Refine) -> tuple[str, list[Place]]:
    """The SQL of a query's plan, and where the expressions of its SELECT stand in it."""
    plan = query._create_query_plan()
    node = plan.exec_root
    while type(node).__name__ in _ASSEMBLING:
        node = node.input
    if not isinstance(node, nodes.SqlNode) or node.input is not None:
        raise Unfit(f"its plan has a {type(node).__name__}")
    statement, before = refine(node._create_stmt())
    found = {expression.id: at for at, expression in enumerate(node.sql_select_list_exprs)}
    cells = {ref.col_ref.id: at for ref, at in node.cellmd_item_idxs.items()}
    try:
        given = [Place(found[one.id], cells.get(one.id)) for one in plan.select_list_exprs]
    except KeyError as error:
        raise Unfit("an expression is no column of its SQL") from error
    places = [Place(at, None) for at in range(before)]
    places += [
        Place(value + before, None if told is None else told + before) for value, told in given
    ]
    # Another style of parameters would write each % twice.
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return str(compiled), places


@contextmanager
def _snapshot(home: Home, settings: Mapping[str, str]) -> Iterator[Any]:
    """A cursor of ADBC that sees what Pixeltable's open transaction does."""
    snapshot = transaction().execute(sa.text("SELECT pg_export_snapshot()")).scalar_one()
    try:
        with home.adbc().cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            for name, value in settings.items():
                cursor.execute(f"SET LOCAL {name} = '{value}'")
            yield cursor
            cursor.execute("COMMIT")
    except BaseException:
        home.forget_adbc()
        raise
