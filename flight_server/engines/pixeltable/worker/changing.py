"""Rows that are changed or deleted where a filter holds.

Which rows these are, and what they become, DuckDB says over the columns that are named, in the
very transaction that writes: filters and values mean what they mean everywhere in SQL, and nobody
writes between the two. PostgreSQL leaves out what it can judge.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import pixeltable as pxt
import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import conditions, fast, selection
from flight_server.engines.pixeltable.worker.columns import Column, columns_of
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.reading import chosen, query_of
from flight_server.engines.pixeltable.worker.references import ID, expression, judged
from flight_server.engines.pixeltable.worker.values import matched, rows_of
from flight_server.errors import InvalidRequest, Unsupported
from flight_server.model import ROW_ID, quoted

# Ids that stand in one condition, rows that are handed over at once.
IDS_EACH, ROWS_EACH = 10_000, 20_000


def delete(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Deletes the rows where the filter holds, all without one."""
    table = changed(arguments)
    condition = arguments["filter"]

    def act() -> Mapping[str, Any]:
        told = table.get_metadata()
        may_mean = judged(table, columns_of(table, told))
        where = condition and conditions.whole(table, may_mean, conditions.stored(told), condition)
        if condition is None or where is not None:
            # However many rows these are, it is one version.
            count = table.delete(where=where).row_count_stats.del_rows
        else:
            rows = found(home, table, condition, {}, cancellation)
            ids = rows.column(ROW_ID).to_pylist()
            count = sum(
                _delete(table, ids[at : at + IDS_EACH]) for at in range(0, len(ids), IDS_EACH)
            )
        return _commit(table, count, "rows_deleted")

    return home.write(table, act, arguments)


def update(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Sets columns to values, and to SQL expressions over the old ones, where the filter holds."""
    table = changed(arguments)
    told = table.get_metadata()
    every = columns_of(table, told)
    fixed = _given(every, arguments)
    assigned = _assigned(every, arguments["assignments"], fixed)
    # Pixeltable changes no key: one that is given has to be that of the row.
    key = [name for name in told["primary_key"] or [] if name in fixed]
    asked = assigned | {name: quoted(name) for name in key}

    def act() -> Mapping[str, Any]:
        whole = found(home, table, arguments["filter"], asked, cancellation)
        columns = _set(every, whole.drop([ROW_ID]).schema)
        for batch in whole.to_batches(ROWS_EACH):
            cancellation.check()
            ids = batch.column(ROW_ID).to_pylist()
            values = batch.drop_columns([ROW_ID])
            rows = (
                rows_of(values, columns, arguments["media"], is_assigned=True)
                if columns
                else [{}] * len(ids)
            )
            changes = [_change(row, fixed, key) for row in rows]
            table.batch_update(
                [{"_rowid": (id_,), **row} for id_, row in zip(ids, changes, strict=True)]
            )
        return _commit(table, whole.num_rows, "rows_updated")

    return home.write(table, act, arguments)


def _given(every: Sequence[Column], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The values that columns are set to, whatever they were. InvalidRequest."""
    with pa.ipc.open_stream(base64.b64decode(arguments["values"])) as stream:
        [row] = list(stream)
    if not row.num_columns:
        return {}
    [values] = rows_of(row, _set(every, row.schema), arguments["media"], is_assigned=True)
    return values


def _set(every: Sequence[Column], schema: pa.Schema) -> list[Column]:
    return matched(every, schema, is_whole=False)


def _change(row: dict[str, Any], fixed: dict[str, Any], key: Sequence[str]) -> dict[str, Any]:
    if any(row[name] != fixed[name] for name in key):
        raise InvalidRequest("The key of a row cannot be changed: delete it, and insert another.")
    return {name: value for name, value in (row | fixed).items() if name not in key}


def changed(arguments: Mapping[str, Any]) -> pxt.Table:
    """The table of a request that changes its rows. Unsupported where it is none."""
    table = opened({**arguments, "version": None})
    if (kind := table.get_metadata()["kind"]) != "table":
        raise Unsupported(f"Rows are written to tables, and this is a {kind}.")
    return table


def _assigned(
    every: Sequence[Column], assignments: Mapping[str, str], fixed: Mapping[str, Any]
) -> dict[str, str]:
    """The expressions by the columns' true names. InvalidRequest."""
    if not assignments and not fixed:
        raise InvalidRequest("An update sets one column at least: it names none.")
    chosen(every, list(assignments))
    schema = pa.schema([pa.field(name, pa.null()) for name in assignments])
    columns = _set(every, schema)
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
    may_mean = judged(table, every)
    wanted = [*selection.columns_used(f"({') AND ('.join(texts)})", None, may_mean), ID]
    share = conditions.share_of(table, may_mean, conditions.stored(told), filter_=condition)
    query = share.of(query_of(table, wanted))
    schema = pa.schema([column.field for column in wanted])
    try:
        spool = fast.read(home, query, wanted, schema, cancellation)
    except fast.Unfit as unfit:
        raise Unsupported(f"Rows cannot be found by this: {unfit}.") from unfit
    with closing(spool):
        rows = spool.rows().read_all()
    values = "".join(f", ({sql}) AS {quoted(name)}" for name, sql in assigned.items())
    sql = f"SELECT {ROW_ID}{values} FROM rows WHERE ({condition or 'true'})"
    return selection.asked(sql, rows, cancellation)


def _delete(table: pxt.Table, ids: Sequence[int]) -> int:
    where = expression(table, ID).isin(ids)
    return int(table.delete(where=where).row_count_stats.del_rows)


def _commit(table: pxt.Table, count: int, kind: str) -> Mapping[str, Any]:
    return {"snapshot": table.get_metadata()["version"], "rows": count, kind: count}
