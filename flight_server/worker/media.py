"""Jobs of the type `media_processing`: one of `OPERATIONS`, of which there are none so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flight_server.errors import InvalidRequest, Unsupported
from flight_server.worker.runs import JobRun, Runner

OPERATIONS: Mapping[str, Runner] = {}


def process_media(run: JobRun) -> Mapping[str, Any]:
    """Runs the operation that the job names."""
    name = run.parameters.get("operation")
    if not isinstance(name, str):
        raise InvalidRequest("A job of the type 'media_processing' names its 'operation'.")
    if name not in OPERATIONS:
        known = ", ".join(OPERATIONS) or "none"
        raise Unsupported(f"There is no media operation '{name[:80]}'. There are: {known}.")
    return OPERATIONS[name](run)
