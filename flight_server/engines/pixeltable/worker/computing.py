"""Computed columns: made, changed and dropped, computed anew, and what went wrong in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pixeltable as pxt
import pixeltable.exceptions as theirs
from pixeltable.catalog.update_status import UpdateStatus
from pixeltable.exprs import Expr, Literal, RowidRef, TypeCast

from flight_server.arrow_types import write_type
from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import failures
from flight_server.engines.pixeltable.worker.changing import found
from flight_server.engines.pixeltable.worker.columns import Column, columns_of
from flight_server.engines.pixeltable.worker.expressions import compiled
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.names import check_new
from flight_server.errors import (
    AlreadyExists,
    Conflict,
    ErrorCode,
    InvalidRequest,
    PixelflightError,
    Unsupported,
)
from flight_server.model import ROW_ID

# What calls of Pixeltable take beside the name of one column, which is a keyword as well.
_KEYWORDS = frozenset(
    {
        *("stored", "destination", "custom_metadata", "comment", "print_stats", "on_error"),
        *("if_exists", "recompute", "cascade"),
    }
)


def listed(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Every computed column, with how many of its cells hold an error."""
    table = opened({**arguments, "version": None})
    told = table.get_metadata()
    columns = [one for one in columns_of(table, told) if one.is_computed]
    return {"columns": [_told(table, told, one) for one in columns]}


def add(home: Home, arguments: Mapping[str, Any], cancellation: Cancellation) -> Mapping[str, Any]:
    """A new column, computed for the rows that are there. Errors end it, or are kept in cells.

    Where it is not to be computed yet, its cells are null until they are computed anew.
    """
    table = _mutable(arguments)
    name = _new_name(table, arguments["column"])
    made = _expression(home, table, arguments)
    is_later = not arguments["is_computed"]
    if is_later and arguments["stored"] is False:
        raise InvalidRequest("Values that are not kept are computed whenever they are read.")
    first = made
    if is_later:
        # The column keeps the type that it has while its cells are null.
        kind = made.col_type.copy(nullable=True)
        made = made if made.col_type.nullable else TypeCast(made, kind)
        first = Literal(None, kind)

    def act() -> Mapping[str, Any]:
        status = table.add_computed_column(
            stored=True if is_later else arguments["stored"],
            comment=arguments["comment"],
            on_error=arguments["on_error"],
            **{name: first},
        )
        if is_later:
            status = table.alter_computed_column(recompute=False, **{name: made})
        # Cells may hold nothing but that the request was taken back.
        cancellation.check(surely=True)
        return _commit(table, status)

    with _refused(InvalidRequest):
        return home.write(table, act)


