"""The actions of Flight SQL: prepared statements, transactions, cancelling. Any in, Any out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from flight_server import operations
from flight_server.errors import InvalidRequest, Unsupported
from flight_server.wire import flight_actions
from flight_server.wire.contexts import call_of, call_with_session, open_session
from flight_server.wire.flight_sql.columns import serialized
from flight_server.wire.flight_sql.messages import COMMIT, MESSAGES, ROLLBACK, packed, unpacked
from flight_server.wire.flight_sql.queries import dataset_schema, transaction_of
from flight_server.wire.prepared import PreparedStatement
from flight_server.wire.protobuf import parsed_message
from flight_server.wire.state import ServerState
from flight_server.wire.visits import Visit

SqlAction = Callable[[ServerState, Visit, Any], bytes | None]


def create_prepared_statement(state: ServerState, visit: Visit, request: Any) -> bytes:
    """Checks the statement, and tells the schemas of its answer and of its parameters."""
    call = call_of(state, visit)
    statement = operations.statement_of(call, request.query)
    prepared = state.statements.add(
        open_session(state, visit),
        request.query,
        operations.is_read(statement),
        operations.parameters_of(statement),
        transaction_of(request),
    )
    try:
        schema = _dataset_schema(state, visit, prepared)
        parameters = operations.parameter_schema(state.services, call, statement)
    except BaseException:
        state.statements.close(visit.principal.id, prepared.handle)
        raise
    return packed(
        "ActionCreatePreparedStatementResult",
        prepared_statement_handle=prepared.handle,
        dataset_schema=b"" if schema is None else serialized(schema),
        parameter_schema=serialized(parameters),
        is_update=not prepared.is_read,
    )


def close_prepared_statement(state: ServerState, visit: Visit, request: Any) -> None:
    """Forgets the statement."""
    state.statements.close(visit.principal.id, request.prepared_statement_handle)


def begin_transaction(state: ServerState, visit: Visit, request: Any) -> bytes:
    """A transaction of the visit's session."""
    begun = operations.begin(state.services, call_with_session(state, visit))
    return packed("ActionBeginTransactionResult", transaction_id=begun.name.encode())


def end_transaction(state: ServerState, visit: Visit, request: Any) -> None:
    """Commits or rolls back."""
    name = transaction_of(request)
    if request.action not in (COMMIT, ROLLBACK):
        raise InvalidRequest(
            f"The action {request.action} ends no transaction: send {COMMIT} to commit, "
            f"{ROLLBACK} to roll back."
        )
    opened = state.sessions.transaction(name or "", visit.session_names()[-1])
    if request.action == COMMIT:
        opened.commit(visit.running.cancellation)
    else:
        opened.rollback(visit.running.cancellation)


def refuse_savepoints(state: ServerState, visit: Visit, request: Any) -> None:
    """DuckDB has no savepoints."""
    raise Unsupported(
        "Savepoints are not supported. Use a transaction for each part that may be undone."
    )


def refuse_substrait(state: ServerState, visit: Visit, request: Any) -> None:
    """Plans of Substrait are not read."""
    raise Unsupported("Substrait plans are not supported: send SQL.")


def cancel_query(state: ServerState, visit: Visit, request: Any) -> bytes:
    """As CancelFlightInfo, by Flight SQL's older name; the results count alike."""
    body = flight_actions.cancel_request(request.info)
    answer = flight_actions.cancel_flight_info(state, visit, body)
    return packed("ActionCancelQueryResult", result=flight_actions.cancel_status(answer))


# Name → description, the message it takes, and what is done.
SQL_ACTIONS: dict[str, tuple[str, str, SqlAction]] = {
    "CreatePreparedStatement": (
        "Flight SQL: prepare a statement.",
        "ActionCreatePreparedStatementRequest",
        create_prepared_statement,
    ),
    "ClosePreparedStatement": (
        "Flight SQL: forget a prepared statement.",
        "ActionClosePreparedStatementRequest",
        close_prepared_statement,
    ),
    "CreatePreparedSubstraitPlan": (
        "Flight SQL: refused, there is no Substrait.",
        "ActionCreatePreparedSubstraitPlanRequest",
        refuse_substrait,
    ),
    "BeginTransaction": (
        "Flight SQL: begin a transaction.",
        "ActionBeginTransactionRequest",
        begin_transaction,
    ),
    "EndTransaction": (
        "Flight SQL: commit or roll back.",
        "ActionEndTransactionRequest",
        end_transaction,
    ),
    "BeginSavepoint": (
        "Flight SQL: refused, there are no savepoints.",
        "ActionBeginSavepointRequest",
        refuse_savepoints,
    ),
    "EndSavepoint": (
        "Flight SQL: refused, there are no savepoints.",
        "ActionEndSavepointRequest",
        refuse_savepoints,
    ),
    "CancelQuery": (
        "Flight SQL: end a query's streams.",
        "ActionCancelQueryRequest",
        cancel_query,
    ),
}


def run_sql_action(state: ServerState, visit: Visit, name: str, body: bytes) -> list[bytes]:
    """The results of one of `SQL_ACTIONS`: one, or none."""
    _, expected, run = SQL_ACTIONS[name]
    message = unpacked(body) if body else None
    if message is None:
        # Some clients leave the Any out.
        message = parsed_message(MESSAGES[expected], body, f"body of '{name}'")
    elif message.DESCRIPTOR.name != expected:
        raise InvalidRequest(
            f"The body of '{name}' is a {message.DESCRIPTOR.name}, where a {expected} is needed."
        )
    answer = run(state, visit, message)
    return [] if answer is None else [answer]


def _dataset_schema(
    state: ServerState, visit: Visit, prepared: PreparedStatement
) -> pa.Schema | None:
    """The schema of a read. Where nulls cannot stand for its parameters, None."""
    if not prepared.is_read:
        return None
    try:
        return dataset_schema(state, visit, prepared)
    except InvalidRequest:
        if prepared.parameters:
            return None
        raise
