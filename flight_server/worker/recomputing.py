"""Jobs of the type `table_recompute`: rows that are made of other rows, made anew.

A refresh writes the rows and what they are of in one commit, so that a job that is begun again
finds them up to date, or as they were. Cells of a computed column are done some rows at a time,
each a commit, and a job that is begun again goes on behind the last of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flight_server.worker.runs import JobRun

ROWS_EACH = 1000


def recompute_table(run: JobRun) -> Mapping[str, Any]:
    """Refreshes the materialised view `table_name`, or computes its `column` anew."""
    if run.parameters.get("column") is not None:
        return _recompute_column(run)
    view = run.parameters["table_name"]
    run.log(f"refreshing {view}")
    done: dict[str, Any] = run.client.refresh_view(view)
    run.progress(rows=done["rows"], rows_total=done["rows"])
    return {"table_name": view, **done}


def _recompute_column(run: JobRun) -> Mapping[str, Any]:
    of = {"table": run.parameters["table_name"], "column": run.parameters["column"]}
    which = {
        name: run.parameters[name] for name in ("where", "errors_only") if name in run.parameters
    }
    each = run.parameters.get("batch_size", ROWS_EACH)
    told = {"rows": 0, "errors": 0, "seen": 0, "after": None, **run.checkpoint}
    run.log(f"computing '{of['column']}' of {of['table']} anew")
    while True:
        run.check()
        done = run.client.recompute_column(
            of["table"], of["column"], **which, limit=each, after=told["after"]
        )
        total = done["rows_total"]
        told = {
            "rows": told["rows"] + done["rows"],
            "errors": told["errors"] + done["errors"],
            "seen": min(told["seen"] + each, total),
            "after": done["after"],
        }
        run.progress(rows=told["seen"], rows_total=total)
        if told["after"] is None:
            return {
                "table_name": of["table"],
                "column": of["column"],
                "rows": told["rows"],
                "errors": told["errors"],
            }
        run.save(told)
