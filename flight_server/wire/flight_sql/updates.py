"""Statements that write, and what is bound to prepared ones: DoPut, and GetFlightInfo's share."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_server import operations
from flight_server.errors import ErrorCode, LimitExceeded
from flight_server.model import SqlRequest
from flight_server.operations import Executed
from flight_server.wire.contexts import call_in, call_of, call_with_session, transaction_now
from flight_server.wire.flight_sql.messages import serialized
from flight_server.wire.incoming import Incoming
from flight_server.wire.prepared import SESSION_BOUND_BYTES_MAX, PreparedStatement
from flight_server.wire.puts import tell
from flight_server.wire.state import ServerState
from flight_server.wire.visits import Visit


def update_statement(
    state: ServerState,
    visit: Visit,
    message: Any,
    incoming: Incoming,
    writer: flight.FlightMetadataWriter,
) -> None:
    """CommandStatementUpdate: runs it and tells the number of rows."""
    transaction = message.transaction_id.decode("utf-8", "replace") or None
    _tell(writer, execute(state, visit, message.query, transaction))
    # Some clients finish sending only once they have read the answer.
    incoming.drain()


def update_prepared(
    state: ServerState,
    visit: Visit,
    message: Any,
    incoming: Incoming,
    writer: flight.FlightMetadataWriter,
) -> None:
    """CommandPreparedStatementUpdate: runs it once for each row that came, all or nothing."""
    prepared = state.statements.find(visit.principal.id, message.prepared_statement_handle)
    # What an earlier call sent or bound is not meant: drivers send their parameters each time.
    _tell(writer, _execute_with(state, visit, prepared, _bound(incoming)))


def bind_prepared(
    state: ServerState,
    visit: Visit,
    message: Any,
    incoming: Incoming,
    writer: flight.FlightMetadataWriter,
) -> None:
    """CommandPreparedStatementQuery by DoPut: keeps the parameters for GetFlightInfo."""
    prepared = state.statements.find(visit.principal.id, message.prepared_statement_handle)
    state.statements.bind(prepared, _bound(incoming))
    answer = serialized("DoPutPreparedStatementResult", prepared_statement_handle=prepared.handle)
    tell(writer, answer)


def execute_prepared(state: ServerState, visit: Visit, prepared: PreparedStatement) -> Executed:
    """Runs a prepared statement with what was bound to it."""
    return _execute_with(state, visit, prepared, prepared.bound)


def execute(
    state: ServerState,
    visit: Visit,
    sql: str,
    transaction: str | None,
    parameters: pa.Table | None = None,
) -> Executed:
    """Runs one statement, for each row of parameters where there are any."""
    services = state.services
    statement = operations.statement_of(call_of(state, visit), sql)
    if operations.needs_session(statement):
        call = call_with_session(state, visit)
        if operations.is_control(statement):
            return operations.execute(services, call, SqlRequest(sql))
    with call_in(state, visit, transaction) as call:
        if parameters is None:
            return operations.execute(services, call, SqlRequest(sql))
        return operations.execute_each(services, call, sql, parameters)


def _execute_with(
    state: ServerState, visit: Visit, prepared: PreparedStatement, rows: pa.Table | None
) -> Executed:
    transaction = transaction_now(state, visit, prepared.transaction)
    return execute(state, visit, prepared.sql, transaction, rows)


def _bound(incoming: Incoming) -> pa.Table | None:
    """The rows of parameters, held whole; None where the stream has no columns."""
    if not len(incoming.schema):
        incoming.drain()
        return None
    kept: list[pa.RecordBatch] = []
    size = 0
    for batch in incoming.batches():
        size += batch.nbytes
        if size > SESSION_BOUND_BYTES_MAX:
            raise LimitExceeded(
                f"More than {SESSION_BOUND_BYTES_MAX} bytes of parameters: ingest them as a table "
                "instead.",
                code=ErrorCode.TOO_LARGE,
            )
        kept.append(batch)
    return pa.Table.from_batches(kept, incoming.schema)


def _tell(writer: flight.FlightMetadataWriter, done: Executed) -> None:
    rows = -1 if done.rows is None else done.rows
    tell(writer, serialized("DoPutUpdateResult", record_count=rows))
