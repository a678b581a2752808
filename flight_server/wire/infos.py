"""Flight infos: plans and tables as Flight tells of them, with tickets for their parts."""

from __future__ import annotations

import fnmatch
import json
import time
from dataclasses import replace

import pyarrow as pa
from pyarrow import flight

from flight_server import operations
from flight_server.bodies.answers import encoded
from flight_server.bodies.requests import Criteria, loaded, parsed
from flight_server.errors import Conflict, Forbidden, NotFound
from flight_server.model import TableRef
from flight_server.operations import Call, Services
from flight_server.wire.descriptors import path_of_table
from flight_server.wire.parameters import as_text
from flight_server.wire.reads import ReadPlan
from flight_server.wire.tickets import Claim, issue, new_flight


def info_of_plan(
    services: Services, call: Call, descriptor: flight.FlightDescriptor, plan: ReadPlan
) -> flight.FlightInfo:
    """The info of a read; its snapshot is held for as long as its tickets live."""
    expires_at = time.time() + services.settings.ticket_seconds
    if plan.snapshot is not None:
        operations.hold(services, plan.catalog, plan.snapshot)
    name = new_flight()
    text = None if plan.parameters is None else as_text(plan.parameters)
    whole = Claim(
        plan.read,
        plan.catalog,
        plan.snapshot,
        call.principal.id,
        expires_at,
        name,
        transaction=plan.transaction,
        parameters=text,
    )
    claims = [replace(whole, slice=part.name) for part in plan.slices]
    return flight.FlightInfo(
        plan.schema,
        descriptor,
        [endpoint(services, claim) for claim in claims],
        plan.rows,
        plan.bytes,
        plan.ordered,
        encoded({"snapshot": plan.snapshot}),
    )


def endpoint(services: Services, claim: Claim) -> flight.FlightEndpoint:
    """A ticket where it can be redeemed: no location means this server."""
    # As pyarrow would cast it to, for four times as long as all the rest takes.
    expiration = pa.scalar(int(claim.expires_at * 1e9), pa.timestamp("ns"))
    return flight.FlightEndpoint(issue(services.signing_secret, claim), [], expiration)


def list_infos(services: Services, call: Call, expression: bytes) -> list[flight.FlightInfo]:
    """The infos of the tables that the principal may know of and the criteria name."""
    values = loaded(expression, "criteria") if expression.strip() else {}
    criteria = parsed(Criteria, values, "criteria")
    tables = operations.list_tables(services, call, criteria.catalog, criteria.namespace)
    infos = [
        _info_of_table(services, call, table)
        for table in tables
        if criteria.pattern is None or _matches(table, criteria.pattern)
    ]
    return [info for info in infos if info is not None]


def _info_of_table(services: Services, call: Call, table: TableRef) -> flight.FlightInfo | None:
    """A table's info with a plain ticket, which never expires; None where it went meanwhile.

    A view that cannot be read has no columns.
    """
    schema, rows, size, snapshot = pa.schema([]), -1, -1, None
    try:
        info = operations.describe_table(services, call, table)
        schema, rows, size, snapshot = info.spec.schema, info.rows, info.bytes, info.snapshot
    except (NotFound, Forbidden):
        return None
    except Conflict:
        pass
    ticket = json.dumps({"scan": {"table": str(table)}}).encode()
    path = path_of_table(table, services.engines)
    return flight.FlightInfo(
        schema,
        flight.FlightDescriptor.for_path(*path),
        [flight.FlightEndpoint(ticket, [])],
        rows,
        size,
        False,
        encoded({"snapshot": snapshot}),
    )


def _matches(table: TableRef, pattern: str) -> bool:
    """Whether the glob fits the table's own name or its full one, whatever their case."""
    names = (table.name, f"{table.namespace}.{table.name}", str(table))
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for name in names)
