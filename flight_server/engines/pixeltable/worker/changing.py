"""Rows that are changed or deleted where a filter holds.

Which rows these are, and what they become, DuckDB says over the columns that are named, in the
very transaction that writes: filters and values mean what they mean everywhere in SQL, and nobody
writes between the two. PostgreSQL leaves out what it can judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import pixeltable as pxt
import pyarrow as pa
from pixeltable import type_system as types
from pixeltable.exprs import RowidRef

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import conditions, fast, selection
from flight_server.engines.pixeltable.worker.columns import Column, Shape, columns_of
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.reading import chosen, query_of
from flight_server.engines.pixeltable.worker.values import matched, rows_of
from flight_server.errors import InvalidRequest, Unsupported
from flight_server.model import ROW_ID, quoted

# Ids that stand in one condition, rows that are handed over at once.
IDS_EACH, ROWS_EACH = 10_000, 20_000
_ID = Column(pa.field(ROW_ID, pa.int64(), False), Shape.PLAIN, types.IntType())


def delete(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Deletes the rows where the filter holds, all without one."""
    table = changed(arguments)
    condition = arguments["filter"]

    def act() -> Mapping[str, Any]:
        if condition is None:
            count = table.delete().row_count_stats.del_rows
        else:
            rows = found(home, table, condition, {}, cancellation)
            ids = rows.column(ROW_ID).to_pylist()
            count = sum(
                _delete(table, ids[at : at + IDS_EACH]) for at in range(0, len(ids), IDS_EACH)
            )
        return _commit(table, count, "rows_deleted")

    return home.write(table, act)


def update(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Sets columns to SQL expressions over the old values, where the filter holds."""
    table = changed(arguments)
    every = columns_of(table, table.get_metadata())
    assigned = _assigned(every, arguments["assignments"])

    def act() -> Mapping[str, Any]:
        whole = found(home, table, arguments["filter"], assigned, cancellation)
        columns = matched(every, whole.drop([ROW_ID]).schema, is_whole=False)
        for batch in whole.to_batches(ROWS_EACH):
            cancellation.check()
            ids = batch.column(ROW_ID).to_pylist()
            values = rows_of(batch.drop_columns([ROW_ID]), columns, arguments["media"])
            rows = [{"_rowid": (id_,), **row} for id_, row in zip(ids, values, strict=True)]
            table.batch_update(rows)
        return _commit(table, whole.num_rows, "rows_updated")

    return home.write(table, act)


def changed(arguments: Mapping[str, Any]) -> pxt.Table:
    """The table of a request that changes its rows. Unsupported where it is none."""
    table = opened({**arguments, "version": None})
    if (kind := table.get_metadata()["kind"]) != "table":
        raise Unsupported(f"Rows are written to tables, and this is a {kind}.")
    return table


def _assigned(every: Sequence[Column], assignments: Mapping[str, str]) -> dict[str, str]:
    """The expressions by the columns' true names. InvalidRequest."""
    if not assignments:
        raise InvalidRequest("An update sets one column at least: it names none.")
    chosen(every, list(assignments))
    schema = pa.schema([pa.field(name, pa.null()) for name in assignments])
    columns = matched(every, schema, is_whole=False)
    return {column.name: sql for column, sql in zip(columns, assignments.values(), strict=True)}


def found(
    home: Home,
    table: pxt.Table,
    condition: str | None,
    assigned: Mapping[str, str],
    cancellation: Cancellation,
) -> pa.Table:
    """The ids of the rows where the condition holds, and the values that are assigned to them."""
    told = table.get_metadata()
    every = columns_of(table, told)
    texts = [condition or "true", *assigned.values()]
    used = selection.columns_used(f"({') AND ('.join(texts)})", None, every)
    query = query_of(table, used, RowidRef(table._tbl_path.tbl_version, 0))
    query = conditions.share_of(table, every, conditions.stored(told), filter_=condition).of(query)
    schema = pa.schema([column.field for column in (*used, _ID)])
    try:
        spool = fast.read(home, query, [*used, _ID], schema, cancellation)
    except fast.Unfit as unfit:
        raise Unsupported(f"Rows cannot be found by this: {unfit}.") from unfit
    with closing(spool):
        rows = spool.rows().read_all()
    values = "".join(f", ({sql}) AS {quoted(name)}" for name, sql in assigned.items())
    sql = f"SELECT {ROW_ID}{values} FROM rows WHERE ({condition or 'true'})"
    return selection.asked(sql, rows, cancellation)


def _delete(table: pxt.Table, ids: Sequence[int]) -> int:
    where = RowidRef(table._tbl_path.tbl_version, 0).isin(ids)
    return int(table.delete(where=where).row_count_stats.del_rows)


def _commit(table: pxt.Table, count: int, kind: str) -> Mapping[str, Any]:
    return {"snapshot": table.get_metadata()["version"], "rows": count, kind: count}
