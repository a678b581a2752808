"""Statements as GetFlightInfo and GetSchema tell of them.

A read is planned, not run. A statement that writes is run here, once, and answered with the
number of its rows and no endpoints: the ADBC driver asks for the info of every statement, and
drops the DoGet of one when the next is executed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_server import operations
from flight_server.bodies.answers import encoded
from flight_server.bodies.requests import Scan, Sql
from flight_server.model import DEFAULT_CATALOG, DEFAULT_NAMESPACE, TableRef
from flight_server.operations import Executed
from flight_server.wire.contexts import call_in, call_of, transaction_now
from flight_server.wire.flight_sql.columns import with_column_metadata
from flight_server.wire.flight_sql.updates import execute, execute_prepared
from flight_server.wire.infos import info_of_plan
from flight_server.wire.prepared import PreparedStatement
from flight_server.wire.reads import ReadPlan, plan_read
from flight_server.wire.state import ServerState
from flight_server.wire.visits import Visit

_NOTHING = pa.schema([])


def statement_info(
    state: ServerState, visit: Visit, descriptor: flight.FlightDescriptor, message: Any
) -> flight.FlightInfo:
    """CommandStatementQuery."""
    transaction = transaction_of(message)
    if not is_read(state, visit, message.query):
        return _written(descriptor, execute(state, visit, message.query, transaction))
    plan = _plan(state, visit, message.query, transaction)
    return _info(state, visit, descriptor, plan)


def statement_schema(state: ServerState, visit: Visit, message: Any) -> pa.Schema:
    """The schema of a CommandStatementQuery; nothing is run."""
    if not is_read(state, visit, message.query):
        return _NOTHING
    return _plan(state, visit, message.query, transaction_of(message)).schema


def prepared_info(
    state: ServerState, visit: Visit, descriptor: flight.FlightDescriptor, message: Any
) -> flight.FlightInfo:
    """CommandPreparedStatementQuery, with what was bound."""
    prepared = state.statements.find(visit.principal.id, message.prepared_statement_handle)
    if not prepared.is_read:
        return _written(descriptor, execute_prepared(state, visit, prepared))
    return _info(state, visit, descriptor, plan_prepared(state, visit, prepared))


def prepared_schema(state: ServerState, visit: Visit, message: Any) -> pa.Schema:
    """The schema of a prepared statement; nothing is run."""
    prepared = state.statements.find(visit.principal.id, message.prepared_statement_handle)
    return dataset_schema(state, visit, prepared)


def dataset_schema(state: ServerState, visit: Visit, prepared: PreparedStatement) -> pa.Schema:
    """The schema of what a prepared statement will answer; without columns where it writes.

    As long as nothing is bound, parameters count as nulls: JDBC's driver takes a statement whose
    schema has no columns for one that writes.
    """
    if not prepared.is_read:
        return _NOTHING
    if prepared.parameters and prepared.bound is None:
        unbound = pa.table({name: pa.nulls(1) for name in prepared.parameters})
        prepared = replace(prepared, bound=unbound)
    return plan_prepared(state, visit, prepared).schema


def plan_prepared(state: ServerState, visit: Visit, prepared: PreparedStatement) -> ReadPlan:
    """The plan of a statement that reads. The last one serves again until something changes."""
    transaction = transaction_now(state, visit, prepared.transaction)
    names = _names_of(state, visit) if transaction is None else None
    kept = prepared.plan if names is not None and names == prepared.planned_for else None
    if kept and kept.snapshot == operations.newest_snapshot(state.services, kept.catalog):
        return kept
    plan = _plan(state, visit, prepared.sql, transaction, prepared.bound)
    keeps = names is not None and prepared.bound is None and plan.snapshot is not None
    keeps = keeps and not plan.reads_others
    prepared.plan, prepared.planned_for = (plan, names) if keeps else (None, None)
    return plan


def is_read(state: ServerState, visit: Visit, sql: str) -> bool:
    """Whether the text is a statement that reads. InvalidRequest; Forbidden."""
    return operations.is_read(operations.statement_of(call_of(state, visit), sql))


def transaction_of(message: Any) -> str | None:
    """The transaction that a message names."""
    return message.transaction_id.decode("utf-8", "replace") if message.transaction_id else None


def _names_of(state: ServerState, visit: Visit) -> tuple[object, ...] | None:
    """What names in a statement mean in the session; None where that is its own secret."""
    session = call_of(state, visit).session
    if session is None:
        return (DEFAULT_CATALOG, DEFAULT_NAMESPACE, None)
    if session.temporary is not None or session.current is not None:
        return None
    return (session.catalog, session.namespace, session.as_of)


def _plan(
    state: ServerState,
    visit: Visit,
    sql: str,
    transaction: str | None,
    parameters: pa.Table | None = None,
) -> ReadPlan:
    with call_in(state, visit, transaction) as call:
        plan = plan_read(state.services, call, Sql(sql=sql), parameters, transaction)
    table = TableRef.parse(plan.read.table) if isinstance(plan.read, Scan) else None
    return replace(plan, schema=with_column_metadata(plan.schema, table))


def _info(
    state: ServerState, visit: Visit, descriptor: flight.FlightDescriptor, plan: ReadPlan
) -> flight.FlightInfo:
    return info_of_plan(state.services, visit.call, descriptor, plan)


def _written(descriptor: flight.FlightDescriptor, done: Executed) -> flight.FlightInfo:
    rows = -1 if done.rows is None else done.rows
    metadata = encoded({"statement": done.kind, "commit": done.snapshot})
    return flight.FlightInfo(_NOTHING, descriptor, [], rows, -1, False, metadata)
