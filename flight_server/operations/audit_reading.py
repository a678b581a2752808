"""Reading the audit trail: page by page, or all that a filter leaves as Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import Forbidden, Unavailable
from flight_server.metastore.audit_search import AuditFilter, Recorded, search
from flight_server.operations.authority import authority
from flight_server.operations.services import Call, Services
from flight_server.operations.usage_reading import is_server_admin

EXPORT_ROWS = 2_000
AUDIT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("at", pa.timestamp("us", "UTC"), nullable=False),
        *(
            pa.field(name, pa.string(), nullable=False)
            for name in (
                "principal_id",
                "principal",
                "workspace",
                "door",
                "peer",
                "action",
                "resource",
                "outcome",
                "code",
                "request_id",
            )
        ),
        pa.field("snapshot", pa.int64()),
        pa.field("details", pa.string(), nullable=False),
    ]
)


def read_audit(
    services: Services, call: Call, wanted: AuditFilter, before: int | None, limit: int
) -> list[Recorded]:
    """The newest entries before one with a number. Forbidden.

    Whoever may admin the server reads all of them, whoever manages a workspace those of it.
    """
    wanted = _permitted(services, call, wanted)
    _settle(services)
    with services.metastore.read() as connection:
        return search(connection, wanted, before, limit)


def export_audit(
    services: Services,
    call: Call,
    wanted: AuditFilter,
    before: int | None = None,
    limit: int | None = None,
) -> Batches:
    """All such entries as Arrow, the newest first, in bounded memory. Forbidden as above."""
    wanted = _permitted(services, call, wanted)
    _settle(services)
    return BatchStream(AUDIT_SCHEMA, _exported(services, call, wanted, before, limit))


def _permitted(services: Services, call: Call, wanted: AuditFilter) -> AuditFilter:
    """The filter within what the principal may read of the trail."""
    if is_server_admin(services, call):
        return wanted
    mine = call.principal.workspace
    if authority(services, call) is not None and wanted.workspace in (None, mine):
        return replace(wanted, workspace=mine)
    message = "The audit trail is for admins, and that of a workspace for whoever manages it."
    raise Forbidden(message).refusing("read", "audit")


def _settle(services: Services) -> None:
    """Whoever reads the trail finds in it all that was done before."""
    if not services.audit.settle():
        raise Unavailable("The audit trail is being written: try again in a moment.")


def _exported(
    services: Services, call: Call, wanted: AuditFilter, before: int | None, left: int | None
) -> Iterator[pa.RecordBatch]:
    while left is None or left > 0:
        call.cancellation.check()
        rows = EXPORT_ROWS if left is None else min(left, EXPORT_ROWS)
        with services.metastore.read() as connection:
            found = search(connection, wanted, before, rows)
        if not found:
            return
        before, left = found[-1].id, None if left is None else left - len(found)
        yield pa.RecordBatch.from_pylist([_arrow_row(one) for one in found], AUDIT_SCHEMA)


def _arrow_row(one: Recorded) -> dict[str, Any]:
    entry = one.entry
    return {
        **entry.actor._asdict(),
        **vars(entry),
        "id": one.id,
        "outcome": entry.outcome.value,
        "details": json.dumps(entry.details, ensure_ascii=False),
    }
