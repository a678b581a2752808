"""Rows changed by values instead of expressions, one of them or many.

Values come as Arrow and stay so: no text of SQL is made of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.types as kinds

from flight_server.auth import Action
from flight_server.engines.base import require
from flight_server.engines.soft_deletes import SupportsSoftDelete
from flight_server.engines.sql import SupportsSqlWrites
from flight_server.engines.values import SupportsValues
from flight_server.errors import ErrorCode, NotFound
from flight_server.model import (
    HIDDEN_PREFIX,
    PARAMETER_ROWS,
    Commit,
    Deletion,
    SqlRequest,
    TableRef,
    quoted,
)
from flight_server.operations.rows import checked_delete, checked_update, update
from flight_server.operations.services import Call, Services
from flight_server.operations.versions import whole

_ID = quoted(f"{HIDDEN_PREFIX}_id")


def set_values(
    services: Services,
    call: Call,
    table: TableRef,
    values: pa.RecordBatch,
    expressions: Mapping[str, str],
    filter: str | None,
    all_rows: bool = False,
) -> Commit:
    """Sets columns to the values of one row, and others to expressions; otherwise as `update`."""
    if not values.num_columns:
        return update(services, call, table, expressions, filter, all_rows)
    # Of values the check wants an expression too; it is left out again below.
    asked = {**dict.fromkeys(values.schema.names, "NULL"), **expressions}
    allowed, checked, where = checked_update(services, call, table, asked, filter, all_rows)
    author = call.author("update", allowed.table)
    if isinstance(allowed.engine, SupportsValues):
        kept = {name.lower() for name in values.schema.names}
        texts = {name: text for name, text in checked.items() if name.lower() not in kept}
        return allowed.engine.set_values(
            allowed.table, values, texts, where, author, call.cancellation
        )
    given = {name.lower(): at for at, name in enumerate(values.schema.names)}
    inner, outer = [f"rowid AS {_ID}"], [f"kept.{_ID}"]
    for at, (name, expression) in enumerate(checked.items()):
        if name.lower() in given:
            outer.append(f"given.{_place(given[name.lower()])}")
        else:
            inner.append(f"({expression}) AS {_place(at, 'x')}")
            outer.append(f"kept.{_place(at, 'x')}")
    source = f"SELECT {', '.join(inner)} FROM {allowed.table.sql}"
    source += f" WHERE {where}" if where else ""
    sql = f"SELECT {', '.join(outer)} FROM ({source}) AS kept CROSS JOIN {PARAMETER_ROWS} AS given"
    names = [f"{HIDDEN_PREFIX}_v{at}" for at in range(values.num_columns)]
    rows = pa.Table.from_arrays([_sendable(column) for column in values.columns], names)
    return require(allowed.engine, SupportsSqlWrites).update_rows(
        allowed.table,
        tuple(checked),
        SqlRequest(sql, rows=rows),
        None,
        author,
        call.cancellation,
    )


def soft_delete(
    services: Services,
    call: Call,
    table: TableRef,
    filter: str | None,
    all_rows: bool = False,
) -> Commit:
    """Deletes rows so that `undelete` can bring them back for a while. Errors as `delete`."""
    allowed, where = checked_delete(services, call, table, filter, all_rows)
    engine = require(allowed.engine, SupportsSoftDelete)
    author = call.author("soft delete", allowed.table)
    return engine.soft_delete(allowed.table, where, author, call.cancellation)


def list_deletions(services: Services, call: Call, table: TableRef) -> list[Deletion]:
    """What `undelete` can bring back, newest first. NotFound; Forbidden."""
    allowed = whole(services, call, table, "bring back rows of", Action.INSERT)
    return require(allowed.engine, SupportsSoftDelete).deletions(allowed.table)


def undelete(
    services: Services,
    call: Call,
    table: TableRef,
    deletion: int | None = None,
    skip_known: bool = False,
) -> Commit:
    """Brings the rows of a deletion back, of the newest where none is named.

    NotFound (version_not_found); Conflict where keys are there again; Forbidden for who may not
    read and insert all of the table.
    """
    allowed = whole(services, call, table, "bring back rows of", Action.INSERT)
    engine = require(allowed.engine, SupportsSoftDelete)
    if deletion is None:
        found = engine.deletions(allowed.table)
        if not found:
            raise NotFound(
                f"No rows of '{allowed.table}' were deleted softly, or it is too long ago.",
                code=ErrorCode.VERSION_NOT_FOUND,
            )
        deletion = found[0].snapshot
    author = call.author("undelete", allowed.table, deletion=deletion)
    return engine.undelete(allowed.table, deletion, skip_known, author, call.cancellation)


def _place(at: int, kind: str = "v") -> str:
    return quoted(f"{HIDDEN_PREFIX}_{kind}{at}")


def _sendable(array: pa.Array) -> pa.Array:
    """The value in a type that loses nothing on its way through SQL."""
    if kinds.is_duration(array.type):
        return array.cast(pa.int64())
    if kinds.is_float16(array.type):
        return array.cast(pa.float32())
    if kinds.is_interval(array.type):
        names = ("months", "days", "nanoseconds")
        types = (pa.int32(), pa.int32(), pa.int64())
        rows = [None if v is None else dict(zip(names, v, strict=True)) for v in array.to_pylist()]
        return pa.array(rows, pa.struct(list(zip(names, types, strict=True))))
    if kinds.is_decimal(array.type) and not kinds.is_decimal128(array.type):
        return array.cast(pa.decimal128(min(array.type.precision, 38), array.type.scale))
    return array
