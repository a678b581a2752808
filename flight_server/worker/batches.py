"""Jobs of the type `batch_operation`: inserts, updates, deletes and upserts over several tables.

The server writes a receipt in the commit of the operations, under a token of the job's. A worker
that was killed behind the commit and before the job's end was written asks again, and is answered
by the receipt.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from flight_server.errors import ErrorCode, InvalidRequest, PixelflightError
from flight_server.worker.runs import JobRun

# How often the operations are sent again where others write to the same tables.
CONFLICTS_MAX = 6


def run_operations(run: JobRun) -> Mapping[str, Any]:
    """Sends the operations to the server; its answer is the result."""
    count = len(run.parameters["operations"])
    run.progress(rows=0, rows_total=count)
    outcome = _sent(run)
    run.progress(rows=outcome["successful"], rows_total=count)
    for error in outcome["errors"]:
        run.log(f"operation {error['operation']}: {error['message']}", "error")
    if (failure := outcome.get("error")) is not None:
        raise _error(failure)
    return outcome


def _sent(run: JobRun) -> Mapping[str, Any]:
    """The server's answer; another commit that came first is no reason to fail."""
    for number in range(CONFLICTS_MAX):
        outcome = run.client.batch(run.parameters, token=f"job:{run.id}:batch")
        if outcome.get("error", {}).get("code") != ErrorCode.CONFLICT.text:
            break
        time.sleep(random.uniform(0, 0.05 * 2**number))  # noqa: S311 - no secret depends on it
        run.check()
    return outcome


def _error(failure: Mapping[str, Any]) -> PixelflightError:
    """The error that ended the batch."""
    codes = {code.text: code for code in ErrorCode}
    return InvalidRequest(
        failure["message"],
        code=codes.get(failure["code"], ErrorCode.INTERNAL),
        details=failure["details"],
    )
