"""Reads that the server has planned and not run: how much they give, of which moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_server.client import bodies
from flight_server.client.calls import Calls
from flight_server.client.connection import Connection
from flight_server.client.results import Result


class Plan:
    """A read that is pinned to a moment. `cancel` ends it from any thread.

    `snapshot` is that moment, None where it has no number; `rows` is how many it gives, about, and
    None where that is not known.
    """

    def __init__(self, connection: Connection, read: bytes) -> None:
        descriptor = flight.FlightDescriptor.for_command(read)
        self._connection = connection
        self._read: dict[str, Any] = json.loads(read)
        self._info = connection.flight_info(descriptor)
        self.schema: pa.Schema = self._info.schema
        told = json.loads(self._info.app_metadata or b"{}")
        self.snapshot: int | None = told.get("snapshot")
        self.rows: int | None = self._info.total_records if self._info.total_records >= 0 else None

    def open(self) -> Result:
        """Runs it: its rows. Cancelled once it was cancelled."""
        return Result.of_info(self._connection, self._info)

    def open_whole(self) -> Result:
        """Runs it as one stream, which unlike tickets may take as long as it likes to be read."""
        command = self._read.get("scan", self._read)
        if self.snapshot is not None:
            command["version"] = self.snapshot
            command.pop("as_of", None)
        return Result.of_ticket(self._connection, json.dumps(self._read).encode())

    def cancel(self) -> None:
        """Ends its streams, and those that are about to be opened."""
        self._connection.cancel(self._info)


class PlanCalls(Calls):
    """The client's methods for them."""

    _connection: Connection

    def plan(
        self,
        text: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        version: int | None = None,
        as_of: bodies.AsOf | None = None,
    ) -> Plan:
        """One SELECT that is not run before it is opened, and can be cancelled meanwhile."""
        return Plan(self._connection, bodies.query(text, parameters, version, as_of))

    def plan_scan(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        filter: str | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        version: int | str | None = None,
        as_of: bodies.AsOf | None = None,
    ) -> Plan:
        """Rows of a table, as `scan` gives them, that are not read before it is opened."""
        read = bodies.command(
            "scan",
            table=table,
            columns=None if columns is None else bodies.names(columns, "columns"),
            filter=filter,
            order_by=order_by,
            limit=limit,
            version=version,
            as_of=bodies.moment(as_of),
        )
        return Plan(self._connection, read)
