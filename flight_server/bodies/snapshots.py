"""The bodies of requests about named snapshots, and what they are answered with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from flight_server import operations
from flight_server.bodies.requests import AsOf, Body, Version
from flight_server.errors import InvalidRequest
from flight_server.model import NamedSnapshot, NamespaceRef, TableRef
from flight_server.operations import Call, Services


class OfSnapshot(Body):
    """Something about one snapshot: `[namespace.]name`."""

    snapshot: Annotated[str, Field(examples=["sales.end-of-may"])]


class CreateSnapshot(Body):
    """`create_snapshot`: of a `table` or of all tables of a `namespace`, as they are or were."""

    name: Annotated[str, Field(examples=["end-of-may"])]
    table: Annotated[str | None, Field(examples=[None])] = None
    namespace: Annotated[str | None, Field(examples=["sales"])] = None
    version: Annotated[Version | None, Field(examples=[None])] = None
    as_of: AsOf | None = None

    def create(self, services: Services, call: Call) -> NamedSnapshot:
        """Makes the snapshot. Errors as `create_snapshot`."""
        if (self.table is None) == (self.namespace is None):
            raise InvalidRequest("Give the 'table' or the 'namespace' that it is of, one of them.")
        of: TableRef | NamespaceRef
        if self.table is not None:
            of = TableRef.parse(self.table)
        else:
            of = NamespaceRef.parse(self.namespace or "")
            if isinstance(self.version, str):
                raise InvalidRequest("Tags are a table's: give a snapshot's number, or 'as_of'.")
        return operations.create_snapshot(services, call, self.name, of, self.version, self.as_of)


def snapshot_listed(snapshot: NamedSnapshot) -> dict[str, Any]:
    """One snapshot; `table` is null where it is of all of the namespace."""
    return {
        "name": str(snapshot.name),
        "table": str(snapshot.table) if snapshot.table is not None else None,
        "namespace": str(snapshot.namespace),
        "version": snapshot.snapshot,
        "created_at": snapshot.created_at,
        "author": snapshot.author,
    }


def snapshot_described(snapshot: NamedSnapshot, tables: list[TableRef]) -> dict[str, Any]:
    """A snapshot with what it holds."""
    return {**snapshot_listed(snapshot), "tables": [str(table) for table in tables]}


def restored(done: operations.Restored) -> dict[str, Any]:
    """What a restore brought back, by the names that it has now."""
    return {"commit": done.commit.snapshot, "tables": [str(table) for table in done.tables]}
