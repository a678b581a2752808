"""Tables that are altered: columns that hold what is written to them, and comments."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pixeltable as pxt
import pixeltable.exceptions as theirs
import pyarrow as pa

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import making, names
from flight_server.engines.pixeltable.worker.columns import Column, columns_of
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.reading import chosen
from flight_server.errors import AlreadyExists, Conflict, ErrorCode, InvalidRequest, Unsupported


def alter_table(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """All changes in their order, or none: each is one that `engine` writes."""
    table = opened({**arguments, "version": None})
    if table.get_metadata()["is_snapshot"]:
        raise Unsupported("A snapshot stays as it is, and is only renamed.")
    changes = arguments["changes"]
    added = [change["add"] for change in changes if "add" in change]
    if not added:
        home.write(table, lambda: _changed(table, changes))
    elif len(added) == len(changes):
        _add(home, table, pa.schema([_field(text) for text in added]))
    else:
        raise Unsupported(
            "Pixeltable adds columns in a transaction of their own: send other changes apart."
        )
    return {"snapshot": table.get_metadata()["version"]}


def _add(home: Home, table: pxt.Table, schema: pa.Schema) -> None:
    known = set(table.columns())
    for field in schema:
        names.check_new(field.name, "column")
        if field.name.lower() in known:
            raise AlreadyExists(f"There is a column '{field.name}' already.")
        if not field.nullable and table.count():
            raise InvalidRequest(
                f"The column '{field.name}' must allow nulls: the rows that are there hold none.",
                code=ErrorCode.INVALID_DATA,
            )
    with home.turn(table):
        table.add_columns({field.name: making.column_of(field) for field in schema})


def _changed(table: pxt.Table, changes: list[dict[str, Any]]) -> None:
    for change in changes:
        ((kind, given),) = change.items()
        if kind == "comment":
            # Pixeltable has no public name for it.
            table._tbl_version.get().set_comment(given or None)
            continue
        name, *more = given
        column = _own(table, name)
        match kind:
            case "drop":
                _drop(table, column.name)
            case "rename":
                names.check_new(more[0], "column")
                table.rename_column(column.name, more[0])
            case "allow_nulls":
                table.alter_column(column.name, type_=column.type.copy(nullable=True))


def _own(table: pxt.Table, name: str) -> Column:
    """A column that the table itself has, and not the one that it is made of."""
    told = table.get_metadata()
    (column,) = chosen(columns_of(table, told), [name])
    if told["columns"][column.name]["defined_in"] != told["name"]:
        raise InvalidRequest(f"The column '{column.name}' is the base's: alter it there.")
    return column


def _drop(table: pxt.Table, name: str) -> None:
    told = table.get_metadata()
    this = (told["name"], name)
    if used := [one for one, of in told["columns"].items() if this in (of["depends_on"] or ())]:
        raise Conflict(f"'{used[0]}' is computed of the column '{name}': drop that first.")
    try:
        table.drop_column(name)
    except theirs.RequestError as error:
        if "depend on it" not in str(error):
            raise
        # It names views, which not everybody may know of.
        raise Conflict(f"A view that is made of it needs the column '{name}'.") from error


def _field(text: str) -> pa.Field:
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text))).field(0)