def change(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Another expression of the same type, another name, or both."""
    table = _mutable(arguments)
    name = _computed(table, arguments["column"]).name
    to, given = arguments["to"], arguments["expression"]
    made = None if given is None else _expression(home, table, arguments)
    new = None if to is None or to.lower() == name else _new_name(table, to)

    def act() -> Mapping[str, Any]:
        status = UpdateStatus()
        if made is not None:
            if name in _KEYWORDS:
                raise Unsupported(f"Pixeltable alters no column that is called '{name}'.")
            status = table.alter_computed_column(**{name: made})
        if new is not None:
            table.rename_column(name, new)
        return _commit(table, status)

    with _refused(InvalidRequest):
        return home.write(table, act)


def drop(home: Home, arguments: Mapping[str, Any], cancellation: Cancellation) -> Mapping[str, Any]:
    """A computed column that no other one is computed of."""
    table = _mutable(arguments)
    name = _computed(table, arguments["column"]).name

    def act() -> Mapping[str, Any]:
        table.drop_column(name)
        return _commit(table, UpdateStatus())

    # Another column is computed of it, or an index is of it.
    with _refused(Conflict):
        return home.write(table, act)


def recompute(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Computes cells anew, with `limit` those of so many rows behind the row `after`.

    The answer says how many rows there are to be done in all, and behind which the rest is.
    """
    table = _mutable(arguments)
    name = _computed(table, arguments["column"], is_stored=True).name
    more = {"errors_only": arguments["errors_only"], "cascade": arguments["cascade"]}
    condition, limit = arguments["where"], arguments["limit"]

    def act() -> Mapping[str, Any]:
        if condition is None and limit is None:
            done = _commit(table, table.recompute_columns(name, **more))
            cancellation.check(surely=True)
            return done | {"rows_total": done["rows"], "after": None}
        ids, total = _ids(home, table, arguments, cancellation)
        some = ids if limit is None else ids[:limit]
        status = UpdateStatus()
        if some:
            where = RowidRef(table._tbl_path.tbl_version, 0).isin(some)
            status = table.recompute_columns(name, where=where, **more)
        cancellation.check(surely=True)
        rest = some[-1] if len(some) < len(ids) else None
        return _commit(table, status) | {"rows_total": total, "after": rest}

    return home.write(table, act)


def errors(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """The cells of a column that hold errors: of which rows by their keys, and what went wrong."""
    table = opened({**arguments, "version": None})
    told = table.get_metadata()
    column = _computed(table, arguments["column"], is_stored=True)
    reference = table[column.name]
    key = told["primary_key"] or []
    shown = {f"k{at}": table[name] for at, name in enumerate(key)}
    query = table.where(reference.errortype != None)  # noqa: E711
    query = query.select(kind=reference.errortype, text=reference.errormsg, **shown)
    rows = query.limit(arguments["limit"]).collect()
    return {
        "errors": [
            {
                "key": {name: _json(row[f"k{at}"]) for at, name in enumerate(key)},
                "errortype": row["kind"],
                "errormsg": failures.first_line(row["text"] or ""),
            }
            for row in rows
        ]
    }


@contextmanager
def _refused(kind: type[PixelflightError]) -> Iterator[None]:
    """Whatever Pixeltable refuses here it calls unsupported, be it a row or the request."""
    try:
        yield
    except theirs.RequestError as error:
        if (told := failures.of_model(error)) is not None:
            raise told from error
        raise kind(f"Pixeltable: {failures.told(error)}") from error


def _ids(
    home: Home, table: pxt.Table, arguments: Mapping[str, Any], cancellation: Cancellation
) -> tuple[list[int], int]:
    """The ids of the rows that are still to be done, in their order, and how many there are."""
    if table._tbl_path.num_rowid_columns() > 1:
        raise Unsupported("Rows of a view that an iterator makes are computed anew all at once.")
    ids = sorted(found(home, table, arguments["where"], {}, cancellation)[ROW_ID].to_pylist())
    after = arguments["after"]
    return [one for one in ids if after is None or one > after], len(ids)


def _expression(home: Home, table: pxt.Table, arguments: Mapping[str, Any]) -> Expr:
    return compiled(arguments["expression"], table, arguments["readable"], home.functions)


def _mutable(arguments: Mapping[str, Any]) -> pxt.Table:
    table = opened({**arguments, "version": None})
    if table.get_metadata()["kind"] == "snapshot":
        raise Unsupported("A snapshot keeps the columns that it has.")
    return table


def _computed(table: pxt.Table, name: str, is_stored: bool = False) -> Column:
    """The computed column of a name. InvalidRequest (column_not_found)."""
    told = table.get_metadata()
    known = {one.name.lower(): one for one in columns_of(table, told) if one.is_computed}
    column = known.get(name.lower())
    if column is None:
        raise InvalidRequest(
            # Of others nothing is said, which may be hidden from who asks.
            f"There is no computed column '{name[:100]}'.",
            code=ErrorCode.COLUMN_NOT_FOUND,
        )
    if is_stored and not told["columns"][column.name]["is_stored"]:
        raise Unsupported(f"The column '{column.name}' is computed whenever it is read.")
    return column


def _new_name(table: pxt.Table, name: str) -> str:
    check_new(name, "column")
    if name.lower() in _KEYWORDS:
        raise InvalidRequest(
            f"A computed column cannot be called '{name}'.", code=ErrorCode.INVALID_NAME
        )
    if name.lower() in table.get_metadata()["columns"]:
        raise AlreadyExists(f"There is a column '{name}' already.")
    return name.lower()


def _told(table: pxt.Table, told: Any, column: Column) -> dict[str, Any]:
    is_stored = told["columns"][column.name]["is_stored"]
    count = None
    if is_stored:
        count = table.where(table[column.name].errortype != None).count()  # noqa: E711
    return {
        "name": column.name,
        "expression": told["columns"][column.name]["computed_with"],
        "type": repr(column.type).removesuffix(" | None"),
        "arrow": write_type(column.field.type),
        "stored": is_stored,
        "comment": told["columns"][column.name]["comment"] or "",
        "errors": count,
    }


def _commit(table: pxt.Table, status: UpdateStatus) -> dict[str, Any]:
    stats = status.row_count_stats
    return {
        "snapshot": table.get_metadata()["version"],
        "rows": stats.upd_rows or stats.ins_rows,
        "errors": status.num_excs,
    }


def _json(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
