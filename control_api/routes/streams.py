"""Rows streamed in chunks, in a form and a compression that a body names."""

from __future__ import annotations

from fastapi import APIRouter, Response

from control_api.answers import Shape, Told, rows_answer
from control_api.dependencies import Call, Services
from control_api.described import rows_answered
from control_api.media_types import Form
from control_api.paths import Table
from control_api.routes.rows import VERSION
from flight_server import operations
from flight_server.bodies.streams import StreamRows

router = APIRouter(prefix="/batch", tags=["batch"])

_FORMS = {"json": Form.JSON, "jsonl": Form.LINES, "csv": Form.CSV, "arrow": Form.ARROW}


@router.post(
    "/stream/{table:table}", response_class=Response, responses=rows_answered(is_list=True)
)
def stream_rows(services: Services, call: Call, table: Table, body: StreamRows) -> Response:
    """The rows of a table or a view as they come, so many at a time.

    `json` is one list of objects. What is compressed says so by Content-Encoding, whatever
    Accept-Encoding asks for.
    """
    found = operations.open_scan(services, call, table, body.request(services, call, table))
    shape = Shape(
        rows_each=body.chunk_size,
        is_list=True,
        header=body.include_headers,
        encoding=None if body.compression == "none" else body.compression,
    )
    told = Told(headers={VERSION: str(found.snapshot)})
    bytes_each = services.settings.batch_bytes
    return rows_answer(found.rows, _FORMS[body.format], call, bytes_each, told, shape)
