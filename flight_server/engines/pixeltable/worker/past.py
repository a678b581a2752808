"""What tables were: their versions, and the rows that came and went between two of them.

Pixeltable keeps every state of a row, with the versions in which it came and went: `v_min` and
`v_max`. An update is a state that goes and another that comes, of the same row in one version.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pixeltable as pxt
import pyarrow as pa
import sqlalchemy as sa
from pixeltable import type_system as types
from pixeltable.catalog.update_status import RowCountStats
from pixeltable.metadata.schema import VersionMd
from pixeltable.runtime import get_runtime

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import authors, conditions, fast, selection
from flight_server.engines.pixeltable.worker.columns import Column, Shape, columns_of
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.reading import query_of
from flight_server.engines.pixeltable.worker.references import ID, check_ids
from flight_server.engines.pixeltable.worker.spools import Spool
from flight_server.errors import Unsupported
from flight_server.model import CHANGE_COLUMNS, ROW_ID, Images

_FED = [Column(field, Shape.PLAIN, types.IntType()) for field in CHANGE_COLUMNS]
_COUNTED = (("ins_rows", "inserted"), ("upd_rows", "updated"), ("del_rows", "deleted"))


def versions(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """The versions of a table, newest first: when, what, how many rows, and by whom."""
    table = opened({**arguments, "version": None})
    told = table.get_metadata()
    if told["kind"] == "snapshot":
        moment = told["version_created"].timestamp()
        return {"versions": [_listed(told["version"], moment, ["created"], None, ("", ""))]}
    catalog = get_runtime().catalog
    with catalog.begin_xact(for_write=False, read_tvps=[table._tbl_path]):
        kept = catalog.collect_tbl_history(told["id"], arguments["limit"])
        by_whom = authors.known(told["id"])
    altered = {
        one["version"]
        for one in table.get_versions(arguments["limit"])
        if one["schema_change"] is not None
    }
    found = []
    for one in (one.version_md for one in kept):
        did, count = _done(one, one.version in altered)
        # Pixeltable writes the maker of the table into every later version.
        maker = (one.user or "" if one.version == 0 else "", "")
        who = by_whom.get((one.version, one.created_at), maker)
        found.append(_listed(one.version, one.created_at, did, count, who))
    return {"versions": found}


def changes(home: Home, arguments: Mapping[str, Any], cancellation: Cancellation) -> Spool:
    """Each row that came or went after a version up to another, in the order of the versions."""
    told = opened({**arguments, "version": None}).get_metadata()
    if told["kind"] != "table":
        raise Unsupported(
            f"Changes are told of tables, and this is a {told['kind']}: compare two versions."
        )
    until = told["version"] if arguments["until"] is None else arguments["until"]
    table = opened({**arguments, "version": until})
    opened({**arguments, "version": arguments["after"]})
    check_ids(table)
    columns = [_nullable(column) for column in _kept(table)]
    window = (arguments["after"], until)

    def fed(statement: sa.Select[Any]) -> tuple[sa.CompoundSelect[Any], int]:
        # Of the states of rows none is left out here: those of `until` are not all.
        store = table._tbl_path.tbl_version.get().store_tbl.sa_tbl
        return _feed(statement, store, *window, Images(arguments["images"])), len(_FED)

    return _read(home, table, columns, cancellation, fed, _FED)


def diff(home: Home, arguments: Mapping[str, Any], cancellation: Cancellation) -> Spool:
    """The net difference between two versions, by the ids of rows and the values of columns."""
    after = opened({**arguments, "version": arguments["newer"]})
    before = opened({**arguments, "version": arguments["older"]})
    check_ids(after)
    columns = _kept(after)
    was = _before(before, after, columns)
    shared = [column.name for column in columns if column.name in was]
    older, newer = arguments["older"], arguments["newer"]
    with (
        closing(
            _states(home, before, [*was.values()], lambda of: of.v_max_col <= newer, cancellation)
        ) as went,
        closing(
            _states(home, after, columns, lambda of: of.v_min_col > older, cancellation)
        ) as came,
    ):
        old, new = went.rows().read_all(), came.rows().read_all()
    old = old.rename_columns([*was, ROW_ID])
    fields = [
        column.field if column.name in was else column.field.with_nullable(True)
        for column in columns
    ]
    schema = pa.schema([*fields, ID.field])
    arrays = [
        old.column(field.name) if field.name in old.schema.names else _nulls(old, field)
        for field in schema
    ]
    both = pa.concat_tables([pa.table(arrays, schema=schema), new.cast(schema)])
    told = selection.asked(
        _differing(shared), _comparable(both, shared, old.num_rows), cancellation
    )
    rows = both.take(told.column("number"))
    wanted = pa.schema([CHANGE_COLUMNS[2], ID.field, *fields])
    columned = [told.column("kind"), rows.column(ROW_ID), *(rows.column(f.name) for f in fields)]
    return Spool(wanted, pa.table(columned, schema=wanted).to_batches(selection.ROWS_EACH))


def _done(version: VersionMd, is_altered: bool) -> tuple[list[str], int | None]:
    """What a version did, and to how many rows."""
    status = version.update_status
    counts = RowCountStats() if status is None else status.row_count_stats
    did = [verb for name, verb in _COUNTED if getattr(counts, name)]
    count = counts.ins_rows + counts.upd_rows + counts.del_rows
    if version.version == 0:
        return ["created", *did], count
    # The values of a column that is added are filled in: no row becomes another one.
    return (["altered"], None) if is_altered or not did else (did, count)


def _listed(
    version: int, moment: float, did: list[str], rows: int | None, who: tuple[str, str]
) -> Mapping[str, Any]:
    author, reason = who
    return {
        "snapshot": version,
        "committed_at": dt.datetime.fromtimestamp(moment, dt.UTC).isoformat(),
        "changes": did,
        "author": author,
        "reason": reason,
        "rows": rows,
    }


def _kept(table: pxt.Table) -> list[Column]:
    """The columns whose values are kept, and not computed whenever they are read."""
    told = table.get_metadata()
    stored = conditions.stored(told)
    return [column for column in columns_of(table, told) if column.name in stored]


def _read(
    home: Home,
    table: pxt.Table,
    columns: Sequence[Column],
    cancellation: Cancellation,
    refine: fast.Refine,
    first: Sequence[Column] = (),
) -> Spool:
    if home.distrust:
        raise Unsupported(f"What was is not compared here: {home.distrust}.")
    schema = pa.schema([column.field for column in (*first, *columns)])
    query = query_of(table, columns)
    try:
        return fast.read(home, query, [*first, *columns], schema, cancellation, refine=refine)
    except fast.Unfit as unfit:
        raise Unsupported(f"The rows of this version cannot be compared: {unfit}.") from unfit


def _states(
    home: Home,
    table: pxt.Table,
    columns: Sequence[Column],
    differs: Callable[[Any], Any],
    cancellation: Cancellation,
) -> Spool:
    """The rows of a version; of a table those alone of which its store says that they differ."""

    def refine(statement: sa.Select[Any]) -> tuple[sa.Select[Any], int]:
        if _is_view(table):
            return statement, 0
        return statement.where(differs(table._tbl_path.tbl_version.get().store_tbl)), 0

    return _read(home, table, [*columns, ID], cancellation, refine)


def _is_view(table: pxt.Table) -> bool:
    """Whether rows may be others though those that are kept of it are the same: of its base."""
    return table._tbl_path.base is not None


def _before(before: pxt.Table, after: pxt.Table, columns: Sequence[Column]) -> dict[str, Column]:
    """Which column of the older version each of the newer one was, where it is of the same type."""
    old = {_identity(before, column.name): column for column in _kept(before)}
    found = {column.name: old.get(_identity(after, column.name)) for column in columns}
    types_now = {column.name: column.field.type for column in columns}
    return {
        name: column
        for name, column in found.items()
        if column is not None and column.field.type == types_now[name]
    }


def _identity(table: pxt.Table, name: str) -> Any:
    told = table._tbl_path.get_column_md_by_name(name)
    assert told is not None, "it is one of the table's columns"
    return told.qcolid


def _nullable(column: Column) -> Column:
    return replace(column, field=column.field.with_nullable(True))


def _nulls(rows: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(rows.num_rows, field.type)])


def _comparable(both: pa.Table, shared: Sequence[str], old: int) -> pa.Table:
    """The values as DuckDB compares them, with the number of each row and whether it is new."""
    columns = {f"c{at}": _storage(both.column(name)) for at, name in enumerate(shared)}
    numbers = range(both.num_rows)
    return pa.table(
        {
            "number": pa.array(numbers, pa.int64()),
            "id": both.column(ROW_ID),
            "is_new": pa.array([number >= old for number in numbers], pa.bool_()),
            **columns,
        }
    )


def _storage(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)


def _differing(shared: Sequence[str]) -> str:
    """The SELECT of the rows that differ, and how: by ids, an update's older state before."""
    old, new = (
        ", ".join([f"{side}.id", *(f"{side}.c{at}" for at in range(len(shared)))])
        for side in ("o", "n")
    )
    return (
        "WITH pairs AS (SELECT coalesce(o.id, n.id) AS id, o.number AS old, n.number AS new, "
        f"row({old}) IS DISTINCT FROM row({new}) AS differs "
        "FROM (FROM rows WHERE NOT is_new) AS o FULL JOIN (FROM rows WHERE is_new) AS n "
        "ON o.id = n.id) "
        "SELECT number, kind FROM ("
        "SELECT id, new AS number, 'insert' AS kind FROM pairs WHERE old IS NULL UNION ALL "
        "SELECT id, old, 'delete' FROM pairs WHERE new IS NULL UNION ALL "
        "SELECT id, old, 'update_preimage' FROM pairs WHERE differs AND old + new IS NOT NULL "
        "UNION ALL "
        "SELECT id, new, 'update_postimage' FROM pairs WHERE differs AND old + new IS NOT NULL"
        ") ORDER BY id, kind DESC"
    )


