"""Several operations in one request."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from control_api.dependencies import Call, IngestToken, Services
from control_api.described import json_body
from control_api.uploads import Body
from flight_server.bodies.batch import Batch, run_batch
from flight_server.bodies.requests import parsed
from flight_server.formats.json_lines import loaded_object

router = APIRouter(prefix="/batch", tags=["batch"])

_BATCH = {
    "operations": [
        {"operation": "insert", "table": "planes", "data": [{"tail": "N3", "seats": 8}]},
        {"operation": "update", "table": "planes", "where": {"tail": "N3"}, "set": {"seats": 9}},
    ],
    "transaction": True,
    "continue_on_error": False,
    "return_results": True,
}


@router.post("/operations", response_class=Response, openapi_extra=json_body(Batch, _BATCH))
def batch_operations(services: Services, call: Call, body: Body, token: IngestToken) -> Response:
    """Inserts, updates, deletes and upserts over several tables, in their order.

    In a transaction all of them are one commit or none. The status is that of the error that ended
    the batch, if one did; the answer has the same members in each case.
    """
    given = parsed(Batch, loaded_object(body.read(), "The body"), "body of the batch")
    outcome = run_batch(services, call, given, token)
    answer = outcome.as_json()
    status = 200
    if outcome.failure is not None:
        status = outcome.failure.code.http
        answer["error"] = outcome.failure.as_json(call.request_id)
    return JSONResponse(answer, status)
