"""SQL: one statement, parsed whole, authorised, rewritten to what the principal may see, run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, cast

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import (
    TemporaryTables,
    require,
)
from flight_server.engines.history import SupportsTimeline
from flight_server.engines.sql import SupportsSql, SupportsSqlWrites
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import Forbidden, InvalidRequest, Unsupported
from flight_server.model import (
    DEFAULT_CATALOG,
    PARAMETER_ROWS,
    TEMPORARY_CATALOG,
    Kind,
    ScanRequest,
    SqlRequest,
    TableRef,
    TableVersion,
    quoted,
)
from flight_server.operations import rows
from flight_server.operations.authorise import Permitted, permitted
from flight_server.operations.foreign import Parameters, is_foreign, pushed
from flight_server.operations.kinds import kind_of
from flight_server.operations.services import Call, Services, engine_of
from flight_server.operations.sources import (
    Sources,
    bytes_read,
    located,
    names_shown,
    sql_engine,
    version_of,
)
from flight_server.query import (
    Merge,
    ScanShape,
    Statement,
    Write,
    merge_source,
    parse_any,
    rewrite,
    rewrite_merge,
    simple_scan,
)


@dataclass(frozen=True)
class QueryPlan:
    """What a query will give: its schema and the snapshot it reads, None in a transaction.

    `scan` is the scan of one table that it is no more than. `reads_others` says that tables of
    other catalogs than the lake's are read, which no snapshot of the lake tells of.
    """

    schema: pa.Schema
    snapshot: int | None
    scan: tuple[TableRef, ScanRequest] | None = None
    reads_others: bool = False


_PLAN_SCHEMA = pa.schema([pa.field("plan", pa.string(), nullable=False)])


def query(services: Services, call: Call, request: SqlRequest) -> Batches:
    """Runs one SELECT or EXPLAIN. InvalidRequest; NotFound; Forbidden; LimitExceeded; TimedOut."""
    statement = parsed_for(call, request.sql)
    request = _at_session_time(services, call, request)
    scan = _scan_of(services, call, statement, request)
    if scan is not None:
        size = bytes_read(services, permitted(services, call, scan[0], Action.READ))
    else:
        checked, size = authorised(services, call, statement, request)
    with ExitStack() as stack:
        stack.enter_context(services.admission.admitted(size, call.cancellation))
        if scan is not None:
            answer = rows.scan(services, call, *scan)
        else:
            answer = _answer(sql_engine(services, call), statement, checked, call)
        # The query holds its place until its last batch has been read or its stream is closed.
        return BatchStream(answer.schema, iter(answer), answer.close, stack.pop_all().close)


def query_each(services: Services, call: Call, requests: Sequence[SqlRequest]) -> Batches:
    """Runs a SELECT once for each request, which differ in their parameters; rows in order."""
    if not requests:
        raise InvalidRequest("No row of parameters was bound to the statement.")
    first = query(services, call, requests[0])
    if len(requests) == 1:
        return first

    def chained() -> Iterator[pa.RecordBatch]:
        yield from first
        for request in requests[1:]:
            answer = query(services, call, request)
            try:
                for batch in answer:
                    # A parameter's type may be part of the answer's.
                    yield batch.cast(first.schema)
            finally:
                answer.close()

    return BatchStream(first.schema, chained(), first.close)


def _answer(engine: SupportsSql, statement: Statement, checked: SqlRequest, call: Call) -> Batches:
    if statement.kind == "select":
        return engine.run_sql(checked, call.cancellation)
    text = engine.explain_sql(checked, statement.kind == "explain_analyze", call.cancellation)
    plan = pa.table({"plan": [text]}, schema=_PLAN_SCHEMA)
    return BatchStream(_PLAN_SCHEMA, iter(plan.to_batches()))


def plan_query(services: Services, call: Call, request: SqlRequest) -> QueryPlan:
    """The schema of the answer and the snapshot it is pinned to, without running the statement."""
    statement = parsed_for(call, request.sql)
    request = _at_session_time(services, call, request)
    # A transaction reads what it has written, which is in no snapshot yet.
    pinned = request if call.transaction else replace(request, version=_snapshot(services, request))
    if statement.kind != "select":
        return QueryPlan(_PLAN_SCHEMA, pinned.version)
    if (scan := _scan_of(services, call, statement, pinned)) is not None:
        schema = rows.schema_of_scan(services, call, *scan)
        return QueryPlan(schema, pinned.version, scan, is_foreign(scan[0]))
    checked, _ = authorised(services, call, statement, pinned)
    schema = sql_engine(services, call).sql_schema(checked)
    return QueryPlan(schema, pinned.version, reads_others=bool(checked.scans))


def explain(services: Services, call: Call, request: SqlRequest) -> str:
    """DuckDB's plan of a statement, for those who may read all of its tables."""
    statement = parsed_for(call, request.sql)
    checked, _ = authorised(services, call, statement, request, is_plan=True)
    analyze = statement.kind == "explain_analyze"
    return sql_engine(services, call).explain_sql(checked, analyze, call.cancellation)


