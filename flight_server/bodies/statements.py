"""Statements as requests of `operations`."""

from __future__ import annotations

from flight_server import operations
from flight_server.bodies.parameters import from_ipc
from flight_server.bodies.requests import Sql
from flight_server.errors import InvalidRequest
from flight_server.model import DEFAULT_CATALOG, SqlRequest
from flight_server.operations import Services


def sql_request(services: Services, body: Sql) -> SqlRequest:
    """The statement at the snapshot it names."""
    version = body.version
    if body.as_of is not None:
        if version is not None:
            raise InvalidRequest("Give 'version' or 'as_of', not both.")
        version = operations.snapshot_at(services, DEFAULT_CATALOG, body.as_of)
    if body.parameters_ipc is None:
        return SqlRequest(body.sql, body.parameters, version, as_of=body.as_of)
    if body.parameters:
        raise InvalidRequest("Give 'parameters' or 'parameters_ipc', not both.")
    return SqlRequest(body.sql, from_ipc(body.parameters_ipc), version, as_of=body.as_of)
