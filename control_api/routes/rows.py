"""Rows of a table: read, written, changed, deleted; one or many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response

from control_api.answers import Told, rows_answer
from control_api.dependencies import Call, Services
from control_api.media_types import Form
from control_api.paths import Table
from control_api.row_queries import Reading, Sent, Wanted, Writing
from control_api.uploads import Body
from flight_server import operations
from flight_server.bodies.answers import acknowledged
from flight_server.bodies.rows_in import Read, ingest_stream, ingest_text, read_json_body
from flight_server.errors import InvalidRequest
from flight_server.formats.arrow_streams import read_arrow
from flight_server.formats.csv_lines import read_csv_lines
from flight_server.formats.fitting import Report
from flight_server.formats.json_lines import read_json_lines
from flight_server.model import Commit

router = APIRouter(prefix="/tables/{table:table}/rows", tags=["rows"])

VERSION = "x-version"
NEXT_CURSOR = "x-next-cursor"
_READERS: Mapping[Form, Read] = {Form.LINES: read_json_lines, Form.CSV: read_csv_lines}


@router.get("", response_class=Response)
def read_rows(
    services: Services, call: Call, table: Table, query: Reading, wanted: Wanted
) -> Response:
    """The rows of a table, as far as you may read them.

    Without `limit` all of them, in a stream. With `cursor`, empty at first, page by page: all
    pages show the moment of the first.
    """
    request = query.request(services, call, table)
    if query.cursor is None:
        found = operations.open_scan(services, call, table, request)
        return answered(services, call, found, wanted)
    most = services.settings.page_rows_max
    if not query.limit or query.limit > most:
        raise InvalidRequest(f"With 'cursor' goes a 'limit' from 1 to {most}.")
    found = operations.page(services, call, table, request, query.cursor)
    return answered(services, call, found, wanted)


@router.post("", status_code=201)
def insert_rows(
    services: Services, call: Call, table: Table, query: Writing, sent: Sent, body: Body
) -> Response:
    """Writes rows: one object, a list, `{"rows": […]}`, JSON lines, CSV, or an Arrow stream.

    All of them in one commit or, where one does not fit, none. With `on_error=skip` those that do
    not fit are left out and listed.
    """
    request = query.request()
    report = Report() if query.on_error == "skip" else None
    if sent is Form.ARROW:
        if report is not None:
            raise InvalidRequest("Rows of an Arrow stream have their types: none can be skipped.")
        commit = ingest_stream(services, call, table, request, read_arrow(body))
    else:
        read = _READERS.get(sent) or read_json_body(services.settings.json_rows_max)
        commit = ingest_text(services, call, table, request, body, read, report)
    return written(commit, report)


def answered(services: Services, call: Call, found: operations.Found, wanted: Form) -> Response:
    """The rows that were found, with the snapshot they are of and where they go on."""
    members = {"next_cursor": found.cursor, "version": found.snapshot}
    headers = {VERSION: str(found.snapshot)}
    if found.cursor is not None:
        headers[NEXT_CURSOR] = found.cursor
    told = Told(members, headers)
    return rows_answer(found.rows, wanted, call, services.settings.batch_bytes, told)


def written(commit: Commit, report: Report | None) -> Response:
    """What was written; 200 instead of 201 where it had been written before."""
    answer: dict[str, Any] = acknowledged(commit)
    if report is not None:
        answer |= {"rows_skipped": report.skipped, "errors": report.listed}
    status = 200 if commit.duplicate else 201
    return Response(json.dumps(answer), status, media_type="application/json")
