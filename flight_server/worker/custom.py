"""Jobs of the type `custom`: entry points that the server's operator has installed and allowed.

A package names its runner in the group `pixelflight.jobs`:

    [project.entry-points."pixelflight.jobs"]
    nightly = "our_company.jobs:run_nightly"

It is called with a `JobRun`, whose `parameters` are the job's `arguments`, and answers with what is
to be the job's result.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from flight_server.errors import Unsupported, did_you_mean
from flight_server.worker.runs import JobRun, Runner

GROUP = "pixelflight.jobs"


def run_custom(run: JobRun) -> Mapping[str, Any]:
    """Runs the entry point that the job names, where the settings allow it."""
    name = run.parameters["name"]
    found = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if name not in run.settings.job_custom or name not in found:
        raise Unsupported(
            f"There is no custom job '{name}' here: it takes an entry point of the group "
            f"'{GROUP}' that is installed beside the server, and named by the setting job_custom."
            f"{did_you_mean(name, found)}"
        )
    runner: Runner = found[name].load()
    return runner(run)
