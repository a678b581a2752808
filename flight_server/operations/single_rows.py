"""One row of a table: found, then changed or deleted, by its id.

A row that is named by its key is looked up first, so that one row is meant and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flight_server.engines.base import SupportsTransactions, require
from flight_server.errors import Conflict, ErrorCode
from flight_server.model import ROW_ID, Commit, ScanRequest, TableRef
from flight_server.operations.row_reads import one_row, row_not_found
from flight_server.operations.services import Call, Services

# Changes the rows where a filter holds.
Change = Callable[[Call, str], Commit]


def change_row(
    services: Services,
    call: Call,
    table: TableRef,
    which: str,
    reason: str,
    change: Change,
    since: int | None = None,
) -> Commit:
    """What `change` does with the one row that the filter `which` names.

    NotFound (row_not_found). With `since` it is a Conflict (version_changed) where somebody else
    has changed the table after that snapshot.
    """
    if since is None:
        return _changed(services, call, table, which, change)
    engine = require(services.engine(table.catalog), SupportsTransactions)
    try:
        with engine.transaction(call.author(reason, table), since=since) as transaction:
            inside = replace(call, transaction=transaction)
            done = _changed(services, inside, table, which, change)
            return replace(done, snapshot=transaction.commit().snapshot)
    except Conflict as error:
        if error.code is not ErrorCode.CONFLICT:
            raise
        raise Conflict(
            f"'{table}' was changed after version {since}. Read the row again, and send the "
            "change with the version that it has then.",
            code=ErrorCode.VERSION_CHANGED,
        ) from None


def _changed(services: Services, call: Call, table: TableRef, which: str, change: Change) -> Commit:
    if not which.startswith(f"{ROW_ID} ="):
        request = ScanRequest(filter=which, with_row_id=True)
        found = one_row(services, call, table, request).rows.read_all()
        row = found.column(ROW_ID)[0].as_py()
        # Whoever changed its key meanwhile has made another row of it.
        which = f"{ROW_ID} = {row} AND ({which})"
    done = change(call, which)
    if not done.rows:
        raise row_not_found(table)
    return done
