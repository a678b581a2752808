"""Named snapshots of tables and namespaces."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from control_api.dependencies import NO_BODY, Call, Services
from control_api.paths import Table
from flight_server import operations
from flight_server.bodies.snapshots import (
    CreateSnapshot,
    restored,
    snapshot_described,
    snapshot_listed,
)

router = APIRouter(prefix="/snapshots", tags=["snapshots"])


@router.get("")
def list_snapshots(services: Services, call: Call) -> dict[str, Any]:
    """The snapshots of what you may know of."""
    found = operations.list_snapshots(services, call)
    return {"snapshots": [snapshot_listed(one) for one in found]}


@router.post("", status_code=201)
def create_snapshot(services: Services, call: Call, body: CreateSnapshot) -> dict[str, Any]:
    """Names what a table, or all tables of a namespace, are or were; it does not expire."""
    return snapshot_listed(body.create(services, call))


@router.get("/{table:table}")
def describe_snapshot(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """A snapshot, `[namespace.]name`, with the tables and views in it that you may know of."""
    return snapshot_described(*operations.describe_snapshot(services, call, table))


@router.delete("/{table:table}", status_code=204, response_class=Response)
def drop_snapshot(services: Services, call: Call, table: Table) -> None:
    """Lets what it holds expire."""
    operations.drop_snapshot(services, call, table)


@router.post("/{table:table}/restore", dependencies=[NO_BODY])
def restore_snapshot(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """Brings everything in it back in one commit, what was dropped since included."""
    return restored(operations.restore_snapshot(services, call, table))
