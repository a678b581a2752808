"""Rows of a table: read, written, changed, deleted; one or many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from control_api.answers import Told, rows_answer
from control_api.dependencies import NO_BODY, Call, IngestToken, Services
from control_api.described import json_body, rows_answered, rows_body
from control_api.media_types import Form
from control_api.paths import Table
from control_api.row_queries import (
    BringingBack,
    Reading,
    RemovingMany,
    Sent,
    Wanted,
    Writing,
)
from control_api.uploads import Body
from flight_server import operations
from flight_server.bodies.answers import acknowledged, deletion_listed, rows_committed
from flight_server.bodies.changes import DeleteRows, UpdateRows, set_columns, where_sql
from flight_server.bodies.names import where_in
from flight_server.bodies.requests import parsed
from flight_server.bodies.rows_in import Read, ingest_stream, ingest_text, read_json_body
from flight_server.errors import InvalidRequest
from flight_server.formats.arrow_streams import read_arrow
from flight_server.formats.csv_lines import read_csv_lines
from flight_server.formats.fitting import Report
from flight_server.formats.json_lines import loaded_object, read_json_lines
from flight_server.model import Commit

# What OpenAPI says of 200 in place of 201.
REPEATED = {"description": "The rows were written before, under the same token or key."}

router = APIRouter(prefix="/tables/{table:table}/rows", tags=["rows"])

VERSION = "x-version"
NEXT_CURSOR = "x-next-cursor"
_UPDATE = {"where": {"tail": "N14228"}, "set": {"seats": 150, "price": {"expr": "price * 2"}}}
_DELETE = {"where": {"seats": {"lt": 10}}, "soft": True}
_READERS: Mapping[Form, Read] = {Form.LINES: read_json_lines, Form.CSV: read_csv_lines}


@router.get("", response_class=Response, responses=rows_answered(is_paged=True))
def read_rows(
    services: Services, call: Call, table: Table, query: Reading, wanted: Wanted
) -> Response:
    """The rows of a table, as far as you may read them.

    Without `limit` all of them, in a stream. With `cursor`, empty at first, page by page: all
    pages show the moment of the first.
    """
    request = query.request(services, call, table)
    if query.aggregate is not None or query.group_by is not None:
        aggregates = query.aggregate or "count(*)"
        found = operations.aggregate(services, call, table, request, aggregates, query.group_by)
        return answered(services, call, found, wanted)
    if query.cursor is None:
        found = operations.open_scan(services, call, table, request)
        return answered(services, call, found, wanted)
    most = services.settings.page_rows_max
    if not query.limit or query.limit > most:
        raise InvalidRequest(f"With 'cursor' goes a 'limit' from 1 to {most}.")
    found = operations.page(services, call, table, request, query.cursor)
    return answered(services, call, found, wanted)


@router.post("", status_code=201, openapi_extra=rows_body(), responses={200: REPEATED})
def insert_rows(
    services: Services,
    call: Call,
    table: Table,
    query: Writing,
    sent: Sent,
    body: Body,
    token: IngestToken,
) -> Response:
    """Writes rows: one object, a list, `{"rows": […]}`, JSON lines, CSV, or an Arrow stream.

    All of them in one commit or, where one does not fit, none. With `on_error=skip` those that do
    not fit are left out and listed.
    """
    request = query.request(token)
    report = Report() if query.on_error == "skip" else None
    if sent is Form.ARROW:
        if report is not None:
            raise InvalidRequest("Rows of an Arrow stream have their types: none can be skipped.")
        commit = ingest_stream(services, call, table, request, read_arrow(body))
    else:
        read = _READERS.get(sent) or read_json_body(services.settings.json_rows_max)
        commit = ingest_text(services, call, table, request, body, read, report)
    return written(commit, report)


@router.patch("", openapi_extra=json_body(UpdateRows, _UPDATE))
def update_rows(services: Services, call: Call, table: Table, body: Body) -> dict[str, Any]:
    """Sets columns of the rows where a filter holds: `{"where": …, "set": {"price": 5}}`.

    A value is a value; `{"expr": "price * 2"}` is an expression over the row's old values.
    """
    what = "body of the update"
    given = parsed(UpdateRows, loaded_object(body.read(), "The body"), what)
    where = where_sql(services, call, table, given.where)
    return rows_committed(set_columns(services, call, table, given.values, where, given.all))


@router.delete("", openapi_extra=json_body(DeleteRows, _DELETE, required=False))
def delete_rows(
    services: Services, call: Call, table: Table, query: RemovingMany, body: Body
) -> dict[str, Any]:
    """Deletes the rows where a filter holds, given as `?where=…` or as a body like PATCH's."""
    given = DeleteRows(where=query.where, all=query.all, soft=query.soft)
    data = body.read()
    if data:
        if query.model_fields_set:
            raise InvalidRequest("Say what to delete in the URL or in the body, not in both.")
        given = parsed(DeleteRows, loaded_object(data, "The body"), "body of the delete")
    where = where_in(given.where) if isinstance(given.where, str) else given.where
    remove = operations.soft_delete if given.soft else operations.delete
    text = where_sql(services, call, table, where)
    return rows_committed(remove(services, call, table, text, given.all))


@router.get("/deletions")
def list_deletions(services: Services, call: Call, table: Table) -> dict[str, Any]:
    """What was deleted softly and can be brought back, newest first."""
    found = operations.list_deletions(services, call, table)
    return {"deletions": [deletion_listed(one) for one in found]}


@router.post("/undelete", dependencies=[NO_BODY])
def undelete_rows(
    services: Services, call: Call, table: Table, query: BringingBack
) -> dict[str, Any]:
    """Brings back the rows of one soft delete, by default of the last, under new ids."""
    skip = query.on_conflict == "skip"
    return rows_committed(operations.undelete(services, call, table, query.deletion, skip))


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
    return JSONResponse(answer, status)
