"""Rows of a table, view or snapshot: read by one of two lanes, then chosen and put in order.

PostgreSQL leaves out what it can judge, and DuckDB sees to the rest.

Both lanes give the same rows. The fast one lets Pixeltable plan the query and runs the plan's SQL
by ADBC, which is some forty times as fast; the plain one is Pixeltable's own cursor, for what no
SQL computes and for releases that were not tried.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from types import MappingProxyType
from typing import Any

import pixeltable as pxt
import pyarrow as pa
import sqlalchemy as sa
from pixeltable.catalog.table_metadata import TableMetadata

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import conditions, fast, selection
from flight_server.engines.pixeltable.worker.columns import (
    Column,
    array_of,
    columns_of,
    metadata_of_all,
)
from flight_server.engines.pixeltable.worker.conditions import Share
from flight_server.engines.pixeltable.worker.files import Filled
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.outgoing import Outgoing
from flight_server.engines.pixeltable.worker.own_tables import transaction
from flight_server.engines.pixeltable.worker.references import ID, check_ids, expression, judged
from flight_server.engines.pixeltable.worker.spools import Spool
from flight_server.errors import ErrorCode, InvalidRequest, Unsupported, did_you_mean

ROWS_EACH = 4096

log = logging.getLogger(__name__)


def scan(home: Home, arguments: Mapping[str, Any], cancellation: Cancellation) -> Spool | Filled:
    """The rows asked for, whole; where media are to be bytes, all but these."""
    table = opened(arguments)
    named = {part: arguments[part] for part in ("namespace", "name", "version")}
    told = home.known("metadata", named, table.get_metadata)
    rows = _scanned(home, table, told, arguments, cancellation)
    rows.schema = rows.schema.with_metadata(metadata_of_all(told))
    media = arguments["media"]
    return rows if media is None else Filled(rows, str(told["id"]), media)


def _scanned(
    home: Home,
    table: pxt.Table,
    told: TableMetadata,
    arguments: Mapping[str, Any],
    cancellation: Cancellation,
) -> Spool:
    every = columns_of(table, told)
    wanted = chosen(every, arguments["columns"])
    if arguments["with_row_id"]:
        check_ids(table)
        wanted.append(ID)
    may_mean = judged(table, every)
    condition, order = arguments["filter"], arguments["order_by"]
    share = conditions.share_of(
        table,
        may_mean,
        conditions.stored(told),
        filter_=condition,
        order_by=order,
        limit=arguments["limit"],
        offset=arguments["offset"],
    )
    if condition is None and order is None:
        return read(home, table, wanted, share, cancellation, arguments["lane"])
    used = selection.columns_used(condition, order, may_mean)
    needed = [column for column in (*may_mean, ID) if column in wanted or column in used]
    with closing(read(home, table, needed, share, cancellation, arguments["lane"])) as rows:
        names = [column.name for column in wanted]
        rest = arguments if share.limit is None else {**arguments, "offset": 0}
        return selection.selected(rows, names, used, rest, cancellation)


def chosen(every: Sequence[Column], names: Sequence[str] | None) -> list[Column]:
    """The columns of these names, found without regard to case. InvalidRequest."""
    if names is None:
        return list(every)
    known = {column.name.lower(): column for column in every}
    for name in names:
        if name.lower() not in known:
            raise InvalidRequest(
                f"There is no column '{name}'.{did_you_mean(name.lower(), known)}",
                code=ErrorCode.COLUMN_NOT_FOUND,
            )
    return [known[name.lower()] for name in names]


def read(
    home: Home,
    table: pxt.Table,
    columns: Sequence[Column],
    share: Share,
    cancellation: Cancellation,
    lane: str | None = None,
) -> Spool:
    """These columns of the rows that are left once PostgreSQL has done its share.

    `lane` is `fast` or `plain` where one of them is to be tried, None for the best that can.
    """
    return rows_of(home, share.of(query_of(table, columns)), columns, cancellation, lane)


def rows_of(
    home: Home,
    query: pxt.Query,
    columns: Sequence[Column],
    cancellation: Cancellation,
    lane: str | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Spool:
    """The rows of a query that `query_of` began, for these columns.

    It is run under `settings` of PostgreSQL.
    """
    schema = pa.schema([column.field for column in columns])
    if lane == "fast" or (lane is None and not home.distrust):
        try:
            return fast.read(home, query, columns, schema, cancellation, settings)
        except fast.Unfit as unfit:
            if lane == "fast":
                raise Unsupported(f"The fast lane cannot read this: {unfit}.") from unfit
            log.debug("a query is read by Pixeltable's cursor: %s", unfit)
    for name, value in settings.items():
        transaction().execute(sa.text(f"SET LOCAL {name} = '{value}'"))
    return Spool(schema, _by_cursor(query, columns, cancellation))


def query_of(table: pxt.Table, columns: Sequence[Column], *more: Any) -> pxt.Query:
    """A query for these columns of all rows, and for more expressions behind them."""
    wanted = [*(expression(table, column) for column in columns), *more]
    return table.select(**{_key(at): one for at, one in enumerate(wanted)})


def _key(at: int) -> str:
    """What a column is called in the query: columns may have names that are no keywords."""
    return f"c{at}"


def _by_cursor(
    query: pxt.Query, columns: Sequence[Column], cancellation: Cancellation
) -> Iterator[pa.RecordBatch]:
    outgoing = Outgoing(columns)
    with query.cursor() as cursor:
        waiting: list[Any] = []
        for row in cursor:
            waiting.append(row)
            if len(waiting) == ROWS_EACH:
                cancellation.check()
                yield from _batches(waiting, columns, outgoing)
                waiting = []
        if waiting:
            yield from _batches(waiting, columns, outgoing)


def _batches(
    rows: Sequence[Any], columns: Sequence[Column], outgoing: Outgoing
) -> list[pa.RecordBatch]:
    return outgoing.batches(
        [array_of(column, [row[_key(at)] for row in rows]) for at, column in enumerate(columns)]
    )