def parsed_for(call: Call, sql: str) -> Statement:
    """The statement that reads, with names as the call's session completes them.

    InvalidRequest where it writes.
    """
    statement = statement_of(call, sql)
    if isinstance(statement, Statement):
        return statement
    kind = kind_of(statement)
    raise InvalidRequest(
        f"This is a statement that writes ({kind}), and rows were asked for; nothing was done. "
        "Send it by the action 'execute', by Flight SQL, or over HTTP with "
        "'Accept: application/json'.",
        details={"statement": kind},
    )


def statement_of(call: Call, sql: str) -> Statement | Write:
    """What the text says, with names as the session completes them. InvalidRequest; Forbidden."""
    session = call.session
    if session is None:
        return parse_any(sql)
    return parse_any(sql, default_catalog=session.catalog, default_namespace=session.namespace)


def authorised(
    services: Services,
    call: Call,
    statement: Statement,
    request: SqlRequest,
    is_plan: bool = False,
) -> tuple[SqlRequest, int]:
    """The statement over permitted columns and rows only, and the bytes its tables hold.

    `is_plan` says that its plan will be shown, as it is where the statement is an EXPLAIN.
    """
    is_plan = is_plan or statement.kind.startswith("explain")
    given = request.parameters
    sources = Sources(
        services, call, request.version, is_plan, as_of=request.as_of, parameters=given
    )
    types = sql_engine(services, call).parameter_types(given) if given else {}
    sql = rewrite(statement, sources, types)
    checked = replace(request, sql=sql, temporary=sources.temporary, scans=sources.scans)
    return _without_searches(statement, checked), sources.bytes


def authorised_merge(
    services: Services, call: Call, statement: Merge, target: TableVersion, request: SqlRequest
) -> SqlRequest:
    """The MERGE over what may be seen of its source, into a target that is wholly visible."""
    sources = Sources(services, call, request.version, parameters=request.parameters)
    table, names = target.table, tuple[str, ...]()
    if target.spec.defaults and not request.parameters:
        source = replace(request, sql=merge_source(statement, sources))
        source = replace(source, scans=sources.scans)
        names = tuple(sql_engine(services, call).sql_schema(source).names)
    engine = require(engine_of(services, call, table.catalog), SupportsSqlWrites)
    if table.catalog == TEMPORARY_CATALOG:
        table = cast(TemporaryTables, engine).sql_name(table)
    assigned = engine.sql_assignments(target)
    sql = rewrite_merge(statement, sources, table, target.spec.defaults, names, assigned)
    checked = replace(request, sql=sql, temporary=sources.temporary, scans=sources.scans)
    return _without_searches(statement.statement, checked)


def rows_for(services: Services, call: Call, table: TableRef, source: SqlRequest) -> SqlRequest:
    """A SELECT whose rows go into the table, as whoever writes them there can run it.

    Temporary tables are written outside of a transaction, which reads the rows for them.
    """
    if table.catalog != TEMPORARY_CATALOG or call.transaction is None:
        return source
    rows = sql_engine(services, call).run_sql(source, call.cancellation).read_all()
    numbered = rows.rename_columns([f"c{place}" for place in range(len(rows.schema))])
    return SqlRequest(f"SELECT * FROM {quoted(PARAMETER_ROWS)}", rows=numbered)


