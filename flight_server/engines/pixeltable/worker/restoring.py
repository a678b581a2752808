"""A table as it was: what differs from an old version is written back as one new version.

Pixeltable's own `revert` takes versions away, and their numbers are used again. Here nothing is
lost: the states of rows that came since go, those that went since come again, all of them in one
version after the newest, under the ids that they had. Values are copied where they lie, those that
were computed too: no function is run, but for the columns that views compute.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pixeltable as pxt
import sqlalchemy as sa
from pixeltable.catalog.table_version import TableVersion
from pixeltable.catalog.update_status import RowCountStats, UpdateStatus
from pixeltable.metadata import schema
from pixeltable.plan import Planner
from pixeltable.runtime import get_runtime

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker.changing import changed
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.references import check_ids
from flight_server.errors import Unsupported


def restore(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """The table as it was at a version. Unsupported where its columns have changed since."""
    table = changed(arguments)
    check_ids(table)

    def act() -> Mapping[str, Any]:
        then = opened(arguments)
        told, now = then.get_metadata(), table.get_metadata()
        if told["schema_version"] != now["schema_version"]:
            raise Unsupported(
                f"The columns of the table have changed since version {told['version']}: read that "
                "version, and write what is wanted of it."
            )
        came, went = _written_back(table, told["version"])
        return {
            "snapshot": table.get_metadata()["version"],
            "rows": came + went,
            "rows_inserted": came,
            "rows_deleted": went,
        }

    return home.write(table, act, arguments)


def _written_back(table: pxt.Table, version: int) -> tuple[int, int]:
    """How many states of rows came again, and how many went."""
    live: TableVersion = table._tbl_path.tbl_version.get()
    store = live.store_tbl
    new, moment = live.version + 1, time.time()
    went = store.soft_delete_rows(
        new, base_versions=[], match_on_vmin=False, where_clause=store.v_min_col > version
    )
    came = _come_again(live, version, new)
    if not came and not went:
        return 0, 0
    live.bump_version(moment, bump_schema_version=False)
    status = UpdateStatus(row_count_stats=RowCountStats(ins_rows=came, del_rows=went))
    for view in live.mutable_views:
        found = view.get()
        gone = found.propagate_delete(where=None, base_versions=[new], timestamp=moment)
        # As when rows are inserted: what came in this version is what is new to the view.
        plan = Planner.create_view_load_plan(
            found.path, created_at_current_version=found.path.get_bases()
        )
        status += (gone + found._insert(plan, moment)).to_cascade()
    live.set_version_update_status(status)
    live._write_md(new_version=True, new_schema_version=False)
    return came, went


def _come_again(live: TableVersion, version: int, new: int) -> int:
    """Copies the states that were there at `version` and went since, as states of `new`."""
    store = live.store_tbl
    rows = store.sa_tbl
    values: dict[str, Any] = {column.name: column for column in rows.c}
    values["v_min"], values["v_max"] = sa.literal(new), sa.literal(schema.Table.MAX_VERSION)
    for index in live.idxs.values():
        # What is indexed of a state that goes is put aside.
        values[index.val_col.store_name()] = index.undo_col.sa_col
        values[index.undo_col.store_name()] = sa.null()
    gone = (rows.c.v_min <= version, rows.c.v_max > version, rows.c.v_max < new)
    connection = get_runtime().conn
    assert connection is not None, "a transaction of Pixeltable's is open"
    count = connection.execute(sa.select(sa.func.count()).select_from(rows).where(*gone))
    old = sa.select(*values.values()).where(*gone)
    connection.execute(sa.insert(rows).from_select(list(values), old))
    return int(count.scalar_one())
