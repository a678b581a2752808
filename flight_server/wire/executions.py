"""The action `execute`: one statement of SQL that writes, JSON in and JSON out.

It stands apart from the other actions because it may change the session that the call is in.
"""

from __future__ import annotations

from typing import Any

from flight_server import operations
from flight_server.bodies.requests import Sql, loaded, parsed
from flight_server.bodies.statements import sql_request
from flight_server.errors import InvalidRequest
from flight_server.wire.contexts import call_in, call_of, call_with_session
from flight_server.wire.state import ServerState
from flight_server.wire.visits import Visit

EXECUTE = "execute"


def run_execute(state: ServerState, visit: Visit, body: bytes) -> dict[str, Any]:
    """Runs the statement once; what kind it was, its rows and its commit."""
    what = f"body of '{EXECUTE}'"
    request = parsed(Sql, loaded(body, what), what)
    if request.version is not None or request.as_of is not None:
        raise InvalidRequest("A statement that writes has no 'version' or 'as_of'.")
    statement = operations.statement_of(call_of(state, visit), request.sql)
    sql = sql_request(state.services, request)
    if operations.needs_session(statement):
        call = call_with_session(state, visit)
        if operations.is_control(statement):
            return _told(operations.execute(state.services, call, sql))
    with call_in(state, visit) as call:
        return _told(operations.execute(state.services, call, sql))


def _told(done: operations.Executed) -> dict[str, Any]:
    return {"kind": done.kind, "rows": done.rows, "commit": done.snapshot}
