"""SQL: one statement, parsed whole, authorised, rewritten to what the principal may see, run."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace

import pyarrow as pa

from flight_server.auth import Action
from flight_server.engines.base import SupportsSql, SupportsVersions, require
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import Forbidden
from flight_server.model import DEFAULT_CATALOG, SqlRequest, table_not_found
from flight_server.operations.authorise import Permitted, permitted
from flight_server.operations.services import Call, Services
from flight_server.query import Source, Statement, TableUse, parse, rewrite


@dataclass(frozen=True)
class QueryPlan:
    """What a query will give: its schema and the snapshot it reads."""

    schema: pa.Schema
    snapshot: int


_PLAN_SCHEMA = pa.schema([pa.field("plan", pa.string(), nullable=False)])


def query(services: Services, call: Call, request: SqlRequest) -> Batches:
    """Runs one SELECT or EXPLAIN. InvalidRequest; NotFound; Forbidden; LimitExceeded; TimedOut."""
    statement = parse(request.sql)
    checked, size = _authorised(services, call, statement, request)
    engine = _engine(services)
    with ExitStack() as stack:
        stack.enter_context(services.admission.admitted(size, call.cancellation))
        answer = _answer(engine, statement, checked, call)
        # The query holds its place until its last batch has been read or its stream is closed.
        return BatchStream(answer.schema, iter(answer), answer.close, stack.pop_all().close)


def _answer(engine: SupportsSql, statement: Statement, checked: SqlRequest, call: Call) -> Batches:
    if statement.kind == "select":
        return engine.run_sql(checked, call.cancellation)
    text = engine.explain_sql(checked, statement.kind == "explain_analyze", call.cancellation)
    plan = pa.table({"plan": [text]}, schema=_PLAN_SCHEMA)
    return BatchStream(_PLAN_SCHEMA, iter(plan.to_batches()))


def plan_query(services: Services, call: Call, request: SqlRequest) -> QueryPlan:
    """The schema of the answer and the snapshot it is pinned to, without running the statement."""
    statement = parse(request.sql)
    pinned = replace(request, version=_snapshot(services, request))
    if statement.kind != "select":
        return QueryPlan(_PLAN_SCHEMA, pinned.version or 0)
    checked, _ = _authorised(services, call, statement, pinned)
    return QueryPlan(_engine(services).sql_schema(checked), pinned.version or 0)


def explain(services: Services, call: Call, request: SqlRequest) -> str:
    """DuckDB's plan of a statement, over what the principal may see of its tables."""
    statement = parse(request.sql)
    checked, _ = _authorised(services, call, statement, request)
    analyze = statement.kind == "explain_analyze"
    return _engine(services).explain_sql(checked, analyze, call.cancellation)


def _authorised(
    services: Services, call: Call, statement: Statement, request: SqlRequest
) -> tuple[SqlRequest, int]:
    """The statement over permitted columns and rows only, and the bytes its tables hold."""
    size = 0

    def source(use: TableUse) -> Source:
        nonlocal size
        allowed = _readable(services, call, use, request.version)
        if statement.kind != "select" and not allowed.whole:
            raise Forbidden(
                f"You may read a part of '{allowed.table}' only, and a plan tells of all of it."
            )
        if services.settings.query_bytes_max is not None:
            size += allowed.engine.describe(allowed.table, allowed.version.snapshot).bytes
        return Source(
            allowed.table,
            None if len(allowed.columns) == len(allowed.version.schema) else allowed.columns,
            allowed.row_filter,
            _version(services, use, request.version),
        )

    return replace(request, sql=rewrite(statement, source)), size


def _readable(services: Services, call: Call, use: TableUse, version: int | None) -> Permitted:
    if use.table.catalog not in services.engines:
        raise table_not_found(use.table)
    return permitted(services, call, use.table, Action.READ, _version(services, use, version))


def _version(services: Services, use: TableUse, version: int | None) -> int | None:
    """The snapshot that one reference reads: its own AT, else the statement's."""
    if use.version is not None or use.as_of is None:
        return use.version if use.version is not None else version
    return require(services.engine(use.table.catalog), SupportsVersions).snapshot_at(use.as_of)


def _engine(services: Services) -> SupportsSql:
    return require(services.engine(DEFAULT_CATALOG), SupportsSql)


def _snapshot(services: Services, request: SqlRequest) -> int:
    if request.version is not None:
        return request.version
    return require(services.engine(DEFAULT_CATALOG), SupportsVersions).snapshot()
