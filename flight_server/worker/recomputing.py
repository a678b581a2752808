"""Jobs of the type `table_recompute`: rows that are made of other rows, made anew.

A refresh writes the rows and what they are of in one commit, so that a job that is begun again
finds them up to date, or as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flight_server.worker.runs import JobRun


def recompute_table(run: JobRun) -> Mapping[str, Any]:
    """Refreshes the materialised view `table_name`."""
    view = run.parameters["table_name"]
    run.log(f"refreshing {view}")
    done: dict[str, Any] = run.client.refresh_view(view)
    run.progress(rows=done["rows"], rows_total=done["rows"])
    return {"table_name": view, **done}
