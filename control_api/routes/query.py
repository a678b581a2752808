"""SQL: one statement with parameters; rows come back in whichever form is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from control_api.answers import Told, rows_answer
from control_api.dependencies import Call, Services
from control_api.described import rows_answered
from control_api.media_types import Form
from control_api.routes.rows import VERSION
from control_api.row_queries import TakesJson, Wanted
from flight_server import operations
from flight_server.bodies.queries import Query
from flight_server.bodies.statements import sql_request
from flight_server.engines.stream import Batches, BatchStream
from flight_server.errors import InvalidRequest
from flight_server.model import SqlRequest

router = APIRouter(prefix="/query", tags=["query"])

CACHE = "x-cache"
_PLAN = pa.schema([pa.field("plan", pa.string(), nullable=False)])


@router.post("", response_class=Response, responses=rows_answered())
def query(
    services: Services, call: Call, body: Query, wanted: Wanted, takes_json: TakesJson
) -> Response:
    """Runs one statement.

    One that reads answers with rows, all of one snapshot; one that writes, in JSON, with its kind,
    how many rows it touched, and its commit. Where `Accept` leaves JSON out, only rows are asked
    for: a statement that writes is then refused, and not run. With `explain` the answer is the
    plan.
    """
    request = sql_request(services, body)
    parsed = operations.statement_of if takes_json else operations.parsed_for
    if not operations.is_read(parsed(call, body.sql)):
        return _written(services, call, body, request)
    if body.limit is not None and body.limit < 0:
        raise InvalidRequest(f"'limit' is {body.limit}: it must not be negative.")
    if body.explain:
        return _explained(services, call, request, wanted)
    headers: dict[str, str] = {}
    if body.cache:
        rows, snapshot, is_hit = operations.cached_query(services, call, request)
        headers[CACHE] = "hit" if is_hit else "miss"
    else:
        rows, snapshot = operations.pinned_query(services, call, request)
    if body.limit is not None:
        rows = _first(rows, body.limit)
    headers[VERSION] = str(snapshot)
    told = Told({"version": snapshot}, headers)
    return rows_answer(rows, wanted, call, services.settings.batch_bytes, told)


def _written(services: Services, call: Call, body: Query, request: SqlRequest) -> Response:
    if body.explain or body.cache or body.limit is not None or request.version is not None:
        raise InvalidRequest(
            "A statement that writes has no 'version', 'as_of', 'limit', 'explain' or 'cache'."
        )
    done = operations.execute(services, call, request)
    told = {"kind": done.kind, "rows": done.rows, "commit": done.snapshot}
    return JSONResponse(told)


def _explained(services: Services, call: Call, request: SqlRequest, wanted: Form) -> Response:
    text = operations.explain(services, call, request)
    plan = pa.table({"plan": [text]}, schema=_PLAN)
    rows = BatchStream(_PLAN, iter(plan.to_batches()))
    return rows_answer(rows, wanted, call, services.settings.batch_bytes)


def _first(rows: Batches, limit: int) -> Batches:
    """No more than so many rows; what comes behind them is not waited for."""

    def limited() -> Iterator[Any]:
        left = limit
        for batch in rows:
            if batch.num_rows >= left:
                yield batch.slice(0, left)
                return
            left -= batch.num_rows
            yield batch

    return BatchStream(rows.schema, limited() if limit else iter(()), rows.close)