def outside(call: Call, table: TableRef, statement: Statement) -> Call:
    """The call for a statement that changes rows of the table, by what else it reads.

    Temporary tables are changed outside of a transaction: Unsupported where it has written what
    the statement would have to see.
    """
    transaction = call.transaction
    if table.catalog != TEMPORARY_CATALOG or transaction is None:
        return call
    reads = {located(call, use).catalog for use in statement.tables}
    if transaction.has_written and transaction.name in reads:
        raise Unsupported(
            f"The temporary table '{table.name}' cannot be changed by what an open transaction "
            "has written. Copy that into a temporary table first, or commit."
        )
    return replace(call, transaction=None)


def used_parameters(statement: Statement, parameters: Parameters) -> Parameters:
    """Those parameters that the statement uses: DuckDB refuses to be given others."""
    named = _by_name(parameters)
    return {name: value for name, value in named.items() if name in statement.parameters}


def _without_searches(statement: Statement, request: SqlRequest) -> SqlRequest:
    """The request without the parameters of searches, which are in its SQL no more."""
    if not statement.of_searches:
        return request
    left = _by_name(request.parameters).items()
    kept = {name: value for name, value in left if name not in statement.of_searches}
    return replace(request, parameters=kept)


def _by_name(parameters: Parameters) -> Mapping[str, Any]:
    if isinstance(parameters, Mapping):
        return parameters
    return {str(place): value for place, value in enumerate(parameters, start=1)}


def _at_session_time(services: Services, call: Call, request: SqlRequest) -> SqlRequest:
    """The request at the moment that the session has set, where it names no version itself."""
    at = call.session.as_of if call.session is not None else None
    if at is None:
        return request
    if request.as_of is None:
        request = replace(request, as_of=at)
    if request.version is not None:
        return request
    if call.transaction is not None:
        check_at_present(call)
    engine = require(services.engine(DEFAULT_CATALOG), SupportsTimeline)
    return replace(request, version=engine.snapshot_at(at))


def check_at_present(call: Call) -> None:
    """Unsupported where the session has set a moment: only reads alone see the past by it."""
    at = call.session.as_of if call.session is not None else None
    if at is not None:
        raise Unsupported(
            f"The session's option 'as_of' is {at.isoformat()}, and a statement that writes, or is "
            "in a transaction, cannot be of the past. Clear the option, and name the version in "
            "the SELECT: FROM t AT (VERSION => 7)."
        )


def _scan_of(
    services: Services, call: Call, statement: Statement, request: SqlRequest
) -> tuple[TableRef, ScanRequest] | None:
    """The scan that a SELECT is no more than. It gives the table's own types, and in parts."""
    # Values of parameters that no scan has are refused by the statement's own way.
    shape = None if request.parameters else simple_scan(statement)
    if shape is None:
        return None
    table = located(call, shape.table)
    is_temporary = table.catalog == TEMPORARY_CATALOG
    if not is_temporary and table.catalog not in services.engines:
        return None
    scan = ScanRequest(
        shape.columns,
        shape.filter,
        shape.order_by,
        shape.limit,
        shape.offset,
        None
        if is_temporary
        else version_of(services, call, shape.table, request.version, request.as_of),
    )
    try:
        allowed = permitted(services, call, table, Action.READ, scan.version)
        if allowed.version.spec.kind is Kind.VIEW:
            return None
        rows.schema_of_scan(services, call, table, scan)
        if names_shown(services, call, allowed, (scan.filter, scan.order_by)):
            return None
        if is_foreign(table) and not _judged_alike(allowed, shape):
            return None
    except (InvalidRequest, Forbidden, Unsupported):
        # What is wrong with it, if anything, is said by the statement's own way.
        return None
    return table, scan


def _judged_alike(allowed: Permitted, shape: ScanShape) -> bool:
    """Whether the table's own engine answers a scan as SQL would: one may order NaN otherwise."""
    return shape.order_by is None and len(pushed(allowed, shape.table)) == shape.conditions


def _snapshot(services: Services, request: SqlRequest) -> int:
    if request.version is not None:
        return request.version
    return require(services.engine(DEFAULT_CATALOG), SupportsTimeline).snapshot()
