"""Flight infos: plans and tables as Flight tells of them, with tickets for their parts."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pyarrow as pa
from pyarrow import flight

from flight_server import operations
from flight_server.bodies.answers import encoded
from flight_server.bodies.requests import Criteria, loaded, parsed
from flight_server.model import TableInfo
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
    tables = operations.list_tables(
        services, call, criteria.catalog, criteria.namespace, criteria.pattern
    )
    return [
        _info_of_table(services, info)
        for info in operations.describe_tables(services, call, tables)
    ]


def _info_of_table(services: Services, info: TableInfo) -> flight.FlightInfo:
    """A table's info with a plain ticket, which never expires.

    A view that cannot be read has no columns.
    """
    ticket = json.dumps({"scan": {"table": str(info.table)}}).encode()
    path = path_of_table(info.table, services.engines)
    return flight.FlightInfo(
        info.spec.schema,
        flight.FlightDescriptor.for_path(*path),
        [flight.FlightEndpoint(ticket, [])],
        info.rows,
        info.bytes,
        False,
        encoded({"snapshot": info.snapshot}),
    )