def _feed(
    statement: sa.Select[Any], store: sa.Table, after: int, until: int, images: Images
) -> sa.CompoundSelect[Any]:
    """The SELECT of the states that came and went, with when and how before their columns."""
    mine, other = store.c, store.alias("other").c
    same = other.rowid == mine.rowid
    replaces = sa.exists().where(same, other.v_max == mine.v_min)
    is_replaced = sa.exists().where(same, other.v_min == mine.v_max)
    came = _told(statement, mine.v_min, mine.rowid, replaces, "update_postimage", "insert").where(
        mine.v_min > after, mine.v_min <= until
    )
    went = _told(statement, mine.v_max, mine.rowid, is_replaced, "update_preimage", "delete").where(
        mine.v_max > after, mine.v_max <= until
    )
    if images is Images.AFTER:
        went = went.where(~is_replaced)
    # Before an after-image of the same row stands its before-image: 'pre' sorts behind 'post'.
    return sa.union_all(came, went).order_by(*map(sa.literal_column, ("1", "2", "3 DESC")))


def _told(
    statement: sa.Select[Any], moment: Any, row: Any, is_both: Any, both: str, alone: str
) -> sa.Select[Any]:
    kind = sa.case((is_both, sa.literal(both)), else_=sa.literal(alone))
    return sa.select(moment, row, kind, *statement.inner_columns)
